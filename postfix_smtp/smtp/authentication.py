"""The AUTH exchange (RFC 4954; SASL chapter 2, 4, 5, 8)."""

import base64

from postfix_smtp.dsn import Dsn
from postfix_smtp.smtp import features
from postfix_smtp.smtp.actions import AuthenticationRefused, ChooseMechanism, Flow, Need, Respond
from postfix_smtp.smtp.conversation import Conversation
from postfix_smtp.smtp.failure import Failure, local_failure
from postfix_smtp.smtp.mechanism import Mechanism, SaslError, from_base64
from postfix_smtp.smtp.reply import Reply

#: RFC 4954 §3: an AUTH command is a command line, 512 octets with its end.
COMMAND_LENGTH = 512
MAX_ROUNDS = 100
#: Stands in the log for what must not be there.
HIDDEN = "[hidden]"
_BEARER = ("XOAUTH2", "OAUTHBEARER")
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
        return (yield from _authenticate_with(talk, mechanism))
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


def _authenticate_with(talk: Conversation, mechanism: Mechanism) -> Flow[Failure | None]:
    """The exchange, and a second one if the first was refused and there is reason to try again."""
    result = yield from _exchange(talk, mechanism)
    if not isinstance(result, Reply):
        return result
    answer: Mechanism | str | None = yield AuthenticationRefused(result)
    if answer is None or isinstance(answer, str):
        return _refused(talk, result, answer)
    result = yield from _exchange(talk, answer)
    if not isinstance(result, Reply):
        return result
    answer = yield AuthenticationRefused(result)
    return _refused(talk, result, answer if isinstance(answer, str) else None)


def _exchange(talk: Conversation, mechanism: Mechanism) -> Flow[Failure | Reply | None]:
    """One AUTH command and what follows; the server's reply if it refuses."""
    name = mechanism.name
    # Postfix shows the postmaster what its mechanisms say. An access token is good for everything the account can do
    confidential = name in _BEARER
    first = _encoded((yield from _respond(mechanism, None)))
    if first and len(name) + len(first) + 8 <= COMMAND_LENGTH:
        talk.command(f"AUTH {name} {first}", shown=f"AUTH {name} {HIDDEN}", confidential=confidential)
        first = ""
    else:
        talk.command(f"AUTH {name}")
    rounds = 0
    while True:
        reply = yield from talk.reply()
        if reply.kind == 2:
            return None
        if reply.kind != 3:
            return reply
        rounds += 1
        if rounds > MAX_ROUNDS:
            return local_failure(
                "4.3.0",
                f"SASL authentication failed; authentication protocol loop with server {talk.peer.host}",
                throttle=True,
            )
        challenge = _challenge(reply)
        if not first:
            response = _encoded((yield from _respond(mechanism, from_base64(challenge))))
            talk.command(response, shown=HIDDEN if response else None, confidential=confidential)
        elif challenge:
            # Postfix shows its own response here, which holds the password.
            text = f"SASL authentication failed; non-empty initial {name} challenge from server {talk.peer.host}: "
            return Failure(Dsn("4.7.0", text, "x-sasl", "protocol error"), throttle=True)
        else:
            talk.command(first, shown=HIDDEN, confidential=confidential)
            first = ""


def _respond(mechanism: Mechanism, challenge: bytes | None) -> Flow[bytes]:
    if mechanism.waits(challenge):
        response: bytes = yield Respond(mechanism, challenge)
        return response
    return mechanism.initial() if challenge is None else mechanism.step(challenge)


def _encoded(message: bytes) -> str:
    return base64.b64encode(message).decode("ascii")


def _challenge(reply: Reply) -> str:
    """What follows the code and one delimiter."""
    rest = reply.text[3:]
    return rest[1:] if rest[:1] in _DELIMITERS else rest


def _refused(talk: Conversation, reply: Reply, explanation: str | None) -> Failure:
    """The server said no. Unlike elsewhere its lines stay apart."""
    settings = talk.settings
    status = reply.status
    if settings.auth_soft_bounce and reply.kind == 5:
        status = "4" + status[1:]
    text = f"SASL authentication failed; server {talk.peer.host} said: {reply.text}"
    if explanation:
        text = f"{text} ({explanation})"
    return Failure(Dsn(status, text, settings.program, reply.text, "dns", talk.peer.name), throttle=True)
