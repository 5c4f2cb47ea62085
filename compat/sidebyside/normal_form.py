"""Observations as lines that can be compared: what differs from run to run is masked."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from compat.sidebyside.observations import Entry, LogLine

_QUEUE_ID = r"[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{9,}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]+"
_DAYS = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CHILD = re.compile(rf"({_QUEUE_ID}): ((?:sender|postmaster) [a-z -]*notification): ({_QUEUE_ID})")
_SHORT = {
    "sender non-delivery notification": "bounce",
    "sender delay notification": "delay",
    "sender delivery status notification": "success",
    "postmaster non-delivery notification": "pm-bounce",
    "postmaster delay notification": "pm-delay",
}
_NUMBER = r"\d{1,7}(?:\.\d{1,2})?"
_FIXED_DATE = "Fri, 01 Jan 2021 00:00:00 +0000"
_DELAYS = re.compile(rf"\bdelay={_NUMBER}, delays={_NUMBER}/{_NUMBER}/{_NUMBER}/{_NUMBER}(?=, )")
_MASKS = [
    (
        re.compile(rf"{_DAYS}, [ \d]\d \w{{3}} \d{{4}} \d\d:\d\d:\d\d [+-]\d{{4}}(?: \(\w+\))?"),
        "<DATE>",
    ),
    (re.compile(rf"{_DAYS} \w{{3}} [ \d]\d \d\d:\d\d:\d\d \d{{4}}"), "<CTIME>"),
    (re.compile(r"\b20\d{12}(?=\.<)"), "<STAMP>"),
    (re.compile(r"(?<=>)\.1\d{9}/"), ".<EPOCH>/"),
    (re.compile(r"(create_time|time)=1\d{9}\b"), r"\1=<EPOCH>"),
    (re.compile(r"\b(PORT|client_port|log_client_port)=(3[2-9]\d{3}|[456]\d{4})\b"), r"\1=<EPHEMERAL>"),
    (re.compile(r"\b(pid|process id) \d+"), r"\1 <PID>"),
    (re.compile(r"\b(smtp|lmtp|smtpd|cleanup|qmgr)\[\d+\]"), r"\1[<PID>]"),
    (re.compile(r":\.\./(?:ssl|crypto|providers)/[\w/.]+:\d+:"), ":<SRC>:"),
    (re.compile(r"(status=sent|relay=none|after) (\d+\.\d+) seconds"), r"\1 <N> seconds"),
    (re.compile(r"/deferred/./|/(defer|bounce)/./"), "/<DIR>/"),
]
#: Longer transcripts are shortened, longer lines too; the digest tells whether the rest is the same.
_MOST_LINES, _SHOWN_FIRST, _SHOWN_LAST = 400, 150, 50
_LONGEST_LINE = 3000
#: The logger cuts long lines, after as many characters of delay digits as there are.
_LONG_LOG_LINE = 1900
_COARSE_CLOCK = re.compile(r"warning: (file system clock is|resetting file time stamps)")


class Names:
    """Stable names for queue ids: ``M1``, ``M2`` in the order of submission, ``M1.bounce`` for notices about them."""

    def __init__(self, logs: Iterable[LogLine], first: Sequence[str] = ()) -> None:
        """
        Args:
            first: queue ids of messages that nobody logs the submission of.
        """
        self.by_id: dict[str, str] = {queue_id: f"M{number}" for number, queue_id in enumerate(first, 1)}
        logs = list(logs)
        heads = re.compile(rf"({_QUEUE_ID}): (?:uid=|client=)")
        number = len(first)
        for line in logs:
            found = heads.match(line.text)
            if found and found[1] not in self.by_id and _program(line) in ("pickup", "smtpd"):
                number += 1
                self.by_id[found[1]] = f"M{number}"
        self._name_notices(logs)
        number = 0
        for line in logs:
            for queue_id in re.findall(rf"\b({_QUEUE_ID}): ", line.text):
                if queue_id not in self.by_id:
                    number += 1
                    self.by_id[queue_id] = f"N{number}"

    def _name_notices(self, logs: list[LogLine]) -> None:
        notices = [found for found in (_CHILD.match(line.text) for line in logs) if found]
        used: dict[str, int] = {}
        for _ in range(3):  # notices about notices
            for found in notices:
                if found[1] in self.by_id and found[3] not in self.by_id:
                    base = f"{self.by_id[found[1]]}.{_SHORT.get(found[2], found[2])}"
                    used[base] = used.get(base, 0) + 1
                    self.by_id[found[3]] = base + (str(used[base]) if used[base] > 1 else "")

    def forget_numbers(self) -> None:
        """All messages get one name."""
        self.by_id = {queue_id: re.sub(r"^M\d+", "M", name) for queue_id, name in self.by_id.items()}

    def substitute(self, text: str) -> str:
        """`text` with names in the place of queue ids."""

        def name(found: re.Match[str]) -> str:
            return f"<{self.by_id[found[0]]}>" if found[0] in self.by_id else found[0]

        return re.sub(rf"\b{_QUEUE_ID}\b", name, text)


def _program(line: LogLine) -> str:
    return line.tag.rsplit("/", 1)[-1]


def text(line: str, names: Names, unit: float | None = None) -> str:
    """A line with everything masked; `unit` of delay values in seconds, None: they do not count."""
    line = names.substitute(line).replace(_FIXED_DATE, "\0")
    for pattern, replacement in _MASKS[:2]:
        line = pattern.sub(replacement, line)
    line = line.replace("\0", _FIXED_DATE)
    for pattern, replacement in _MASKS[2:]:
        line = pattern.sub(replacement, line)
    return _DELAYS.sub(lambda found: _delays(found[0], unit), line)


def _delays(found: str, unit: float | None) -> str:
    if not unit:
        return "delay=N, delays=N/N/N/N"
    total, parts = found.removeprefix("delay=").split(", delays=")
    rounded = [f"~{round(float(part) / unit)}" for part in (total, *parts.split("/"))]
    return f"delay={rounded[0]}, delays={'/'.join(rounded[1:])}"


def escape(octets: bytes) -> str:
    """Printable text for anything."""
    special = {9: "\\t", 92: "\\\\"}
    return "".join(special.get(octet) or (chr(octet) if 32 <= octet < 127 else f"\\x{octet:02x}") for octet in octets)


def lines(octets: bytes) -> list[str]:
    """Escaped lines; CR LF at the end is silent, everything else is shown."""
    *whole, last = octets.split(b"\n")
    result = [escape(line[:-1]) if line.endswith(b"\r") else f"{escape(line)}<LF>" for line in whole]
    if last:
        result.append(f"{escape(last)}<no newline>")
    return result


def transcript(script: Sequence[Entry], names: Names) -> list[str]:
    """A transcript as lines."""
    result = []
    for kind, data in script:
        if kind == "~":
            result.append("~ client waits")
        elif isinstance(data, str):
            result.append(text(f"{kind} {data}", names))
        else:
            rows = [text(_decoded(row), names) for row in lines(data)]
            if len(rows) > _MOST_LINES:
                digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
                left_out = f"<{len(rows) - _SHOWN_FIRST - _SHOWN_LAST} lines, sha256 of all {digest}>"
                rows = [*rows[:_SHOWN_FIRST], left_out, *rows[-_SHOWN_LAST:]]
            result += [f"{kind}: {_shortened(row)}" for row in rows]
    return result


def _shortened(row: str) -> str:
    if len(row) <= _LONGEST_LINE:
        return row
    return f"{row[:1000]}<{len(row)} characters {hashlib.sha256(row.encode()).hexdigest()}>{row[-200:]}"


def _decoded(row: str) -> str:
    """SASL data without the client's nonce and what follows from it."""
    if re.fullmatch(r"[A-Za-z0-9+/]{80,}={0,2}", row):
        try:
            plain = base64.b64decode(row).decode()
        except ValueError:
            return row
        if "cnonce=" in plain:
            plain = re.sub(r'cnonce="[^"]*"', 'cnonce="<CNONCE>"', plain)
            return "base64 of: " + re.sub(r"response=[0-9a-f]{32}", "response=<RESPONSE>", plain)
    scram = re.fullmatch(r"(AUTH SCRAM\S+ |334 |)([A-Za-z0-9+/]{20,}={0,2})", row)
    if scram:
        try:
            plain = base64.b64decode(scram[2]).decode("ascii")
        except ValueError:
            return row
        if re.search(r"(?:^|,)[rpv]=", plain):
            masks = {"r": "=<NONCE>", "p": "=<PROOF>", "v": "=<SIGNATURE>"}
            plain = re.sub(r"(^|,)([rpv])=[^,]*", lambda found: found[1] + found[2] + masks[found[2]], plain)
            return f"{scram[1]}base64 of: {plain}"
    return "334 base64 of: rspauth=<RESPONSE>" if row.startswith("334 cnNwYXV0aD") else row


