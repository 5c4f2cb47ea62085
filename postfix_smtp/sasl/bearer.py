"""XOAUTH2 and OAUTHBEARER (RFC 7628): an access token instead of a password (SASL chapter 7).

The identity's password is the access token.
"""

import json

from postfix_smtp.sasl.exchange import Exchange, Identity

_SHOWN = 200


class Bearer(Exchange):
    """One exchange.

    Attributes:
        refusal: why the server did not like the token, from the JSON text of its 334 reply; empty if it did not tell.
    """

    def __init__(self, name: str, identity: Identity) -> None:
        super().__init__(name, identity)
        self.refusal = ""

    @property
    def token(self) -> str:
        """The access token that is used."""
        return self._identity.password

    def initial(self) -> bytes:
        """User and token."""
        who = self._identity
        user, token = who.user_octets, who.password_octets
        if self.name == "XOAUTH2":
            return b"user=" + user + b"\1auth=Bearer " + token + b"\1\1"
        user = user.replace(b"=", b"=3D").replace(b",", b"=2C")
        where = f"host={who.host}\1port={who.port}\1".encode("utf-8", "surrogateescape")
        return b"n,a=" + user + b",\1" + where + b"auth=Bearer " + token + b"\1\1"

    def answer(self, challenge: bytes) -> bytes:
        """The token was refused: give the server the opportunity to say so."""
        self.finished = True
        self.refusal = refusal_of(challenge)
        return b"" if self.name == "XOAUTH2" else b"\1"


def refusal_of(challenge: bytes) -> str:
    """Why a server refuses a token, from the JSON text in its 334 reply; one line, bounded."""
    try:
        told = json.loads(challenge)
    except (ValueError, RecursionError):
        return "no reason given"
    if not isinstance(told, dict):
        return "no reason given"
    parts = [f"{name}={told[name]}" for name in ("status", "error", "error_description", "scope") if told.get(name)]
    text = " ".join(parts) or "no reason given"
    return "".join(character if character.isprintable() else "?" for character in text)[:_SHOWN]
