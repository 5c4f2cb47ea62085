"""The sink without a compiler, and with a memory: usage as that of ``sink.c``, plus ``record=FILE``.

With ``record`` the recipients of each message are appended to a file, a line each, when the message is accepted.
Slower than the one in C; one process.
"""

import asyncio
import mmap
import os
import ssl
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

COUNTERS = ("messages", "connections", "hung", "handshakes", "resumed", "bytes", "last_ns")
_SIZE = 4096
_END = b"\r\n.\r\n"
_FEATURES = ("250-sink", "250-PIPELINING", "250-8BITMIME", "250-SIZE 100000000")


class Counters:
    """Numbers in a file that the benchmark reads while they grow."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(descriptor, _SIZE)
        self._map = mmap.mmap(descriptor, _SIZE)

    def add(self, name: str, number: int = 1) -> None:
        """Count."""
        at = 8 * COUNTERS.index(name)
        (now,) = struct.unpack_from("Q", self._map, at)
        struct.pack_into("Q", self._map, at, now + number)

    def stamp(self) -> None:
        """A message came just now."""
        struct.pack_into("Q", self._map, 8 * COUNTERS.index("last_ns"), time.monotonic_ns())


@dataclass(slots=True)
class Behaviour:
    """What the sink is asked to do: delay of replies in seconds, the command that is never answered."""

    counters: Counters
    delay: float = 0.0
    hang: str = ""
    context: ssl.SSLContext | None = None
    record: BinaryIO | None = None


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._transport: asyncio.Transport
        self._buffer = b""
        self._in_content = False
        self._secure = False
        self._recipients: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._secure:
            self._behaviour.counters.add("handshakes")
            return
        self._behaviour.counters.add("connections")
        self._answer("GREET", "220 sink ESMTP")

    def data_received(self, data: bytes) -> None:
        self._behaviour.counters.add("bytes", len(data))
        self._buffer += data
        while True:
            if self._in_content:
                if not self._content():
                    return
            else:
                line, end, rest = self._buffer.partition(b"\n")
                if not end:
                    return
                self._buffer = rest
                self._command(line.rstrip(b"\r"))

    def _content(self) -> bool:
        at = self._buffer.find(_END)
        if at < 0:
            self._buffer = self._buffer[-len(_END) :]
            return False
        self._buffer = self._buffer[at + len(_END) :]
        self._in_content = False
        behaviour = self._behaviour
        if behaviour.hang != "DOT":
            behaviour.counters.stamp()
            behaviour.counters.add("messages")
            if behaviour.record is not None:
                behaviour.record.write(b"".join(recipient + b"\n" for recipient in self._recipients))
                behaviour.record.flush()
        self._recipients = []
        self._answer("DOT", "250 2.0.0 ok queued")
        return True

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        match verb:
            case b"EHLO" | b"LHLO":
                secure = self._secure or self._behaviour.context is None
                lines = [*_FEATURES, "250 HELP" if secure else "250 STARTTLS"]
                self._answer("EHLO", "\r\n".join(lines))
            case b"STAR":
                self._answer("STARTTLS", "220 go")
                asyncio.get_running_loop().create_task(self._start_tls())
            case b"RCPT":
                self._recipients.append(line.partition(b"<")[2].partition(b">")[0])
                self._answer("RCPT", "250 2.0.0 ok")
            case b"DATA":
                # the search for the end begins with the line end of the command
                self._in_content = True
                self._buffer = b"\r\n" + self._buffer
                self._answer("DATA", "354 go")
            case b"QUIT":
                self._answer("QUIT", "221 bye")
                self._transport.close()
            case _:
                self._answer(verb.decode("latin1"), "250 2.0.0 ok")

    def _answer(self, command: str, reply: str) -> None:
        behaviour = self._behaviour
        if behaviour.hang == command:
            behaviour.counters.add("hung")
        elif behaviour.delay:
            octets = f"{reply}\r\n".encode()
            asyncio.get_running_loop().call_later(behaviour.delay, lambda: self._transport.write(octets))
        else:
            self._transport.write(f"{reply}\r\n".encode())

    async def _start_tls(self) -> None:
        assert self._behaviour.context is not None
        self._transport.pause_reading()
        self._secure = True
        transport = await asyncio.get_running_loop().start_tls(
            self._transport, self, self._behaviour.context, server_side=True
        )
        if transport is not None:
            self.connection_made(transport)


async def serve(port: int, behaviour: Behaviour) -> None:
    """Listen until the process is killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(behaviour), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    port, _, delay, counters, *rest = arguments
    behaviour = Behaviour(Counters(counters), int(delay) / 1000)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if equals and name == "hang":
            behaviour.hang = value
        elif equals and name == "record":
            behaviour.record = Path(value).open("ab")  # noqa: SIM115 - until the process is killed
        else:
            behaviour.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            behaviour.context.load_cert_chain(word, rest.pop(0))
    asyncio.run(serve(int(port), behaviour))


if __name__ == "__main__":
    main(sys.argv[1:])
