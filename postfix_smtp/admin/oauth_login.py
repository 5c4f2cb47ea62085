"""Getting the first token of an account (RFC 8628, or RFC 8252 by hand), and trying it at a server."""

import base64
import hashlib
import re
import secrets
import smtplib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

from postfix_smtp.sasl.bearer import Bearer
from postfix_smtp.sasl.exchange import Identity
from postfix_smtp.sasl.oauth.endpoint import Answer, Problem, Web, read_answer, request_token
from postfix_smtp.sasl.oauth.errors import TokenError, clean
from postfix_smtp.smtp.mechanism import SaslError, from_base64

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: Answers that mean "ask again".
_PENDING, _SLOWER = "authorization_pending", "slow_down"
_INTERVAL, _SLOWED = 5, 5
_VALID = 900
_LONGEST = 86400
_SUBMISSION = 587
_SERVER = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")
#: Google lets devices ask for a few scopes only; mail is not among them.
_BROWSER_ENDPOINTS = {"google": "https://accounts.google.com/o/oauth2/v2/auth"}
_REDIRECT = "http://127.0.0.1:8/"


@dataclass(frozen=True, slots=True)
class Client:
    """An application registered with a provider, and whose account it is for.

    Attributes:
        provider: known name, or empty.
        client_secret: empty for a public client.
    """

    provider: str
    user: str
    client_id: str
    client_secret: str = field(repr=False)
    token_endpoint: str
    device_endpoint: str
    scope: str

    def members(self) -> dict[str, str]:
        """What of it the token file must have."""
        members = {
            "grant": "refresh_token",
            "provider": self.provider,
            "user": self.user,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "token_endpoint": self.token_endpoint,
            # Google takes no scope when a token is renewed
            "scope": self.scope if self.provider != "google" else "",
        }
        return {name: value for name, value in members.items() if value}

    def form(self, **members: str) -> dict[str, str]:
        """A token request."""
        secret = {"client_secret": self.client_secret} if self.client_secret else {}
        return {"client_id": self.client_id, **secret, **members}


def log_in(
    web: Web,
    client: Client,
    say: Callable[[str], None] = print,
    ask: Callable[[str], str] = input,
    wait: Callable[[float], None] = time.sleep,
) -> Answer:
    """Let the user grant access with a browser anywhere; the tokens.

    Args:
        say: shows a line to the user; ask: asks the user for a line; wait: seconds.

    Raises:
        TokenError: access was not granted.
    """
    asked = time.time()
    device = web.post(client.device_endpoint, {"client_id": client.client_id, "scope": client.scope})
    if isinstance(device, Problem):
        if device.code == "invalid_scope" and client.provider in _BROWSER_ENDPOINTS:
            return _log_in_by_hand(web, client, say, ask)
        raise TokenError(f"{device.code}: {device.text}" if device.text else device.code)
    where = device.get("verification_uri") or device.get("verification_url")
    if not device.get("device_code") or not device.get("user_code") or not where:
        raise TokenError("the provider's answer has no code")
    code = clean(str(device["user_code"]))
    say(f"Open  {clean(str(where))}  in a browser, log in as {client.user}, and enter the code  {code}")
    interval = _number(device.get("interval"), _INTERVAL)
    until = asked + _number(device.get("expires_in"), _VALID)
    form = client.form(grant_type=_DEVICE_GRANT, device_code=str(device["device_code"]))
    while time.time() < until:
        wait(interval)
        asked = time.time()
        answer = web.post(client.token_endpoint, form)
        if not isinstance(answer, Problem):
            return read_answer(answer, asked, urlsplit(client.token_endpoint).hostname or "")
        if answer.code == _SLOWER:
            interval += _SLOWED
        elif answer.code != _PENDING:
            raise TokenError(f"{answer.code}: {answer.text}" if answer.text else answer.code)
    raise TokenError("the code has expired: nobody has entered it")


def _log_in_by_hand(web: Web, client: Client, say: Callable[[str], None], ask: Callable[[str], str]) -> Answer:
    """For providers that have no code for devices: the user carries the answer from the browser to here."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "client_id": client.client_id,
        "redirect_uri": _REDIRECT,
        "response_type": "code",
        "scope": client.scope,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": client.user,
    }
    say(f"Open this address in a browser and log in as {client.user}:\n")
    say(f"{_BROWSER_ENDPOINTS[client.provider]}?{urlencode(query)}\n")
    say(f"At the end the browser fails to open a page at {_REDIRECT}. Copy the address of that page to here.")
    told = parse_qs(urlsplit(ask("Address: ").strip()).query)
    if told.get("state") != [state] or "code" not in told:
        raise TokenError(f"access was not granted: {clean(told.get('error', ['this is not the address'])[0])}")
    form = client.form(
        grant_type="authorization_code", code=told["code"][0], redirect_uri=_REDIRECT, code_verifier=verifier
    )
    return request_token(web, client.token_endpoint, form)


def _number(value: object, default: int) -> float:
    """Seconds that the provider names; what is absurd is cut."""
    return float(min(value, _LONGEST)) if isinstance(value, (int, float)) and value >= 0 else default


def server_address(server: str) -> tuple[str, int]:
    """Host and port from ``HOST``, ``HOST:PORT``, ``[ADDRESS]:PORT``.

    Raises:
        ValueError: `server` has another form.
    """
    found = _SERVER.fullmatch(server)
    if found is None:
        raise ValueError("this is not of the form host:port")
    return found[1] or found[2], int(found[3] or _SUBMISSION)


def try_server(server: str, user: str, token: str, web: Web) -> tuple[bool, str]:
    """Log in to an SMTP server with an access token; whether that worked, and what the server said."""
    seconds = 30
    try:
        host, port = server_address(server)
        if port == 465:
            session: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=seconds, context=web.context)
        else:
            session = smtplib.SMTP(host, port, timeout=seconds)
        with session:
            session.ehlo()
            if port != 465:
                session.starttls(context=web.context)
                session.ehlo()
            offered = session.esmtp_features.get("auth", "").upper().split()
            name = next((name for name in ("OAUTHBEARER", "XOAUTH2") if name in offered), "")
            if not name:
                return False, f"offers neither XOAUTH2 nor OAUTHBEARER, but {' '.join(offered) or 'nothing'}"
            exchange = Bearer(name, Identity(user, token, host=host, port=port))
            code, said = session.docmd("AUTH", f"{name} {base64.b64encode(exchange.initial()).decode()}")
            reason = ""
            if code == 334:
                answer = exchange.step(from_base64(said.decode("ascii", "replace")))
                reason = f" ({exchange.refusal})"
                code, said = session.docmd(base64.b64encode(answer).decode())
            return code == 235, f"{name}: {code} {clean(said.decode('utf-8', 'replace'))}{reason}"
    except (OSError, smtplib.SMTPException, SaslError, ValueError) as failure:
        return False, clean(str(failure))