def log_lines(
    logs: Iterable[LogLine], names: Names, agents: set[str], scenario: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """The agent's lines in order, and those of the other programs, grouped by program and message."""
    mine: list[str] = []
    others: dict[tuple[str, str], list[str]] = {}
    dropped = re.compile(scenario.get("drop_log", r"(?!)"))
    dropped_others = re.compile(scenario.get("drop_other", r"(?!)"))
    for entry in logs:
        if _is_noise(entry) or (
            scenario.get("concurrent") and entry.text.startswith("using backwards-compatible default setting")
        ):
            continue  # the latter once a process, and their number is not compared
        line = text(entry.text, names, scenario.get("delays"))
        if len(entry.text) > _LONG_LOG_LINE:
            line = line[: _LONG_LOG_LINE - 100] + "<long>"
        if dropped.search(line):
            continue
        program = _program(entry)
        if program in agents:
            mine.append(f"{entry.priority} {entry.tag}: {line}")
            continue
        if program == "master":
            if re.search(r"/(?!smtp|lmtp)[\w-]+: bad command startup", line):
                continue  # a daemon that dies: master sees its status or its end first
            line = next((word for word in ("daemon started", "reload") if line.startswith(word)), line)
        line = f"{entry.priority} {entry.tag}: {line}"
        if not dropped_others.search(line):
            found = re.search(r": <([MN][\w.-]*)>: ", line)
            others.setdefault((entry.tag, found[1] if found else ""), []).append(line)
    if scenario.get("concurrent"):
        mine = _by_message(mine)
    if scenario.get("anonymous"):
        others = {key: sorted(group) for key, group in others.items()}
    return mine, [line for key in sorted(others) for line in others[key]]


def _is_noise(entry: LogLine) -> bool:
    program = _program(entry)
    return bool(
        _COARSE_CLOCK.match(entry.text)
        or entry.text.startswith("statistics: ")
        or program == "anvil"
        or (program == "scache" and "statistics" in entry.text)
        or (program == "smtpd" and entry.text.startswith(("connect from", "disconnect from")))
    )


def _by_message(rows: list[str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for line in rows:
        found = re.search(r": <([MN][\w.-]*)>: ", line)
        groups.setdefault(found[1] if found else "", []).append(line)
    return [line for key in sorted(groups) for line in sorted(groups[key])]
