"""Servers for tables over the network: socketmap, tcp and memcache, each in threads of its own."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import unquote_to_bytes

#: Answers one connection: reads requests from the first stream, writes to the second.
Conversation = Callable[[BinaryIO, BinaryIO], None]


class TableServer:
    """Accepts connections and lets `conversation` serve each; a context manager.

    Args:
        path: of a UNIX-domain socket; without one it listens on a free TCP port of 127.0.0.1.

    Attributes:
        connections: how many were accepted so far.
    """

    def __init__(self, conversation: Conversation, path: str = "") -> None:
        self._conversation = conversation
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self._listener.bind(path or ("127.0.0.1", 0))
        self._listener.listen(20)
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.connections = 0

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            with connection, connection.makefile("rb") as received, connection.makefile("wb") as sent:
                self._conversation(received, sent)

    def hang_up(self) -> None:
        """Close all connections."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(5)


def netstrings(received: BinaryIO) -> Iterator[bytes]:
    """The netstrings that come in."""
    while True:
        length = b""
        while (octet := received.read(1)) != b":":
            if not octet:
                return
            length += octet
        text = received.read(int(length))
        if received.read(1) != b",":
            return
        yield text


def socketmap(answers: Mapping[bytes, bytes], asked: list[bytes] | None = None) -> Conversation:
    """A socketmap server.

    Args:
        answers: whole octets of the reply, netstring and all, by query (``map key``). ``b"hang up"`` closes the
            connection. Other queries get ``NOTFOUND``.
        asked: the queries are noted here.
    """

    def serve(received: BinaryIO, sent: BinaryIO) -> None:
        for query in netstrings(received):
            if asked is not None:
                asked.append(query)
            answer = answers.get(query, b"9:NOTFOUND ,")
            if answer == b"hang up":
                return
            sent.write(answer)
            sent.flush()

    return serve


def netstring(text: bytes) -> bytes:
    """A netstring."""
    return b"%d:%b," % (len(text), text)


def tcp_table(answers: Mapping[bytes, bytes], asked: list[bytes] | None = None) -> Conversation:
    """A server of the tcp table type.

    Args:
        answers: reply line, without its end, by key; others get ``500 unknown``. ``b"hang up"`` closes the connection.
        asked: the request lines are noted here.
    """

    def serve(received: BinaryIO, sent: BinaryIO) -> None:
        for line in received:
            if asked is not None:
                asked.append(line.rstrip(b"\n"))
            answer = answers.get(unquote_to_bytes(line.strip().removeprefix(b"get ")), b"500 unknown")
            if answer == b"hang up":
                return
            sent.write(answer + b"\n")
            sent.flush()

    return serve


def memcache(values: dict[bytes, bytes], asked: list[bytes] | None = None) -> Conversation:
    """A memcache server that knows ``get`` and ``set``.

    Args:
        values: what it holds; changed by ``set``.
        asked: the request lines are noted here.
    """

    def serve(received: BinaryIO, sent: BinaryIO) -> None:
        for line in received:
            if asked is not None:
                asked.append(line.rstrip(b"\r\n"))
            match line.split():
                case [b"get", key]:
                    value = values.get(key)
                    if value is not None:
                        sent.write(b"VALUE %b 0 %d\r\n%b\r\n" % (key, len(value), value))
                    sent.write(b"END\r\n")
                case [b"set", key, _, _, size]:
                    values[key] = received.read(int(size))
                    received.readline()
                    sent.write(b"STORED\r\n")
                case _:
                    sent.write(b"ERROR\r\n")
            sent.flush()

    return serve
