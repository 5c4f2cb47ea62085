"""How the conversation differs between Postfix versions, as data (smtp-protocol chapter 17)."""

from dataclasses import dataclass

from postfix_smtp.printable import is_strict

#: First patch release of each older series that cuts endless reply lines off.
_ENDLESS_LINES_END = {(3, 8): 18, (3, 9): 12, (3, 10): 11, (3, 11): 4}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One Postfix version's ways.

    Attributes:
        strict_utf8: replies keep well-formed UTF-8 only (3.9).
        list_separator: between words of two log lines (3.11: comma and blank).
        smtputf8_discard_name: how the keyword is logged when it is being discarded.
        cut_endless_lines: a reply line that does not end shuts down the receiving side.
        orcpt_needs_valid_utf8: ORCPT of type ``utf-8`` only for well-formed UTF-8 (3.10).
        smtputf8_tries_others: a server without SMTPUTF8 does not bounce the message while others are left (3.11).
        requiretls: the REQUIRETLS keyword is known (3.11).
    """

    strict_utf8: bool
    list_separator: str
    smtputf8_discard_name: str
    cut_endless_lines: bool
    orcpt_needs_valid_utf8: bool
    smtputf8_tries_others: bool
    requiretls: bool

    @classmethod
    def of(cls, version: tuple[int, ...]) -> "Dialect":
        """The dialect of a version such as (3, 7, 11)."""
        series = version[0], version[1]
        since_3_11 = series >= (3, 11)
        patch = version[2] if len(version) > 2 else 0
        return cls(
            strict_utf8=is_strict(version),
            list_separator=", " if since_3_11 else " ",
            smtputf8_discard_name="SMTPUTF8" if since_3_11 else "EHLO_MASK_SMTPUTF8",
            cut_endless_lines=series > (3, 11) or patch >= _ENDLESS_LINES_END.get(series, 1_000_000),
            orcpt_needs_valid_utf8=series >= (3, 10),
            smtputf8_tries_others=since_3_11,
            requiretls=since_3_11,
        )
