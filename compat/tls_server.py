"""SMTP servers with TLS for the captured TLS scenarios: one thread a connection, ordinary but for their quirks."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_KEYWORDS = ("PIPELINING", "SIZE 10000000", "8BITMIME")
_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1_1": ssl.TLSVersion.TLSv1_1,
    "TLSv1_2": ssl.TLSVersion.TLSv1_2,
}
_TIMEOUT = 20.0


class _Ended(Exception):
    """The connection is over."""


class TlsSmtpServer:
    """One listening socket. A context manager.

    Args:
        description: members ``port``, ``addr``, ``cert``, ``key``, ``min``, ``max``, ``ciphers``, ``curve``,
            ``clientcert``, ``nostarttls``, ``wrapper``, ``num_tickets``, ``noticket``, ``tlscaps``, ``mode``,
            ``reply`` of the vectors.
        pki: where certificates lie.
        path: of a UNIX-domain socket, instead of address and port.
        lmtp: speaks LMTP.

    Attributes:
        messages: how many were taken.
        plaintext: what came outside TLS.
    """

    def __init__(
        self, description: Mapping[str, Any], pki: Path, *, path: str | None = None, lmtp: bool = False
    ) -> None:
        self._d = description
        self._lmtp = lmtp
        self._pki = pki
        self._context = self._make_context(pki) if description.get("cert") or description.get("ciphers") else None
        if path is None:
            self._socket = socket.create_server((description.get("addr", "127.0.0.1"), description["port"]))
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(path)
            self._socket.listen(16)
        self._threads: list[threading.Thread] = []
        self.messages = 0
        self.plaintext: list[bytes] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _start(self, run: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _make_context(self, pki: Path) -> ssl.SSLContext:
        d = self._d
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(d.get("ciphers", "ALL:!aNULL:eNULL:@SECLEVEL=0"))
        context.minimum_version = _VERSIONS.get(d.get("min", "TLSv1"), ssl.TLSVersion.TLSv1)
        if "max" in d:
            context.maximum_version = _VERSIONS[d["max"]]
        if d.get("cert"):
            context.load_cert_chain(pki / d["cert"], pki / d["key"])
        if "curve" in d:
            context.set_ecdh_curve(d["curve"])
        if d.get("clientcert"):
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(pki / "ca-bundle.pem")
        context.num_tickets = d.get("num_tickets", 2)
        if d.get("noticket"):
            context.options |= ssl.OP_NO_TICKET
        context.set_servername_callback(lambda *_: None)
        return context

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._socket.accept()
            except OSError:
                return
            connected.settimeout(_TIMEOUT)
            self._start(self._serve, connected)

    def _serve(self, connected: socket.socket) -> None:
        with contextlib.suppress(_Ended, OSError, ssl.SSLError):
            # Without tickets a session is only known to the context it was made in: then none is ever resumed.
            context = self._make_context(self._pki) if self._d.get("noticket") else self._context
            _Session(self, connected, self._d, context, lmtp=self._lmtp).run()
        with contextlib.suppress(OSError):
            connected.close()


class _Session:
    def __init__(
        self,
        server: TlsSmtpServer,
        connected: socket.socket,
        description: Mapping[str, Any],
        context: ssl.SSLContext | None,
        *,
        lmtp: bool,
    ) -> None:
        self._server = server
        self._raw = connected
        self._stream: socket.socket = connected
        self._d = description
        self._context = context
        self._lmtp = lmtp
        self._buffer = b""
        self._secure = False

    def run(self) -> None:
        """The whole session."""
        if self._d.get("wrapper"):
            self._start_tls()
        self._send("220 mx.example.com ESMTP")
        recipients = 0
        while True:
            line = self._line()
            match line.split(b" ")[0].upper():
                case b"EHLO" | b"LHLO":
                    self._hello()
                case b"HELO":
                    self._send("250 mx.example.com")
                case b"STARTTLS":
                    if self._refuses():
                        continue
                    self._send("220 2.0.0 Ready to start TLS")
                    self._start_tls()
                case b"RCPT":
                    recipients += 1
                    self._accepted()
                case b"DATA":
                    self._send("354 go ahead")
                    while self._line() != b".":
                        pass
                    self._server.messages += 1
                    for _ in range(recipients if self._lmtp else 1):
                        self._accepted()
                    recipients = 0
                case b"QUIT":
                    self._accepted()
                    self._end()
                case _:
                    self._accepted()

    def _accepted(self) -> None:
        self._send("250 ok" if self._lmtp else "250 2.0.0 ok")

    def _hello(self) -> None:
        words = ["mx.example.com", *_KEYWORDS]
        if not self._secure and not self._d.get("nostarttls"):
            words.append("STARTTLS")
        if self._secure:
            words += self._d.get("tlscaps", ())
        self._send("\r\n".join([f"250-{word}" for word in words[:-1]] + [f"250 {words[-1]}"]))
        if self._secure and self._d.get("mode") == "rst_after_ehlo":
            self._reset()

    def _refuses(self) -> bool:
        if self._d.get("mode") != "refuse":
            return False
        self._send(self._d.get("reply", "454 4.7.0 TLS not available"))
        return True

    def _start_tls(self) -> None:
        match self._d.get("mode"):
            case "close":
                # Not at once: what is unread would make a reset of it.
                self._raw.shutdown(socket.SHUT_WR)
                while self._raw.recv(4096):
                    pass
                raise _Ended
            case "garbage":
                self._raw.recv(65536)
                self._raw.sendall(b"this is not TLS at all, sorry\r\n" * 2)
                raise _Ended
            case "hang":
                with contextlib.suppress(OSError):
                    while self._raw.recv(4096):
                        pass
                raise _Ended
            case "reset":
                self._raw.recv(1)
                self._reset()
        assert self._context is not None
        secure = self._context.wrap_socket(self._raw, server_side=True, suppress_ragged_eofs=True)
        self._stream = secure
        self._secure = True
        if self._d.get("mode") == "close_after_hs":
            self._end()

    def _reset(self) -> None:
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._raw.close()
        raise _Ended

    def _end(self) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            if self._secure:
                self._stream.unwrap()  # type: ignore[attr-defined]
        with contextlib.suppress(OSError):
            self._stream.close()
        raise _Ended

    def _send(self, text: str) -> None:
        self._stream.sendall(text.encode() + b"\r\n")

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            octets = self._stream.recv(4096)
            if not octets:
                raise _Ended
            if not self._secure:
                self._server.plaintext.append(octets)
            self._buffer += octets
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line
