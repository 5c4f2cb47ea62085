"""What a newer OpenSSL than Postfix's does otherwise, so that nothing else has to be masked.

The wheels of cryptography contain a recent OpenSSL, Postfix uses the system's. Where both are of one series nothing is
changed, and every difference counts.
"""

import functools
import re
import subprocess
from collections.abc import Mapping
from typing import Any

from compat.sidebyside.run import Sections

_MATCH_LEVEL = re.compile(r"\b(?:verify|secure|fingerprint|dane|dane-only)\b")
_LEVELS = re.compile(r"(?:smtp|lmtp)_(?:tls_security_level|tls_policy_maps|tls_per_site|enforce_tls)")
_OLD_VERSIONS = re.compile(r"(?<= versions=)([0-9a-f/]*0303)(?:/0302)?(?:/0301)?\b")
_ALERT = re.compile(r"(?<=routines::)(?:sslv3|tlsv1|tls|ssl/tls) alert ")
_CIPHERS = re.compile(r"(?<= ciphers=)[0-9a-f,]+")
#: AES with a short tag (RFC 6655, RFC 7251): since 3.2 the weakest of all, and therefore the last.
_SHORT_TAGS = ("c0af", "c0ae", "c0a3", "c0a2", "c0a1", "c0a0")
_SIGNALING = "00ff"  #: no cipher, always the last (RFC 5746)


@functools.cache
def is_used() -> bool:
    """Whether this program's OpenSSL is of a newer series than the system's."""
    from cryptography.hazmat.backends.openssl import backend

    system = subprocess.run(["openssl", "version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return _series(backend.openssl_version_text()) > _series(system)


def _series(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()[1].split(".")[:2]))


def as_with_it(sections: Sections, scenario: Mapping[str, Any]) -> Sections:
    """What was observed, as a newer library would have done it in the place of Postfix's or of this program's."""
    at_match_level = any(
        _LEVELS.fullmatch(name) and (_MATCH_LEVEL.search(value) or (name.endswith("_enforce_tls") and value == "yes"))
        for name, value in scenario.get("main", {}).items()
        if value is not None
    )
    return {title: [_row(row, at_match_level) for row in rows] for title, rows in sections.items()}


def _row(row: str, at_match_level: bool) -> str:
    if row.startswith("T hello "):
        if at_match_level:
            # At security level 1 there are no signatures for them any more; they could never be completed.
            row = _OLD_VERSIONS.sub(r"\1", row)
        return _CIPHERS.sub(lambda found: _by_strength(found[0]), row)
    return _ALERT.sub("tls alert ", row) if "routines::" in row else row


def _by_strength(suites: str) -> str:
    offered = suites.split(",")
    last = [suite for suite in (*_SHORT_TAGS, _SIGNALING) if suite in offered]
    return ",".join([suite for suite in offered if suite not in last] + last)
