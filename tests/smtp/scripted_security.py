"""TLS, as little as the vectors need."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScriptedTls:
    """A session with or without a certificate one can trust."""

    is_trusted: bool
    is_matched: bool
    must_match: bool = True
