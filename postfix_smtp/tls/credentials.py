"""Client certificates and keys (TLS chapter 1.3): read once, before the jail."""

from collections.abc import Sequence
from dataclasses import dataclass

from OpenSSL import SSL, crypto

from postfix_smtp import log
from postfix_smtp.config.lists import split
from postfix_smtp.tls import library
from postfix_smtp.tls.certificate import Key, certificate
from postfix_smtp.tls.der import DerError, read
from postfix_smtp.tls.pem import PemError, PemObject, read_objects

_KEYS = (b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY", b"DSA PRIVATE KEY")
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE")
#: With data for the owner behind it (OpenSSL's own form); only the first of a file.
_TRUSTED = b"TRUSTED CERTIFICATE"
_KEY_PROBLEM = [
    "error:1E08010C:DECODER routines::unsupported:../crypto/unknown:0:No supported data to decode. Input type: PEM:"
]
_DISABLING = "disabling TLS support"


class CredentialError(Exception):
    """Keys or certificates cannot be used; logged. TLS is disabled."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A key with its certificate and the certificates of its issuers."""

    key: crypto.PKey
    certificate: crypto.X509
    issuers: tuple[crypto.X509, ...] = ()

    @property
    def description(self) -> Key | None:
        """The key as the summary line shows it."""
        parsed = certificate(crypto.dump_certificate(crypto.FILETYPE_ASN1, self.certificate))
        return None if parsed is None else parsed.key


def load_chains(chain_files: str, pairs: Sequence[tuple[str, str, str]]) -> list[Chain]:
    """Read what is configured.

    Args:
        chain_files: ``smtp_tls_chain_files``; if it is empty `pairs` count.
        pairs: label, certificate file, key file.

    Raises:
        CredentialError: logged.
    """
    if chain_files:
        reader = _ChainReader(chain_files)
        for path in split(chain_files):
            octets = _content(path)
            if octets is None:
                # Postfix goes on with what it has so far.
                return reader.finish(required=False)
            reader.read(path, octets)
        return reader.finish()
    chains: list[Chain] = []
    for label, certificate_file, key_file in pairs:
        if not certificate_file:
            continue
        if certificate_file == key_file:
            chains += _mixed(certificate_file)
        else:
            chains.append(_separate(label, certificate_file, key_file))
    return chains


def install(context: SSL.Context, chains: Sequence[Chain]) -> None:
    """Let a context present them."""
    for chain in chains:
        context.use_certificate(chain.certificate)
        context.use_privatekey(chain.key)
        for issuer in chain.issuers:
            context.add_extra_chain_cert(issuer)


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        log.warning(f"error opening chain file: {path}: {error.strerror}")
        return None


class _ChainReader:
    """Keys and chains in one sequence, over any number of files."""

    def __init__(self, listed: str, *, mixed: bool = False) -> None:
        self._listed = listed
        self._mixed = mixed
        self._chains: list[Chain] = []
        self._key: crypto.PKey | None = None
        self._key_at = (0, "")
        self._certificates: list[crypto.X509] = []
        self._any = False

    def read(self, path: str, octets: bytes) -> None:
        """One file."""
        try:
            for item in read_objects(octets):
                if item.kind in _KEYS:
                    self._any = True
                    self._take_key(path, item)
                elif item.kind in _CERTIFICATES:
                    self._any = True
                    self._take_certificate(path, item)
                elif not self._mixed:
                    log.warning(f"loading {path}: ignoring PEM type: {item.kind.decode('latin-1')}")
        except PemError as error:
            error.tell()
            raise self._unusable() from None

    def finish(self, *, required: bool = True) -> list[Chain]:
        """Everything."""
        number, path = self._key_at
        if not self._any:
            if not required:
                return []
            raise self._failed(f"No PEM data in {self._listed}")
        if self._mixed and self._key is None:
            raise self._failed(f"No private key found in {path or self._listed}")
        if self._key is not None:
            if not self._certificates:
                raise self._failed(f"No certs for key at index {number} in {path}")
            self._close(last=True)
        return self._chains

    def _take_key(self, path: str, item: PemObject) -> None:
        number = item.number
        if self._key is not None:
            if self._mixed:
                log.warning(f"ignoring 2nd key at index {number} in {path} after 1st at {self._key_at[0]}")
                return
            if not self._certificates:
                first, where = self._key_at
                raise self._failed(
                    f"error loading certificate chain: key at index {first} in {where} not followed by a certificate"
                )
            self._close(last=False)
        try:
            key = crypto.load_privatekey(crypto.FILETYPE_PEM, item.text, b"")
        except (crypto.Error, ValueError, TypeError):
            raise self._undecodable("private key", path, item, _KEY_PROBLEM) from None
        self._key, self._key_at = key, (number, path)

    def _take_certificate(self, path: str, item: PemObject) -> None:
        if self._key is None and not self._mixed:
            raise self._failed(f"error loading chain from {path}: key not first")
        errors = library.certificate_errors(item.content)
        if errors:
            raise self._undecodable("certificate", path, item, errors)
        if _has_excess(item.content):
            raise self._undecodable("certificate", path, item)
        self._certificates.append(crypto.load_certificate(crypto.FILETYPE_ASN1, item.content))

    def _close(self, *, last: bool) -> None:
        """The chain of the current key is complete."""
        key = self._key
        assert key is not None
        own, issuers = self._certificates[0], tuple(self._certificates[1:])
        chain = Chain(key, own, issuers)
        number, path = self._key_at
        clash = any(known.key.type() == key.type() for known in self._chains)
        if clash or not _fits(chain):
            where = f"key at index {number} in {path}"
            if last:
                text = f"{where} does not match next certificate"
            else:
                text = f"error loading certificate chain: {where} does not match the certificate"
            raise self._failed(text, _clash() if clash else _mismatch(chain))
        self._chains.append(chain)
        self._key, self._certificates = None, []

    def _undecodable(self, what: str, path: str, item: PemObject, stack: Sequence[str] = ()) -> CredentialError:
        text = f"error loading {what} (PEM object number {item.number}) from {path}"
        return self._failed(text if stack else f"{text}: excess data", stack)

    def _failed(self, text: str, stack: Sequence[str] = ()) -> CredentialError:
        log.warning(text)
        library.log_errors(list(stack))
        return self._unusable()

    def _unusable(self) -> CredentialError:
        log.warning(f"error loading private keys and certificates from: {self._listed}: {_DISABLING}")
        return CredentialError(self._listed)


def _mixed(path: str) -> list[Chain]:
    octets = _content(path)
    if octets is None:
        raise CredentialError(path)
    reader = _ChainReader(path, mixed=True)
    reader.read(path, octets)
    return reader.finish()


def _separate(label: str, certificate_file: str, key_file: str) -> Chain:
    """A certificate file with issuers, and a key file."""
    problem, errors = library.pair_problem(certificate_file, key_file)
    match problem:
        case "certificate":
            log.warning(f'cannot get {label} certificate from file "{certificate_file}": {_DISABLING}')
        case "key":
            log.warning(f'cannot get {label} private key from file "{key_file}": {_DISABLING}')
        case "match":
            log.warning(
                f"{label} private key in {key_file} does not match public key in {certificate_file}: {_DISABLING}"
            )
            errors = []
    if problem:
        library.log_errors(errors)
        raise CredentialError(problem)
    try:
        return _pair(certificate_file, key_file)
    except (OSError, StopIteration, crypto.Error, ValueError, TypeError):
        # The library takes more forms of a key than can be handed to it by themselves
        log.warning(f'cannot get {label} private key from file "{key_file}": {_DISABLING}')
        library.log_errors(_KEY_PROBLEM)
        raise CredentialError(key_file) from None


def _pair(certificate_file: str, key_file: str) -> Chain:
    with open(certificate_file, "rb") as file:
        encodings = [item.content for item in read_objects(file.read()) if item.kind in (*_CERTIFICATES, _TRUSTED)]
    with open(key_file, "rb") as file:
        key_text = next(item.text for item in read_objects(file.read()) if item.kind in _KEYS)
    own, *issuers = (crypto.load_certificate(crypto.FILETYPE_ASN1, read(encoding).encoding) for encoding in encodings)
    return Chain(crypto.load_privatekey(crypto.FILETYPE_PEM, key_text, b""), own, tuple(issuers))


def _has_excess(encoding: bytes) -> bool:
    """Octets follow the certificate."""
    try:
        return read(encoding).end != len(encoding)
    except DerError:
        return False


def _fits(chain: Chain) -> bool:
    key = crypto.dump_publickey(crypto.FILETYPE_ASN1, chain.key)
    return key == crypto.dump_publickey(crypto.FILETYPE_ASN1, chain.certificate.get_pubkey())


def _clash() -> list[str]:
    return ["error:0A000121:SSL routines::not replacing certificate:../ssl/unknown:0:"]


def _mismatch(chain: Chain) -> list[str]:
    last = "error:0A000120:SSL routines::private key mismatch:../ssl/unknown:0:"
    if chain.key.type() != chain.certificate.get_pubkey().type():
        return ["error:03000065:digital envelope routines::different key types:../crypto/unknown:0:", last]
    return [last]
