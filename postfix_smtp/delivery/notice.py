"""Postmaster notices: the transcript of a strange session by mail (delivery chapter 13)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from postfix_smtp.config.access import Parameters
from postfix_smtp.config.lists import mask
from postfix_smtp.errors import FatalError
from postfix_smtp.ipc.cleanup import notice_flags
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.text import to_octets, to_text

WIDTH = 78
INDENT = 4
_CLASSES = frozenset({"bounce", "2bounce", "data", "delay", "policy", "protocol", "resource", "software"})


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """What notices need from main.cf.

    Attributes:
        classes: ``notify_classes``, a raw list: it is looked at when the first session ends, not before.
        program: ``SMTP`` or ``LMTP``.
    """

    classes: str
    recipient: str
    double_bounce: str
    hostname: str
    mail_name: str
    standard_header: bool
    program: str
    internal_filter_classes: str
    autodetect_classes: str

    @classmethod
    def from_parameters(cls, p: Parameters) -> "NoticeSettings":
        """Read the parameters.

        Raises:
            FatalError: ``header_from_format`` is neither standard nor obsolete.
        """
        form = p.text("header_from_format")
        if form.lower() not in ("standard", "obsolete"):
            raise FatalError(f'invalid setting: "header_from_format = {form}"')
        return cls(
            classes=p.text("notify_classes"),
            recipient=p.text("error_notice_recipient"),
            double_bounce=p.text("double_bounce_sender"),
            hostname=p.text("myhostname"),
            mail_name=p.text("mail_name"),
            standard_header=form.lower() == "standard",
            program=p.program.upper(),
            internal_filter_classes=p.text("internal_mail_filter_classes"),
            autodetect_classes=p.text("smtputf8_autodetect_classes"),
        )

    @property
    def sender(self) -> str:
        """The complete double-bounce address."""
        return f"{self.double_bounce}@{self.hostname}"


def wanted(settings: NoticeSettings, error_classes: set[str], sender: str) -> bool:
    """Whether the postmaster wants to know about these classes of trouble, for a message from `sender`.

    Raises:
        FatalError: ``notify_classes`` has an unknown name.
    """
    wanted_classes = mask("notify_classes", settings.classes, _CLASSES)
    if not error_classes & wanted_classes:
        return False
    return bool(sender) and sender.lower() != settings.sender.lower()


def flags(settings: NoticeSettings) -> int:
    """The cleanup(8) flags of a notice."""
    detect = settings.autodetect_classes.replace(",", " ").split()
    internal = settings.internal_filter_classes.replace(",", " ").split()
    return notice_flags("notify" in internal, "notify" in detect or "all" in detect)


def lines(settings: NoticeSettings, queue_id: str, peer: Peer, transcript: Sequence[str], now: float) -> list[str]:
    """The notice: header, empty line, body.

    Args:
        transcript: ``Out: EHLO ...``, ``In:  250 ...`` in order.
        now: UNIX time.
    """
    date = mail_date(now)
    daemon = f"MAILER-DAEMON@{settings.hostname}"
    if settings.standard_header:
        addresses = [f"From: Mail Delivery System <{daemon}>", f"To: Postmaster <{settings.recipient}>"]
    else:
        addresses = [f"From: {daemon} (Mail Delivery System)", f"To: {settings.recipient} (Postmaster)"]
    subject = f"{settings.mail_name} {settings.program} client: errors from {peer.endpoint}"
    text = [
        f"Received: by {settings.hostname} ({settings.mail_name})",
        f"\tid {queue_id}; {date}",
        f"Date: {date}",
        *addresses,
        f"Subject: {subject}",
        "",
        f"Unexpected response from {peer.endpoint}.",
        "",
        "Transcript of session follows.",
        "",
    ]
    for entry in transcript:
        text += wrap(entry)
    return [*text, "", "For other details, see the local mail logfile"]


def mail_date(now: float) -> str:
    """RFC 5322 date with the zone's name, as Postfix writes it: two columns for the day of the month."""
    local = time.localtime(now)
    return time.strftime(f"%a, {local.tm_mday:2} %b %Y %H:%M:%S %z (%Z)", local)


def wrap(entry: str) -> list[str]:
    """Fold a transcript entry at blanks; lengths count octets, a long word is not split."""
    folded = []
    rest = to_octets(entry)
    room, indent = WIDTH, b" "
    while True:
        if len(rest) <= room:
            folded.append(to_text(indent + rest.rstrip(b" ")))
            return folded
        cut = rest.rfind(b" ", 0, room + 1)
        if cut <= 0:
            cut = rest.find(b" ", room)
            if cut < 0:
                folded.append(to_text(indent + rest))
                return folded
        folded.append(to_text(indent + rest[:cut].rstrip(b" ")))
        rest = rest[cut:].lstrip(b" ")
        room, indent = WIDTH - INDENT, b" " * (INDENT + 1)
