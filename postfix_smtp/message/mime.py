"""The MIME processor: which lines are headers, of what; where parts begin; what is 8bit (message chapter 4).

It takes queue file records and gives events. It neither looks anything up nor knows what becomes of a line.

The *section* of a line is the primary header (RFC 5322), the header of a part, the nested header that starts an
attached message, or a body. In a body nothing is parsed but boundaries, until one of them starts the header of the
next part. What RFC 2045 and 2046 say about malformed structures is not the point here: this finds what Postfix finds.
"""

from enum import IntEnum

from postfix_smtp.message.content_headers import Composite, Domain, content_type, transfer_encoding
from postfix_smtp.message.headers import header_name
from postfix_smtp.message.quoted_printable import QuotedPrintable
from postfix_smtp.message.settings import MessageSettings
from postfix_smtp.queue.records import LINE, PIECE


class Section(IntEnum):
    """Where an event belongs."""

    PRIMARY = 0  #: header of the message
    PART = 1  #: header of a part of a multipart
    NESTED = 2  #: first header of an attached message
    BODY = 3


#: A section, a record type (LINE or PIECE; LINE or GENERATED for headers) and a text. A header is complete, its name
#: without blanks before the colon, its lines separated by LF.
Event = tuple[Section, int, bytes]

#: In place of a record type: a header that was not in the message.
GENERATED = 0

_NO_RECORD = 0
_DASHES = b"--"


