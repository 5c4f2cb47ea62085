"""Certificates signed by a bare key (TLSA ``2 1 0``, public keys in trust anchor files)."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

_WEAK = (hashes.MD5, hashes.SHA1)


def is_signed_by(certificate: bytes, public_key: bytes) -> bool:
    """Whether a certificate is signed by a key, with a digest that is good enough.

    Args:
        certificate: DER.
        public_key: SubjectPublicKeyInfo, DER.
    """
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        key = load_der_public_key(public_key)
        digest = parsed.signature_hash_algorithm
        if isinstance(digest, _WEAK):
            return False
        match key:
            case rsa.RSAPublicKey():
                # cryptography before 41 has refused the digest of everything else
                parameters = getattr(parsed, "signature_algorithm_parameters", padding.PKCS1v15())
                if digest is None or not isinstance(parameters, padding.PKCS1v15 | padding.PSS):
                    return False
                key.verify(parsed.signature, parsed.tbs_certificate_bytes, parameters, digest)
            case ec.EllipticCurvePublicKey():
                if digest is None:
                    return False
                key.verify(parsed.signature, parsed.tbs_certificate_bytes, ec.ECDSA(digest))
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
                key.verify(parsed.signature, parsed.tbs_certificate_bytes)
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion, ValueError, TypeError):
        return False
    return True
