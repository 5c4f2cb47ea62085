"""What TLS logs (``smtp_tls_loglevel``, TLS chapter 5.7)."""

from enum import IntFlag

from postfix_smtp import log
from postfix_smtp.config.lists import split


class LogFeature(IntFlag):
    """One kind of log lines."""

    SUMMARY = 1
    UNTRUSTED = 2
    PEERCERT = 4
    CERTMATCH = 8
    VERBOSE = 16
    CACHE = 32
    DANE = 64
    SSL_DEBUG = 128
    HANDSHAKE_PACKETS = 256
    SESSION_PACKETS = 512


_NONE = LogFeature(0)
_ROUTINE = LogFeature.SUMMARY
_DEBUG = _ROUTINE | LogFeature.VERBOSE | LogFeature.CACHE | LogFeature.SSL_DEBUG
_EXPERT = _DEBUG | LogFeature.HANDSHAKE_PACKETS
_DEVELOPER = _EXPERT | LogFeature.SESSION_PACKETS

_VALUES = {
    "0": _NONE,
    "none": _NONE,
    "1": _ROUTINE,
    "routine": _ROUTINE,
    "2": _DEBUG,
    "debug": _DEBUG,
    "3": _EXPERT,
    "ssl-expert": _EXPERT,
    **dict.fromkeys("456789", _DEVELOPER),
    "ssl-developer": _DEVELOPER,
    "summary": LogFeature.SUMMARY,
    "untrusted": LogFeature.UNTRUSTED,
    "peercert": LogFeature.PEERCERT,
    "certmatch": LogFeature.CERTMATCH,
    "verbose": LogFeature.VERBOSE,
    "cache": LogFeature.CACHE,
    "dane": LogFeature.DANE,
    "ssl-debug": LogFeature.SSL_DEBUG,
    "ssl-handshake-packet-dump": LogFeature.HANDSHAKE_PACKETS,
    "ssl-session-packet-dump": LogFeature.HANDSHAKE_PACKETS | LogFeature.SESSION_PACKETS,
}


def parse_loglevel(name: str, value: str) -> LogFeature:
    """The features that a value names, all together; none if any of its words is unknown.

    Args:
        name: of the parameter, for the warning.
    """
    features = _NONE
    for word in split(value):
        feature = _VALUES.get(word.lower())
        if feature is None:
            log.warning(f'unknown {name} value "{word}" in "{value}"')
            return _NONE
        features |= feature
    return features
