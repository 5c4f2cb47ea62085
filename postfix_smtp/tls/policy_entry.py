"""The syntax of a policy table entry: a level and attributes (TLS chapter 2.4)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from postfix_smtp import log
from postfix_smtp.config.lists import split
from postfix_smtp.routing import names
from postfix_smtp.tls.levels import Level, parse_level
from postfix_smtp.tls.records import TlsaRecord

_BLANKS = " \t\r\n"
_SEPARATORS = "," + _BLANKS
_BRACES_SINCE = (3, 10)
_RAW_KEYS_SINCE = (3, 9)
_LIST_OF_DIGESTS_SINCE = (3, 9)
_PATTERNS_SINCE = (3, 10, 5)
_MAX_TTL = 2147483647
_ANY_BLANK = re.compile(r"[ \t\r\n\v\f]")

EXTERNAL_FAILURES = ("sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid", "validation-failure")
EXTERNAL_TYPES = ("sts", "no-policy-found")


class PolicyError(Exception):
    """A policy that cannot be used; what is wrong has been logged.

    Attributes:
        status: DSN status code.
        reason: text for people.
    """

    def __init__(self, reason: str = "client TLS configuration problem", status: str = "4.7.5") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(slots=True)
class External:
    """A policy that somebody else found: MTA-STS (3.10).

    Attributes:
        type: ``sts`` or ``no-policy-found``.
        failure: what went wrong when it was looked for, empty if nothing.
    """

    type: str = ""
    domain: str = ""
    ttl: int | None = None
    strings: list[str] = field(default_factory=list)
    mx_patterns: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def is_given(self) -> bool:
        """Any attribute beside the type is given."""
        return bool(self.domain or self.ttl is not None or self.strings or self.mx_patterns or self.failure)


@dataclass(slots=True)
class Entry:
    """What one table entry says; None: nothing.

    Attributes:
        match: names, or texts of digests at level ``fingerprint``.
        anchors: records of ``tafile`` files, in the order of evaluation.
    """

    level: Level
    ciphers: str | None = None
    protocols: str | None = None
    servername: str | None = None
    exclude: str | None = None
    match: list[str] = field(default_factory=list)
    anchors: list[TlsaRecord] = field(default_factory=list)
    has_anchors: bool = False
    reuse: bool | None = None
    raw_keys: bool | None = None
    external: External = field(default_factory=External)


def parse_entry(
    text: str,
    where: str,
    version: tuple[int, ...],
    load_anchors: Callable[[str], list[TlsaRecord]],
    *,
    enforce_patterns: bool = True,
) -> Entry:
    """Understand one entry.

    Args:
        where: what warnings begin with, without the colon.
        load_anchors: reads a trust anchor file; raises PolicyError.
        enforce_patterns: ``smtp_tls_enforce_sts_mx_patterns``.

    Raises:
        PolicyError: the first error; logged.
    """
    return _Parser(where, version, load_anchors, enforce_patterns).parse(text)


class _Parser:
    def __init__(
        self,
        where: str,
        version: tuple[int, ...],
        load_anchors: Callable[[str], list[TlsaRecord]],
        enforce_patterns: bool,
    ) -> None:
        self._where = where
        self._version = version
        self._load_anchors = load_anchors
        self._enforce_patterns = enforce_patterns

    def parse(self, text: str) -> Entry:
        tokens = self._tokens(text)
        word = next(tokens, None)
        if word is None:
            raise self._error("invalid empty policy")
        level = parse_level(word[0])
        if level is None:
            raise self._error(f'invalid security level "{word[0]}"')
        entry = Entry(level)
        if level is Level.NONE:
            for token, _ in tokens:
                log.warning(f'{self._where}: ignoring attribute "{token}" with TLS disabled')
            return entry
        for token, in_braces in tokens:
            name, value = self._pair(token, in_braces)
            self._set(entry, name, value)
        external = entry.external
        if external.is_given and not external.type:
            raise self._error(
                "built-in policy has unexpected attribute policy_ttl, policy_domain, policy_string, "
                "mx_host_pattern or policy_failure"
            )
        if (
            self._version >= _PATTERNS_SINCE
            and external.type == "sts"
            and entry.match
            and external.mx_patterns
            and self._enforce_patterns
        ):
            entry.match = ["hostname"]
        return entry

    def _error(self, text: str) -> PolicyError:
        log.warning(f"{self._where}: {text}")
        return PolicyError()

    # Tokens

    def _tokens(self, text: str) -> Iterator[tuple[str, bool]]:
        """Tokens, and whether they were in braces. The first one never is."""
        position, end, is_first = 0, len(text), True
        while True:
            while position < end and text[position] in _SEPARATORS:
                position += 1
            if position == end:
                return
            if text[position] == "{" and not is_first and self._version >= _BRACES_SINCE:
                inside, position = self._braced(text, position)
                yield inside, True
            else:
                start = position
                while position < end and text[position] not in _SEPARATORS:
                    position += 1
                yield text[start:position], False
            is_first = False

    def _braced(self, text: str, position: int) -> tuple[str, int]:
        """What is in the braces that open at `position`, and where the token ends."""
        start, depth = position, 0
        while position < len(text):
            if text[position] == "{":
                depth += 1
            elif text[position] == "}":
                depth -= 1
                if not depth:
                    break
            position += 1
        else:
            inside = _normal(text[start + 1 :])
            raise self._malformed(inside, f"missing '}}' in \"{{{_ANY_BLANK.sub(' ', text[start + 1 :])}\"")
        inside = _normal(text[start + 1 : position])
        position += 1
        rest_start = position
        while position < len(text) and text[position] not in _SEPARATORS:
            position += 1
        if position > rest_start:
            raise self._malformed(inside, f"syntax error after '}}' in \"{{{inside}}}{text[rest_start:position]}\"")
        return inside, position

    def _malformed(self, pair: str, why: str) -> PolicyError:
        return self._error(f'malformed attribute/value pair "{pair}": {why}')

    def _pair(self, token: str, in_braces: bool) -> tuple[str, str]:
        name, equals, value = token.partition("=")
        if in_braces:
            name, value = name.strip(_BLANKS), value.strip(_BLANKS)
        if not equals:
            raise self._malformed(token, "missing '=' after attribute name")
        if not name:
            raise self._malformed(token, "missing attribute name")
        return name, value

    # Attributes

    def _set(self, entry: Entry, name: str, value: str) -> None:
        match name.lower():
            case "ciphers":
                if not value:
                    raise self._error('attribute "ciphers" has empty value')
                self._once(entry.ciphers is not None, name)
                entry.ciphers = value
            case "protocols":
                self._once(entry.protocols is not None, name)
                entry.protocols = value
            case "servername":
                self._once(entry.servername is not None, name)
                if not names.is_hostname(value):
                    raise self._error(f'"{name}={value}" specifies an invalid hostname')
                entry.servername = value
            case "match":
                self._match(entry, name, value)
            case "exclude":
                self._once(entry.exclude is not None, name)
                entry.exclude = value
            case "tafile":
                if entry.level not in (Level.VERIFY, Level.SECURE):
                    raise self._error(f'attribute "{name}" invalid at security level "{entry.level.text}"')
                if not value:
                    raise self._error(f'attribute "{name}" has empty value')
                entry.anchors = self._load_anchors(value) + entry.anchors
                entry.has_anchors = True
            case "connection_reuse":
                entry.reuse = self._yes_no(name, value)
            case "enable_rpk" if self._version >= _RAW_KEYS_SINCE:
                entry.raw_keys = self._yes_no(name, value)
            case other:
                if self._version < _BRACES_SINCE or not self._set_external(entry.external, name, value, other):
                    raise self._error(f'invalid attribute name: "{name}"')

    def _set_external(self, external: External, name: str, value: str, folded: str) -> bool:
        match folded:
            case "policy_type":
                if value.lower() not in EXTERNAL_TYPES:
                    raise self._unexpected(name, value)
                self._once(bool(external.type), name)
                external.type = value.lower()
            case "policy_domain":
                self._once(bool(external.domain), name)
                if not names.is_hostname(names.to_ascii(value) or value, report=True):
                    raise self._error(f'attribute "{name}" has a malformed value: "{value}"')
                external.domain = value
            case "policy_ttl":
                self._once(external.ttl is not None, name)
                if not value.isascii() or not value.isdigit() or int(value) > _MAX_TTL:
                    raise self._error(f'attribute "{name}" has a malformed value: "{value}"')
                external.ttl = int(value)
            case "policy_string":
                external.strings.append(value)
            case "mx_host_pattern":
                external.mx_patterns.append(value)
            case "policy_failure":
                if value.lower() not in EXTERNAL_FAILURES:
                    raise self._unexpected(name, value)
                self._once(bool(external.failure), name)
                external.failure = value.lower()
            case _:
                return False
        return True

    def _match(self, entry: Entry, name: str, value: str) -> None:
        if not value:
            raise self._error(f'attribute "{name}" has empty value')
        match entry.level:
            case Level.FINGERPRINT:
                entry.match += split(value, "|")
            case Level.VERIFY | Level.SECURE:
                entry.match += split(value, ":")
            case _:
                raise self._error(f'attribute "{name}" invalid at security level "{entry.level.text}"')

    def _once(self, is_set: bool, name: str) -> None:
        if is_set:
            raise self._error(f'attribute "{name}" is specified multiple times')

    def _yes_no(self, name: str, value: str) -> bool:
        if value.lower() not in ("yes", "no"):
            raise self._error(f'attribute "{name}" has bad value: "{value}"')
        return value.lower() == "yes"

    def _unexpected(self, name: str, value: str) -> PolicyError:
        return self._error(f'attribute "{name}" has an unexpected value: "{value}"')


def _normal(text: str) -> str:
    return _ANY_BLANK.sub(" ", text).strip(" ")
