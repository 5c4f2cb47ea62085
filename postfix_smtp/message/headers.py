"""What looks like a header (message chapter 4.2; more liberal than RFC 5322 §2.2)."""

import re

_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:")

#: Headers about MIME, which have checks of their own (message chapter 5.1); lower case.
MIME_HEADERS = frozenset(
    {
        b"content-description",
        b"content-disposition",
        b"content-id",
        b"content-transfer-encoding",
        b"content-type",
        b"mime-version",
    }
)

#: Headers with addresses that ``smtp_generic_maps`` applies to (message chapter 6.1); lower case.
ADDRESS_HEADERS = frozenset(
    {
        b"apparently-to",
        b"bcc",
        b"cc",
        b"disposition-notification-to",
        b"errors-to",
        b"from",
        b"mail-followup-to",
        b"reply-to",
        b"resent-bcc",
        b"resent-cc",
        b"resent-from",
        b"resent-reply-to",
        b"resent-sender",
        b"resent-to",
        b"return-path",
        b"return-receipt-to",
        b"sender",
        b"to",
    }
)


def header_name(line: bytes) -> bytes:
    """The name that `line` begins with, in its own spelling; empty if this is no header."""
    match = _HEADER.match(line)
    return match[1] if match else b""
