"""Which mechanism is used: the best that the server offers and that is safe enough (SASL chapter 4).

The order of the server's list does not matter. A mechanism must have every property that the security options name.
"""

import re
from collections.abc import Callable
from enum import IntFlag
from functools import partial
from typing import NamedTuple

from postfix_smtp import log
from postfix_smtp.errors import FatalError
from postfix_smtp.sasl.bearer import Bearer
from postfix_smtp.sasl.digest_md5 import DigestMd5
from postfix_smtp.sasl.exchange import Exchange, Identity
from postfix_smtp.sasl.scram import SaltedPasswords, Scram
from postfix_smtp.sasl.simple import Anonymous, CramMd5, External, Login, Plain


class Property(IntFlag):
    """What the security options can ask for; the names are those of main.cf."""

    NOPLAINTEXT = 1  #: the password does not travel in clear
    NOACTIVE = 2  #: an active attacker learns nothing
    NODICTIONARY = 4  #: passwords cannot be guessed from what was overheard
    FORWARD_SECRECY = 8
    NOANONYMOUS = 16
    MUTUAL_AUTH = 32  #: the server must know the password, too


_SAFE = Property.NOPLAINTEXT | Property.NOANONYMOUS
_MUTUAL = _SAFE | Property.MUTUAL_AUTH


class Kind(NamedTuple):
    """One mechanism.

    Attributes:
        make: makes an exchange, given the mechanism's name and the identity.
        bearer: takes an access token in place of a password.
    """

    name: str
    properties: Property
    make: Callable[[str, Identity], Exchange]
    bearer: bool = False


SCRAM = tuple(
    Kind(f"SCRAM-SHA-{size}", _MUTUAL | Property.NOACTIVE, Scram) for size in ("512", "384", "256", "224", "1")
)
_DIGEST = Kind("DIGEST-MD5", _MUTUAL, DigestMd5)
_EXTERNAL = Kind("EXTERNAL", _SAFE | Property.NODICTIONARY, External)
_CRAM = Kind("CRAM-MD5", _SAFE, CramMd5)
BEARER = (
    Kind("OAUTHBEARER", Property.NOANONYMOUS, Bearer, True),
    Kind("XOAUTH2", Property.NOANONYMOUS, Bearer, True),
)
_PLAIN = (Kind("PLAIN", Property.NOANONYMOUS, Plain), Kind("LOGIN", Property.NOANONYMOUS, Login))
_ANONYMOUS = Kind("ANONYMOUS", Property.NOPLAINTEXT, Anonymous)

_NAME = re.compile(r"[A-Za-z0-9_-]+")


def ranked(kerberos: Kind | None = None, ntlm: Kind | None = None) -> tuple[Kind, ...]:
    """All mechanisms, best first, except those with channel binding.

    Args:
        kerberos, ntlm: mechanisms that an extra package provides.
    """
    passwords = SaltedPasswords()
    scram = tuple(kind._replace(make=partial(Scram, cache=passwords)) for kind in SCRAM)
    optional = [(kerberos,) if kerberos else (), (ntlm,) if ntlm else ()]
    return (*scram, *optional[0], _DIGEST, _EXTERNAL, _CRAM, *optional[1], *BEARER, *_PLAIN, _ANONYMOUS)


def bound(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """Those of them that can be bound to a TLS session, under their names for that."""
    return tuple(kind._replace(name=f"{kind.name}-PLUS") for kind in kinds if kind.name.startswith("SCRAM-"))


def security_properties(value: str) -> Property:
    """The properties that a ``smtp_sasl_..._security_options`` parameter demands.

    Raises:
        FatalError: there is no such option.
    """
    wanted = Property(0)
    for word in value.replace(",", " ").split():
        found = Property.__members__.get(word.upper()) if word == word.lower() else None
        if found is None:
            log.warning(f'unknown SASL security options value "{word}" in "{value}"')
            log.warning("bad per-session SASL security properties")
            raise FatalError("SASL per-connection initialization failed")
        wanted |= found
    return wanted


def choose(kinds: tuple[Kind, ...], offered: str, wanted: Property, *, bearer: bool = False) -> Kind | None:
    """The first of `kinds` that is offered and has all properties that are wanted.

    Args:
        offered: the server's list; anything but a letter, a digit, ``-`` and ``_`` separates.
        bearer: mechanisms with access tokens count.
    """
    names = {name.upper() for name in _NAME.findall(offered)}
    for kind in kinds:
        if kind.name in names and kind.properties & wanted == wanted and (bearer or not kind.bearer):
            return kind
    return None


def only_bound(offered: str) -> bool:
    """Whether all that is offered are mechanisms with channel binding."""
    return all(name.upper().endswith("-PLUS") for name in _NAME.findall(offered))
