"""PEM as OpenSSL reads it (RFC 7468 section 2, RFC 1421 section 4.4): what stands between objects does not count.

The bindings cannot read objects of any type one after the other; and trust anchors are read also where no library is.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

from postfix_smtp import log

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_WIDTH = 64  #: of a line below a header
_BLANKS = bytes(range(33))


class PemError(ValueError):
    """An object is malformed; its text is OpenSSL's error."""

    def tell(self) -> None:
        """Log it as an error of the library."""
        log.warning(f"TLS library problem: {self}")


@dataclass(frozen=True, slots=True)
class PemObject:
    """One object.

    Attributes:
        number: from 1.
        kind: ``CERTIFICATE``, ``PRIVATE KEY``...
        text: all of it, from BEGIN to END.
        content: what it encodes.
    """

    number: int
    kind: bytes
    text: bytes
    content: bytes


def read_objects(octets: bytes) -> Iterator[PemObject]:
    """The objects in order.

    Raises:
        PemError: the next one is malformed.
    """
    number = 0
    lines = iter(octets.split(b"\n"))
    for line in lines:
        line = line.rstrip(_BLANKS)
        if not (line.startswith(_BEGIN) and line.endswith(_DASHES) and len(line) >= len(_BEGIN) + len(_DASHES)):
            continue
        number += 1
        kind = line[len(_BEGIN) : -len(_DASHES)]
        header, body = _read_body(lines, kind)
        try:
            content = base64.b64decode(b"".join(body), validate=True)
        except binascii.Error:
            raise _bad("04800064", "bad base64 decode") from None
        text = b"\n".join([line, *header, *([b""] if header else []), *body, _END + kind + _DASHES, b""])
        yield PemObject(number, kind, text, content)


def _read_body(lines: Iterator[bytes], kind: bytes) -> tuple[list[bytes], list[bytes]]:
    """Header and encoded lines up to the END line."""
    header: list[bytes] = []
    body: list[bytes] = []
    separated = short = False
    for line in lines:
        line = line.rstrip(_BLANKS)
        if not line:
            if separated:
                break
            header, body, separated = body, [], True
        elif line.startswith(_END):
            if line != _END + kind + _DASHES:
                break
            return header, body
        elif short or (separated and len(line) > _WIDTH):
            break
        else:
            short = separated and len(line) < _WIDTH
            body.append(line)
    raise _bad("04800066", "bad end line")


def _bad(code: str, reason: str) -> PemError:
    return PemError(f"error:{code}:PEM routines::{reason}:../crypto/unknown:0:")
