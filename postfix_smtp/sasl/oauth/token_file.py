"""Token files: what is in them, in JSON or TOML, and how they are rewritten (SASL chapter 7.3).

The JSON form is that of the sasl-xoauth2 plug-in, with more members; members that are not known here are kept, in TOML
the comments, too.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from postfix_smtp.sasl.oauth.errors import TokenError
from postfix_smtp.sasl.oauth.providers import PROVIDERS

#: Where the plug-in looks when nothing else is said.
DEFAULT_ENDPOINT = "https://accounts.google.com/o/oauth2/token"
EXEC = "exec:"
#: Seconds before its expiry from which a token is not used any more.
UNUSABLE_BEFORE = 10
#: Seconds before its expiry from which a token is renewed; in that time a failure does no harm yet.
RENEW_BEFORE = 60
_TOKEN = re.compile(r"[!-~]+")


class Grant(StrEnum):
    """How a new access token is got."""

    REFRESH_TOKEN = "refresh_token"
    CLIENT_CREDENTIALS = "client_credentials"
    EXEC = "exec"
    NONE = "none"  #: somebody else renews it


@dataclass(frozen=True, slots=True)
class TokenFile:
    """One token file.

    Attributes:
        values: its members, over the defaults.
        text: of the file.
        is_json: the form.
    """

    values: Mapping[str, Any] = field(repr=False)
    text: str = field(repr=False)
    is_json: bool

    @classmethod
    def parse(cls, octets: bytes, defaults: Mapping[str, Any]) -> "TokenFile":
        """Read the content of a file.

        Args:
            defaults: values for members that are missing.

        Raises:
            TokenError: it cannot be read.
        """
        try:
            text = octets.decode()
            is_json = text.lstrip().startswith("{")
            values = json.loads(text) if is_json else tomllib.loads(text)
        except (ValueError, RecursionError):
            # What the parser says may show a part of the file
            raise TokenError("token file is neither JSON nor TOML", lasting=True) from None
        merged = {**defaults, **{name: value for name, value in values.items() if value is not None}}
        return cls(merged, text, is_json)

    def string(self, name: str) -> str:
        """A member as text; empty if it is missing."""
        value = self.values.get(name, "")
        return value if isinstance(value, str) else str(value)

    @property
    def user(self) -> str:
        """Whose token it is, if the file says so."""
        return self.string("user")

    @property
    def access_token(self) -> str:
        """The last access token; empty if there is none that could be sent."""
        token = self.string("access_token")
        return token if _TOKEN.fullmatch(token) else ""

    @property
    def refresh_token(self) -> str:
        """The current refresh token."""
        return self.string("refresh_token")

    @property
    def expiry(self) -> float:
        """UNIX time; 0: renew now."""
        try:
            return float(self.values.get("expiry", 0))
        except (TypeError, ValueError):
            return 0

    @property
    def command(self) -> str:
        """Of the grant ``exec:COMMAND``."""
        return self.string("grant").removeprefix(EXEC).strip()

    @property
    def grant(self) -> Grant:
        """How it is renewed."""
        name = self.string("grant")
        if name.startswith(EXEC):
            return Grant.EXEC
        if name in (Grant.REFRESH_TOKEN, Grant.CLIENT_CREDENTIALS):
            return Grant(name)
        if name:
            raise TokenError(f"token file has an unknown grant: {name[:40]}", lasting=True)
        return Grant.REFRESH_TOKEN if self.refresh_token else Grant.NONE

    @property
    def token_endpoint(self) -> str:
        """URL."""
        provider = PROVIDERS.get(self.string("provider").lower())
        return self.string("token_endpoint") or (provider.token_endpoint if provider else DEFAULT_ENDPOINT)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return (self.refresh_token, self.string("client_secret"), self.string("access_token"))

    def usable(self, now: float, margin: float = UNUSABLE_BEFORE) -> bool:
        """Whether the access token can be used for another `margin` seconds."""
        if not self.access_token:
            return False
        if "expiry" not in self.values:
            return self.grant is Grant.NONE
        return now + margin < self.expiry

    def form(self) -> dict[str, str]:
        """The request for a new token (RFC 6749 §4.4.2, §6).

        Raises:
            TokenError: something is missing in the file.
        """
        grant = self.grant
        form = {"client_id": self.string("client_id"), "client_secret": self.string("client_secret")}
        if not form["client_id"]:
            raise TokenError("token file has no client_id", lasting=True)
        if not form["client_secret"]:
            # Public clients have none; some providers mind an empty one
            if grant is Grant.CLIENT_CREDENTIALS:
                raise TokenError("token file has no client_secret", lasting=True)
            if "client_secret" not in self.values:
                del form["client_secret"]
        form["grant_type"] = grant.value
        if grant is Grant.REFRESH_TOKEN:
            if not self.refresh_token:
                raise TokenError("token file has no refresh_token", lasting=True)
            form["refresh_token"] = self.refresh_token
        if scope := self.string("scope"):
            form["scope"] = scope
        return form

    def rewritten(self, access_token: str, expiry: int, refresh_token: str | None, **others: str) -> bytes:
        """The content of the file with a new token.

        Args:
            expiry: UNIX time.
            refresh_token: None if it stays the same.
            others: more members to set.
        """
        changes: dict[str, Any] = {
            **others,
            "access_token": access_token,
            "expiry": str(expiry) if self.is_json else expiry,
        }
        if refresh_token is not None:
            changes["refresh_token"] = refresh_token
        if self.is_json:
            return (json.dumps({**json.loads(self.text), **changes}, indent=2, ensure_ascii=False) + "\n").encode()
        return _toml_with(self.text, changes).encode()


def _toml_with(text: str, changes: Mapping[str, Any]) -> str:
    """A TOML text with some top-level members replaced or added."""
    wanted = {**tomllib.loads(text), **changes}
    lines = text.splitlines()
    table = next((number for number, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    head = lines[:table]
    for name, value in changes.items():
        line = f"{name} = {_toml_value(value)}"
        pattern = re.compile(rf"\s*(?:{name}|\"{name}\"|'{name}')\s*=")
        places = [number for number, old in enumerate(head) if pattern.match(old)]
        if places:
            head[places[0]] = line
        else:
            head.append(line)
    edited = "\n".join([*head, *lines[table:]]) + "\n"
    try:
        if tomllib.loads(edited) == wanted:
            return edited
    except tomllib.TOMLDecodeError:
        pass
    # A value that went over several lines, or the like: the comments are lost
    flat = {name: value for name, value in wanted.items() if not isinstance(value, (dict, list))}
    return "".join(f"{json.dumps(name)} = {_toml_value(value)}\n" for name, value in flat.items())


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON strings are TOML basic strings, but for the one character that TOML forbids
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else str(value)
