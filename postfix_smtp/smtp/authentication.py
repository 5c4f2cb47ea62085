"""The AUTH exchange (RFC 4954; SASL chapter 2, 4, 5, 8)."""

import base64
import binascii

from postfix_smtp.dsn import Dsn
from postfix_smtp.smtp import features
from postfix_smtp.smtp.actions import AuthenticationRefused, ChooseMechanism, Flow, Need
from postfix_smtp.smtp.conversation import Conversation
from postfix_smtp.smtp.failure import Failure, local_failure
from postfix_smtp.smtp.mechanism import Mechanism, SaslError
from postfix_smtp.smtp.reply import Reply

#: RFC 4954 §3: an AUTH command is a command line, 512 octets with its end.
COMMAND_LENGTH = 512
MAX_ROUNDS = 100
_DELIMITERS = " -\t"


def authenticate(talk: Conversation, mechanisms: str) -> Flow[Failure | None]:
    """Authenticate if there are credentials; without any the session goes on unauthenticated.

    Args:
        mechanisms: offered and wanted, joined by blanks; may be empty.
    """
    has_credentials: bool = yield Need.CREDENTIALS
    if not has_credentials:
        talk.offered &= ~features.AUTH
        return None
    if not mechanisms:
        return local_failure(
            "4.7.0",
            f"SASL authentication failed: server {talk.peer.host} offered no compatible authentication mechanisms "
            "for this type of connection security",
            throttle=True,
        )
    mechanism: Mechanism | Failure = yield ChooseMechanism(mechanisms)
    if isinstance(mechanism, Failure):
        return mechanism
    try:
        return (yield from _exchange(talk, mechanism))
    except SaslError as error:
        return cannot_authenticate(talk.peer.host, error.reason)


def cannot_authenticate(host: str, reason: str) -> Failure:
    """The client side gave up.

    Args:
        host: ``host[address]``.
        reason: the library's status text, such as ``no mechanism available``.
    """
    text = f"SASL authentication failed; cannot authenticate to server {host}: {reason}"
    return Failure(Dsn("4.7.0", text, "x-sasl", reason), throttle=True)


def _exchange(talk: Conversation, mechanism: Mechanism) -> Flow[Failure | None]:
    name = mechanism.name
    first = base64.b64encode(mechanism.initial()).decode("ascii")
    if first and len(name) + len(first) + 8 <= COMMAND_LENGTH:
        talk.command(f"AUTH {name} {first}")
        first = ""
    else:
        talk.command(f"AUTH {name}")
    rounds = 0
    while True:
        reply = yield from talk.reply()
        if reply.kind == 2:
            return None
        if reply.kind != 3:
            yield AuthenticationRefused(reply)
            return _refused(talk, reply)
        rounds += 1
        if rounds > MAX_ROUNDS:
            return local_failure(
                "4.3.0",
                f"SASL authentication failed; authentication protocol loop with server {talk.peer.host}",
                throttle=True,
            )
        challenge = _challenge(reply)
        if not first:
            talk.command(base64.b64encode(mechanism.step(_decoded(challenge))).decode("ascii"))
        elif challenge:
            # Postfix shows its own response here, which holds the password.
            text = f"SASL authentication failed; non-empty initial {name} challenge from server {talk.peer.host}: "
            return Failure(Dsn("4.7.0", text, "x-sasl", "protocol error"), throttle=True)
        else:
            talk.command(first)
            first = ""


def _challenge(reply: Reply) -> str:
    """What follows the code and one delimiter."""
    rest = reply.text[3:]
    return rest[1:] if rest[:1] in _DELIMITERS else rest


def _decoded(challenge: str) -> bytes:
    try:
        return binascii.a2b_base64(challenge, strict_mode=True)
    except ValueError as error:
        raise SaslError("bad protocol / cancel") from error


def _refused(talk: Conversation, reply: Reply) -> Failure:
    """The server said no. Unlike elsewhere its lines stay apart."""
    settings = talk.settings
    status = reply.status
    if settings.auth_soft_bounce and reply.kind == 5:
        status = "4" + status[1:]
    text = f"SASL authentication failed; server {talk.peer.host} said: {reply.text}"
    return Failure(Dsn(status, text, settings.program, reply.text, "dns", talk.peer.name), throttle=True)
