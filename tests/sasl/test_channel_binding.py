"""Channel bindings of real TLS sessions, compared with what the server's side has."""

import contextlib
import hashlib
import ssl

import pytest
from OpenSSL import SSL

from compat.certificates import self_signed, server_context
from postfix_smtp.sasl.channel_binding import binding_data

CERTIFICATE, KEY = self_signed("server.example")


class Pair:
    """A client of pyOpenSSL and a server of the standard library, in memory."""

    def __init__(self, version: ssl.TLSVersion, before: "Pair | None" = None) -> None:
        self.context = server_context(CERTIFICATE, KEY) if before is None else before.context
        self.client_context = SSL.Context(SSL.TLS_CLIENT_METHOD) if before is None else before.client_context
        self.context.maximum_version = self.context.minimum_version = version
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = self.context.wrap_bio(incoming, outgoing, server_side=True)
        self.client = SSL.Connection(self.client_context)
        if before is not None:
            session = before.client.get_session()
            assert session is not None
            self.client.set_session(session)
        self.client.set_connect_state()
        done: set[str] = set()
        while done != {"client", "server"}:
            with contextlib.suppress(SSL.WantReadError):
                self.client.do_handshake()
                done.add("client")
            with contextlib.suppress(SSL.WantReadError):
                incoming.write(self.client.bio_read(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                self.server.do_handshake()
                done.add("server")
            if octets := outgoing.read():
                self.client.bio_write(octets)


def test_exporter_is_for_tls_1_3() -> None:
    pair = Pair(ssl.TLSVersion.TLSv1_3)
    data = binding_data(pair.client, "tls-exporter", resumed=False)
    assert data is not None
    assert len(data) == 32
    assert data == pair.client.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    assert binding_data(pair.client, "tls-unique", resumed=False) is None


def test_unique_is_for_tls_1_2_and_known_to_both_sides() -> None:
    pair = Pair(ssl.TLSVersion.TLSv1_2)
    assert binding_data(pair.client, "tls-unique", resumed=False) == pair.server.get_channel_binding("tls-unique")
    assert binding_data(pair.client, "tls-exporter", resumed=False) is None
    again = Pair(ssl.TLSVersion.TLSv1_2, pair)
    assert again.server.session_reused
    assert binding_data(again.client, "tls-unique", resumed=True) == again.server.get_channel_binding("tls-unique")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_end_point_is_the_hash_of_the_certificate(version: ssl.TLSVersion) -> None:
    data = binding_data(Pair(version).client, "tls-server-end-point", resumed=False)
    assert data == hashlib.sha256(ssl.PEM_cert_to_DER_cert(CERTIFICATE)).digest()
