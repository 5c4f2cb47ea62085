"""TLS for tests: the standard library's, on memory buffers."""

import contextlib
import datetime
import functools
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from postfix_smtp.delivery.stream import TlsFailure


class MemoryTls:
    """A layer on the standard library."""

    def __init__(self, context: ssl.SSLContext, *, server: bool = False) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server)
        self.is_closed = False
        self.closing_seconds = 0.0

    def handshake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise TlsFailure from error
        return True

    def feed(self, octets: bytes) -> None:
        if octets:
            self._in.write(octets)
        else:
            self._in.write_eof()

    def output(self) -> bytes:
        return self._out.read()

    def encrypt(self, octets: bytes | bytearray | memoryview) -> None:
        self._tls.write(octets)

    def decrypt(self) -> bytes:
        try:
            octets = self._tls.read(65536)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:
            octets = b""
        except ssl.SSLError as error:
            raise TlsFailure from error
        if not octets:
            self.is_closed = True
        return octets

    def shutdown(self) -> None:
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()


@functools.cache
def server_tls() -> ssl.SSLContext:
    """A server's context with a self-signed certificate for ``server.example``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server.example")])
    now = datetime.datetime.now(datetime.timezone.utc)  # noqa: UP017
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def client_tls() -> ssl.SSLContext:
    """A client's context that believes everything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