class MimeProcessor:
    """One pass through a message.

    Attributes:
        section: where the next record is expected to belong.
        nesting_exceeded: the structure is too deep; only found out when converting. No further record may be given.
    """

    __slots__ = (
        "_boundaries",
        "_composite",
        "_converting",
        "_depth",
        "_domain",
        "_encoder",
        "_header",
        "_header_size",
        "_name",
        "_parsing",
        "_previous",
        "_settings",
        "nesting_exceeded",
        "section",
    )

    def __init__(self, settings: MessageSettings, *, parsing: bool, converting: bool) -> None:
        """
        Args:
            parsing: look into Content-Type and Content-Transfer-Encoding; else only the primary header is told from
                the rest.
            converting: label and encode what is not 7bit as quoted-printable or 7bit; includes `parsing`.
        """
        self._settings = settings
        self._parsing = parsing or converting
        self._converting = converting
        self.section = Section.PRIMARY
        self._composite = Composite.TEXT
        self._domain = Domain.SEVEN_BIT
        self._boundaries: list[tuple[bytes, Composite]] = []  # outermost first, with the default type of their parts
        self._depth = -1
        self._header: list[bytes] = []
        self._header_size = 0
        self._name = b""
        self._encoder = QuotedPrintable()
        self._previous = _NO_RECORD
        self.nesting_exceeded = False

    @property
    def is_transparent(self) -> bool:
        """The next record starts a line that goes out as it is, except perhaps if it starts with two dashes."""
        return (
            self.section is Section.BODY
            and self._previous != PIECE
            and not (self._converting and self._domain is not Domain.SEVEN_BIT)
        )

    @property
    def is_encoding(self) -> bool:
        """The next record starts a line that is encoded, except perhaps if it starts with two dashes."""
        return (
            self._converting
            and self._domain is not Domain.SEVEN_BIT
            and self.section is Section.BODY
            and self._previous != PIECE
        )

    @property
    def expects_boundary(self) -> bool:
        """A line that starts with two dashes may be a boundary."""
        return bool(self._boundaries)

    def encoded(self, texts: list[bytes]) -> list[bytes]:
        """Take whole lines that are encoded, see `is_encoding`; the lines that come of them."""
        self._previous = LINE
        return self._encoder.encode_lines(texts)

    def skipped(self) -> None:
        """Whole lines were sent past the processor, see `is_transparent`."""
        self._previous = LINE

    def feed(self, kind: int, text: bytes) -> list[Event]:
        """Take a record."""
        events: list[Event] = []
        if self.section is not Section.BODY and self._take_header(kind, text, events):
            return events
        self._take_body(kind, text, events)
        self._previous = kind
        return events

    def finish(self) -> list[Event]:
        """Take the end of the content."""
        events = self.feed(LINE, b"") if self._previous == PIECE else []
        if self.section is not Section.BODY:
            self._end_header(events)
            self._add_encoding_header(events)
        return events

    def _take_header(self, kind: int, text: bytes, events: list[Event]) -> bool:
        """Take a record in a header section; false if it ends the section."""
        if self._header:
            if self._previous == PIECE:
                self._append(text)
            elif text[:1] in (b" ", b"\t"):
                self._append(text, b"\n")
            else:
                self._end_header(events)
                self._previous = _NO_RECORD
        if not self._header:
            name = header_name(text)
            if not name:
                self._end_section(text, events)
                return False
            rest = text[text.index(b":", len(name)) :].partition(b"\0")[0]
            self._name = name.lower()
            self._header = [name, rest]
            self._header_size = len(name) + len(rest)
        self._previous = kind
        return True

    def _append(self, text: bytes, separator: bytes = b"") -> None:
        if self._header_size < self._settings.header_size_limit:
            text = separator + text.partition(b"\0")[0]
            self._header.append(text)
            self._header_size += len(text)

    def _end_header(self, events: list[Event]) -> None:
        """A header is complete."""
        if not self._header:
            return
        header = b"".join(self._header)
        self._header = []
        if self._parsing and self._name.startswith(b"content-t"):
            if self._name == b"content-type":
                self._take_content_type(header[len(self._name) + 1 :])
            elif self._name == b"content-transfer-encoding":
                domain = transfer_encoding(header[len(self._name) + 1 :])
                if domain is not None:
                    self._domain = domain
                if self._converting and self._domain is not Domain.SEVEN_BIT:
                    return  # another one is made when the section ends
        events.append((self.section, LINE, header))

    def _take_content_type(self, value: bytes) -> None:
        found = content_type(value)
        if found is None:
            return
        self._composite = found.composite
        for boundary in found.boundaries:
            if self._depth > self._settings.nesting_limit:
                self.nesting_exceeded = self.nesting_exceeded or self._converting
            else:
                self._depth += 1
                self._boundaries.append((boundary[: self._settings.boundary_length_limit], found.default_part))

    def _end_section(self, text: bytes, events: list[Event]) -> None:
        """A record that is no header ends the section."""
        section = self.section
        self._add_encoding_header(events)
        self.section = Section.BODY
        if text:
            if section is Section.PRIMARY:
                events.append((Section.BODY, LINE, b""))
        elif self._composite is Composite.RFC822 or (
            self._composite is Composite.GLOBAL and not (self._converting and self._domain is not Domain.SEVEN_BIT)
        ):
            if self._parsing:
                self.section = Section.NESTED
            self._composite = Composite.TEXT
            self._domain = Domain.SEVEN_BIT
        elif self._composite is Composite.MULTIPART:
            self._composite = Composite.OTHER
            self._domain = Domain.SEVEN_BIT

    def _add_encoding_header(self, events: list[Event]) -> None:
        if self._converting and self._domain is not Domain.SEVEN_BIT:
            encoding = b"7bit" if self._composite.is_labelled_7bit else b"quoted-printable"
            events.append((self.section, GENERATED, b"Content-Transfer-Encoding: " + encoding))

    def _take_body(self, kind: int, text: bytes, events: list[Event]) -> None:
        if (
            self._boundaries
            and self._previous != PIECE
            and text.startswith(_DASHES)
            and len(text) > len(_DASHES)
            and self._find_boundary(text)
        ):
            pass  # and the domain is 7bit now
        elif self._converting and self._domain is not Domain.SEVEN_BIT:
            for line in self._encoder.encode(text, ends=kind == LINE):
                events.append((Section.BODY, LINE, line))
            return
        events.append((Section.BODY, kind, text))

    def _find_boundary(self, text: bytes) -> bool:
        """Look for the innermost boundary that `text` starts with, and leave what is inside it."""
        for index in range(len(self._boundaries) - 1, -1, -1):
            boundary, default_part = self._boundaries[index]
            if text.startswith(boundary, len(_DASHES)):
                break
        else:
            return False
        if text.startswith(_DASHES, len(_DASHES) + len(boundary)):
            self._leave(index)
            self.section = Section.BODY
            self._composite = Composite.OTHER
        else:
            self._leave(index + 1)
            self.section = Section.PART
            self._composite = default_part
        self._domain = Domain.SEVEN_BIT
        return True

    def _leave(self, index: int) -> None:
        """Forget the boundaries from `index` on."""
        self._depth -= len(self._boundaries) - index
        del self._boundaries[index:]
