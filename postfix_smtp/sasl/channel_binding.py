"""What ties an authentication to the TLS session around it (RFC 5929, RFC 9266)."""

from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.x509 import load_der_x509_certificate
from OpenSSL import crypto

_TLS_1_2, _TLS_1_3 = 0x0303, 0x0304
_EXPORTER = b"EXPORTER-Channel-Binding"
_SIZE = 32


def binding_data(connection: Any, kind: str, *, resumed: bool) -> bytes | None:
    """The data of one kind of binding; None if this session has none of it.

    Args:
        connection: of pyOpenSSL, after the handshake.
        kind: ``tls-exporter``, ``tls-unique`` or ``tls-server-end-point``.
        resumed: the handshake was a short one.
    """
    version = connection.get_protocol_version()
    match kind:
        case "tls-exporter" if version >= _TLS_1_3:
            exported: bytes = connection.export_keying_material(_EXPORTER, _SIZE, b"")
            return exported
        case "tls-unique" if version <= _TLS_1_2:
            # The first Finished message of the handshake: the client's, or in a short handshake the server's
            finished: bytes | None = connection.get_peer_finished() if resumed else connection.get_finished()
            return finished or None
        case "tls-server-end-point":
            return _end_point(connection.get_peer_certificate())
    return None


def _end_point(certificate: crypto.X509 | None) -> bytes | None:
    """RFC 5929 §4.1: the certificate's hash, by the hash function of its signature, but no weaker one than SHA-256."""
    if certificate is None:
        return None
    octets = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
    algorithm = load_der_x509_certificate(octets).signature_hash_algorithm
    if algorithm is None:
        return None
    if algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(octets)
    return digest.finalize()
