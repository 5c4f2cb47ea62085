"""Headers that master.cf asks for with ``flags=``, and the loops they reveal (message chapter 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from postfix_smtp.errors import FatalError
from postfix_smtp.ipc.request import DeliveryRequest
from postfix_smtp.message.headers import header_name
from postfix_smtp.queue.file import QueueFile
from postfix_smtp.queue.records import LINE, PAUSE, PIECE
from postfix_smtp.smtp.quoting import quote_822
from postfix_smtp.text import fold, to_octets, to_text

if TYPE_CHECKING:
    from postfix_smtp.message.generic import GenericMapper

_KNOWN = "DORX"
_BLANKS = b" \t\n\v\f\r"
_VALUES_MAX = 1000


@dataclass(frozen=True, slots=True)
class DeliveryFlags:
    """The letters of ``flags=``.

    Attributes:
        delivered_to: add Delivered-To (``D``), and refuse a message that has it already.
        original_to: add X-Original-To (``O``).
        return_path: add Return-Path (``R``).
        final: delivery is final for the purpose of delivery status notifications (``X``).
    """

    delivered_to: bool = False
    original_to: bool = False
    return_path: bool = False
    final: bool = False

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Self:
        """Parse the service's arguments in master.cf; of several ``flags=`` the last counts.

        Raises:
            FatalError: an unknown argument or letter.
        """
        letters = ""
        for argument in arguments:
            name, _, value = argument.partition("=")
            if name.lower() != "flags" or "=" not in argument:
                raise FatalError(f"unknown attribute name: {argument}")
            for letter in value:
                if letter not in _KNOWN:
                    octet = to_text(to_octets(letter)[:1])
                    raise FatalError(f'unknown {argument} value "{octet}" in "{value}"')
            letters = value
        return cls("D" in letters, "O" in letters, "R" in letters, "X" in letters)

    @property
    def letters(self) -> str:
        """The flags as ``flags=`` has them."""
        flags = {"D": self.delivered_to, "O": self.original_to, "R": self.return_path, "X": self.final}
        return "".join(letter for letter, is_set in flags.items() if is_set)

    @property
    def any_header(self) -> bool:
        """Whether a header is added."""
        return self.delivered_to or self.original_to or self.return_path

    def needs_single_recipient(self) -> str:
        """The first flag (``D`` or ``O``) that does not allow several recipients in one request; or nothing."""
        return "D" if self.delivered_to else "O" if self.original_to else ""


async def added_headers(
    flags: DeliveryFlags, request: DeliveryRequest, generic: "GenericMapper | None"
) -> tuple[bytes, ...]:
    """The headers to go before the content, in order; recipients are those of the request's only recipient.

    Raises:
        FatalError: ``smtp_generic_maps`` does not answer.
    """
    headers = []
    if flags.return_path:
        headers.append(b"Return-Path: <" + await _external(request.sender, generic) + b">")
    if flags.original_to:
        headers.append(b"X-Original-To: " + await _external(request.recipients[0].original, generic))
    if flags.delivered_to:
        headers.append(b"Delivered-To: " + await _external(request.recipients[0].address, generic))
    return tuple(headers)


async def _external(address: str, generic: "GenericMapper | None") -> bytes:
    if generic:
        address = await generic.map_internal(address)
    return to_octets(quote_822(address))


async def delivered_before(
    queue_file: QueueFile, request: DeliveryRequest, generic: "GenericMapper | None", *, utf8: bool
) -> bool:
    """Whether the content has the only recipient of the request in a Delivered-To header already.

    Args:
        utf8: addresses are compared as Unicode; else only A to Z have two cases.

    Raises:
        FatalError: the queue file cannot be read, or ``smtp_generic_maps`` does not answer.
    """
    recipient = await _external(request.recipients[0].address, generic)
    return fold(to_text(recipient), unicode=utf8) in _delivered_to(queue_file, request, utf8)


def _delivered_to(queue_file: QueueFile, request: DeliveryRequest, utf8: bool) -> set[str]:
    """The folded values of Delivered-To headers, as far as each is on one line with its name."""
    values: set[str] = set()
    reader = queue_file.records(request.data_offset)
    previous = LINE
    while (kind := reader.next()) in (LINE, PIECE, PAUSE):
        if kind == PAUSE:
            continue
        is_rest, previous = previous == PIECE, kind
        line = reader.text
        if is_rest or line[:1] in (b" ", b"\t"):
            continue
        name = header_name(line)
        if not name:
            break
        if name.lower() == b"delivered-to" and len(values) < _VALUES_MAX:
            # one octet is left out for the colon, even if blanks come before it
            value = line.partition(b"\0")[0][len(name) + 1 :].lstrip(_BLANKS)
            values.add(fold(to_text(value), unicode=utf8))
    return values
