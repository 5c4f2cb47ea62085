"""The server's side of a vector, without a socket."""

import base64
import re
from typing import Any

from compat.sasl_server import exchange
from postfix_smtp.smtp.actions import TimedOut
from postfix_smtp.text import to_octets, to_text


class ServerClosed(Exception):
    """The server has closed the connection."""


class Server:
    """Performs the steps of one vector, for all its connections."""

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        self._steps = steps
        self._position = 0
        self.received = bytearray()
        self.sent = bytearray()
        self.closed = False
        self.lines: list[dict[str, Any]] = []
        self.pause = 0.0
        self._exchange: list[str] = []
        self._said = 0

    def run(self) -> None:
        """Go as far as what was received allows; stops at a pause."""
        while not self.closed and not self.pause and self._position < len(self._steps):
            if not self._perform(self._steps[self._position]):
                return
            self._position += 1

    def wait(self, budget: float) -> float:
        """Let a pause pass, as far as the client's patience goes; the time it took."""
        spent, self.pause = self.pause, 0.0
        if spent > budget:
            raise TimedOut
        return spent

    def connect(self) -> None:
        """A new connection arrives."""
        while self._position < len(self._steps) and "eof" in self._steps[self._position]:
            self._position += 1
        if self.closed or "accept" in self._steps[self._position]:
            assert "accept" in self._steps[self._position], self._steps[self._position]
            self._position += 1
        self.received.clear()
        self.sent.clear()
        self.closed = False
        self.pause = 0.0

    def hang_up(self) -> None:
        """The client closes."""
        self.run()
        self.closed = True

    @property
    def is_done(self) -> bool:
        """No step is left but such as wait for nothing."""
        return all(step.keys() & {"eof", "sleep", "close"} for step in self._steps[self._position :])

    @property
    def is_reading(self) -> bool:
        """The next step takes octets."""
        return self._position < len(self._steps) and bool(
            self._steps[self._position].keys() & {"data", "expect", "sasl"}
        )

    def _perform(self, step: dict[str, Any]) -> bool:
        match step:
            case {"send": text}:
                lines = [text] if isinstance(text, str) else text
                self.sent += b"".join(to_octets(line) + b"\r\n" for line in lines)
            case {"send_b64": data}:
                self.sent += base64.b64decode(data)
            case {"expect": pattern}:
                line = self._line()
                if line is None:
                    return False
                assert re.fullmatch(pattern, line, re.DOTALL), f"{pattern!r} expected, {line!r} came"
                self.lines.append({"line": line})
            case {"data": _}:
                while True:
                    line = self._line()
                    if line is None:
                        return False
                    self.lines.append({"line": line} if line == "." else {"data": line})
                    if line == ".":
                        break
            case {"read": count}:
                if len(self.received) < count:
                    return False
                del self.received[:count]
            case {"sleep": seconds}:
                self.pause += seconds
            case {"close": _} | {"reset": _}:
                self.closed = True
            case {"sasl": settings}:
                return self._sasl(settings)
            case {"accept": _} | {"eof": _} | {"starttls": _}:
                return False
            case _:
                raise NotImplementedError(step)
        return True

    def _sasl(self, settings: dict[str, Any]) -> bool:
        """One exchange. It is played again from its beginning whenever another line has come."""
        while (line := self._line()) is not None:
            self.lines.append({"line": line})
            self._exchange.append(line)
            lines, sent = iter(self._exchange), []
            try:
                exchange(settings, next(lines), sent.append, lambda lines=lines: next(lines))  # type: ignore[misc]
            except StopIteration:
                self._say(sent)
            else:
                self._say(sent)
                self._exchange.clear()
                self._said = 0
                return True
        return False

    def _say(self, lines: list[str]) -> None:
        self.sent += b"".join(to_octets(line) + b"\r\n" for line in lines[self._said :])
        self._said = len(lines)

    def _line(self) -> str | None:
        end = self.received.find(b"\r\n")
        if end < 0:
            return None
        line = to_text(bytes(self.received[:end]))
        del self.received[: end + 2]
        return line

    def start_tls(self) -> None:
        """The client begins a handshake."""
        assert "starttls" in self._steps[self._position], self._steps[self._position]
        self._position += 1
