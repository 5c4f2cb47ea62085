"""Octets and text.

Postfix handles octets. Addresses, parameter values and attribute values are nearly always ASCII or UTF-8, so the
program carries them as ``str``; octets that are not UTF-8 travel as lone surrogates (PEP 383) and come out again
unchanged. Message content never passes through here.
"""


def to_text(octets: bytes) -> str:
    """Decode octets as UTF-8; invalid ones are kept as lone surrogates. Never fails."""
    return octets.decode("utf-8", "surrogateescape")


def to_octets(text: str) -> bytes:
    """The octets that :func:`to_text` was given."""
    return text.encode("utf-8", "surrogateescape")
