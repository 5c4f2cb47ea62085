"""The one line that tells what became of a recipient (delivery chapter 11)."""

from dataclasses import dataclass

from postfix_smtp.dsn import Dsn
from postfix_smtp.ipc.request import Recipient
from postfix_smtp.smtp.quoting import quote_822
from postfix_smtp.text import fold

_MICROSECONDS = 1_000_000


@dataclass(slots=True)
class Timeline:
    """When things happened in the life of one message, UNIX times; `setup` and `done` are 0.0 until they have.

    Attributes:
        arrival: in the incoming queue.
        active: entered the active queue.
        handoff: the request was read.
        setup: MAIL FROM was built in the current session.
        done: the last end-of-data reply came.
    """

    arrival: float
    active: float
    handoff: float
    setup: float = 0.0
    done: float = 0.0

    def delays(self, clock: float, digits: int) -> tuple[str, str]:
        """The values of ``delay=`` and ``delays=``.

        Args:
            clock: the time now.
            digits: ``delay_logging_resolution_limit``.
        """
        now = self.done or clock
        parts = (
            self.active - self.arrival,
            self.handoff - self.active,
            self.setup - self.handoff if self.setup else 0.0,
            now - (self.setup or self.handoff),
        )
        return format_delay(now - self.arrival, digits), "/".join(format_delay(part, digits) for part in parts)


def format_delay(seconds: float, digits: int) -> str:
    """A duration with at most two significant digits, none finer than 10**-`digits` seconds."""
    if seconds <= 0:
        return "0"
    value = round(seconds * _MICROSECONDS)
    resolution = _MICROSECONDS // 10**digits
    if digits > 0:
        if value >= 10 * _MICROSECONDS:
            resolution = _MICROSECONDS
        elif value >= _MICROSECONDS:
            resolution = _MICROSECONDS // 10
        else:
            while value >= 100 * resolution:
                resolution *= 10
    whole, rest = divmod(value + resolution // 2, _MICROSECONDS)
    if rest < resolution:
        return str(whole)
    text = f"{whole}."
    unit = _MICROSECONDS
    while rest >= resolution and unit > 1:
        unit //= 10
        digit, rest = divmod(rest, unit)
        text += str(digit)
    return text


def recipient_line(
    queue_id: str,
    recipient: Recipient,
    relay: str,
    uses: int,
    delays: tuple[str, str],
    dsn: Dsn,
    word: str,
    *,
    external: bool,
    utf8: bool = True,
    tls: str = "",
) -> str:
    """The log line of one recipient.

    Args:
        relay: server, ``none`` without session.
        uses: how often the connection was used including this time; shown if 2 or more.
        delays: from :meth:`Timeline.delays`.
        word: ``sent``, ``deferred``, ``bounced``...
        external: addresses in quoted form.
        utf8: addresses are compared as Unicode; else only A to Z have two cases.
        tls: value of ``tls=`` (3.11), empty: no such field.
    """
    address = shown_address(recipient.address, external=external)
    original = ""
    if recipient.original and fold(recipient.original, unicode=utf8) != fold(recipient.address, unicode=utf8):
        original = f", orig_to=<{shown_address(recipient.original, external=external)}>"
    used = f", conn_use={uses}" if uses > 1 else ""
    shown_tls = f", tls={tls}" if tls else ""
    return (
        f"{queue_id}: to=<{address}>{original}, relay={relay}{used}, delay={delays[0]}, delays={delays[1]}{shown_tls}, "
        f"dsn={dsn.status}, status={word} ({dsn.reason})"
    )


def shown_address(address: str, *, external: bool) -> str:
    """An address in quoted form, or as it is."""
    return quote_822(address) if external else address
