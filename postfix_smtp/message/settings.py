"""What the content of a message is subject to on its way out."""

from dataclasses import dataclass

from postfix_smtp.config.access import Parameters
from postfix_smtp.config.lists import mask

#: A limit of 1 would leave no room for text beside the blank that starts a continuation line.
_LINE_LENGTH_MIN = 2
_KINDS_OF_TABLE = frozenset({"canonical", "virtual", "alias", "forward", "include", "generic"})


@dataclass(frozen=True, slots=True)
class MessageSettings:
    """Limits and choices (message chapter).

    Attributes:
        line_length_limit: longest line sent, in octets without CR LF; 0 is no limit.
        header_size_limit: octets of one header after which further lines of it are dropped by the MIME processor.
        boundary_length_limit: octets of a MIME boundary that are compared.
        nesting_limit: deepest multipart structure.
        conversion: 8bit content is converted for servers that do not offer 8BITMIME.
        log_length: octets of a header or body line in the log line of a check.
    """

    line_length_limit: int = 998
    header_size_limit: int = 102400
    boundary_length_limit: int = 2048
    nesting_limit: int = 100
    conversion: bool = True
    log_length: int = 200

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> "MessageSettings":
        """Read the parameters of the message chapter; the log length depends on the release."""
        limit = parameters.number("smtp_line_length_limit")
        return cls(
            line_length_limit=max(limit, _LINE_LENGTH_MIN) if limit else 0,
            header_size_limit=parameters.number("header_size_limit"),
            boundary_length_limit=parameters.number("mime_boundary_length_limit"),
            nesting_limit=parameters.number("mime_nesting_limit"),
            conversion=not parameters.flag("disable_mime_output_conversion"),
            log_length=60 if parameters.version < (3, 8) else 200,
        )

    def converts(self, encoding: str, offers_8bitmime: bool) -> bool:
        """Whether content is converted to 7bit for a server (message chapter 2).

        Args:
            encoding: of the delivery request; everything but ``7bit`` may need conversion.
            offers_8bitmime: the server offers 8BITMIME, or SMTPUTF8 which includes it.
        """
        return self.conversion and not offers_8bitmime and encoding != "7bit"


def propagated_extensions(parameters: Parameters) -> frozenset[str]:
    """The kinds of table whose results get the extension of the address that was looked up.

    Raises:
        FatalError: ``propagate_unmatched_extensions`` has an unknown name.
    """
    name = "propagate_unmatched_extensions"
    return mask(name, parameters.text(name), _KINDS_OF_TABLE)
