"""A server's reply as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete, possibly multi-line reply (RFC 5321 §4.2).

    Attributes:
        code: number on the last line, 0..999.
        status: enhanced status code of the last line, made up from the code where it has none (RFC 2034).
        text: all lines with their codes, sanitised, joined by newline.
    """

    code: int
    status: str
    text: str

    @property
    def line(self) -> str:
        """The text on one line, as it goes to the log and into reports."""
        return self.text.replace("\n", " ")

    @property
    def kind(self) -> int:
        """First digit of the code, the only one that decides (2 success, 3 go on, 4 later, 5 no)."""
        return self.code // 100
