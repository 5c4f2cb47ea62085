"""``openssl s_server`` as an SMTP server: another TLS implementation's idea of STARTTLS.

The program knows nothing of SMTP. What comes before TLS is said by this module, which then passes octets to and fro;
what comes inside TLS appears on the program's standard output, and what this module answers goes to its standard
input.
"""

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from compat.ports import ReservedPort

_TIMEOUT = 10.0


def available() -> bool:
    """Whether openssl(1) is installed."""
    return shutil.which("openssl") is not None


class OpensslServer:
    """One server. A context manager.

    Args:
        certificate, key: PEM files.
        options: further options of ``s_server``.
        wrapper: TLS from the first octet on.

    Attributes:
        port: it listens on.
        lines: what came inside TLS, all connections.
    """

    def __init__(self, certificate: Path, key: Path, options: Sequence[str] = (), *, wrapper: bool = False) -> None:
        self._reserved = ReservedPort()
        self._behind = self.port = self._reserved.number
        self._front: socket.socket | None = None
        if not wrapper:
            self._front = socket.create_server(("127.0.0.1", 0))
            self.port = self._front.getsockname()[1]
        # Without -quiet a line that begins with Q or R would be a command to the program.
        self._command = [
            "openssl", "s_server", "-accept", f"127.0.0.1:{self._behind}", "-quiet",
            "-cert", str(certificate), "-cert_chain", str(certificate), "-key", str(key), *options,
        ]  # fmt: skip
        self._wrapper = wrapper
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self.lines: list[bytes] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._thread = threading.Thread(
            target=self._converse, args=(self._process.stdout, self._process.stdin), daemon=True
        )
        self._thread.start()
        self._wait_until_listening()
        if self._front is not None:
            threading.Thread(target=self._accept, args=(self._front,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._front is not None:
            with contextlib.suppress(OSError):
                self._front.shutdown(socket.SHUT_RDWR)
            self._front.close()
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._reserved.release()
        assert self._thread is not None
        self._thread.join(_TIMEOUT)

    def _wait_until_listening(self) -> None:
        """Look into the kernel's table: a connection made to find out would be served."""
        wanted = f"0100007F:{self._behind:04X} 00000000:0000 0A"
        deadline = time.monotonic() + _TIMEOUT
        while wanted not in Path("/proc/net/tcp").read_text():
            if time.monotonic() > deadline:
                raise TimeoutError("openssl s_server does not listen")
            time.sleep(0.01)

    def _accept(self, front: socket.socket) -> None:
        while True:
            try:
                connection, _ = front.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """What comes before TLS, then octets to and fro."""
        with contextlib.suppress(OSError), connection:
            connection.sendall(b"220 mx.example.com ESMTP\r\n")
            connection.recv(4096)
            connection.sendall(b"250-mx.example.com\r\n250 STARTTLS\r\n")
            connection.recv(4096)
            connection.sendall(b"220 go ahead\r\n")
            with socket.create_connection(("127.0.0.1", self._behind)) as behind:
                threading.Thread(target=_pass_on, args=(behind, connection), daemon=True).start()
                _pass_on(connection, behind)

    def _converse(self, received: IO[bytes], answers: IO[bytes]) -> None:
        in_message = False

        def answer(text: bytes) -> None:
            answers.write(text + b"\r\n")
            answers.flush()

        try:
            if self._wrapper:
                answer(b"220 mx.example.com ESMTP")
            for line in received:
                text = line.rstrip(b"\r\n")
                self.lines.append(text)
                if in_message:
                    in_message = text != b"."
                    if not in_message:
                        answer(b"250 2.0.0 queued")
                elif text.startswith(b"EHLO"):
                    answer(b"250-mx.example.com\r\n250 8BITMIME")
                elif text == b"DATA":
                    in_message = True
                    answer(b"354 go ahead")
                elif text != b"QUIT":
                    # An answer to QUIT, for which nobody waits, could go to the next connection: s_server's standard
                    # input does not know where one connection ends.
                    answer(b"250 2.0.0 ok")
        except (BrokenPipeError, ValueError):
            return


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            sink.sendall(octets)
        sink.shutdown(socket.SHUT_WR)
