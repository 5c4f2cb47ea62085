"""Octets and text.

Postfix handles octets. Addresses, parameter values and attribute values are nearly always ASCII or UTF-8, so the
program carries them as ``str``; octets that are not UTF-8 travel as lone surrogates (PEP 383) and come out again
unchanged. Message content never passes through here.
"""

_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def to_text(octets: bytes) -> str:
    """Decode octets as UTF-8; invalid ones are kept as lone surrogates. Never fails."""
    return octets.decode("utf-8", "surrogateescape")


def to_octets(text: str) -> bytes:
    """The octets that :func:`to_text` was given."""
    return text.encode("utf-8", "surrogateescape")


def ascii_lower(text: str) -> str:
    """Lower-case the letters A to Z, and nothing else."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


def fold(text: str, *, unicode: bool) -> str:
    """Fold for comparison.

    Args:
        unicode: default case folding of Unicode (``smtputf8_enable``); else A to Z only.
    """
    return text.casefold() if unicode and not text.isascii() else ascii_lower(text)
