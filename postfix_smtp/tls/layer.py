"""One TLS connection on memory buffers: a :class:`postfix_smtp.delivery.stream.TlsLayer`.

Octets of the network go in by :meth:`Layer.feed` and come out by :meth:`Layer.output`; nothing here waits.
"""

from collections.abc import Callable
from typing import Any

from postfix_smtp.delivery.stream import TlsFailure
from postfix_smtp.tls import library
from postfix_smtp.tls.library import ERROR_WANT_READ, ERROR_ZERO_RETURN, FFI, LIB

_BUFFER = 16384 + 2048  #: one record and its overhead


class Layer:
    """The client side of a session.

    Args:
        connection: of pyOpenSSL, without socket.
        after_read: called after application data was asked for; tickets arrive that way.
        dump: shows octets of the network; None: nobody wants to see them.
        closing_seconds: how long to wait for the peer's closing alert, 0: not at all.

    Attributes:
        errors: the library's error stack, when a call has failed.
        established: the handshake is complete: further errors are logged by the layer itself.
    """

    def __init__(
        self,
        connection: Any,
        after_read: Callable[[], None],
        dump: Callable[[str, bytes], None] | None = None,
        closing_seconds: float = 0.0,
    ) -> None:
        self.connection = connection
        self.closing_seconds = closing_seconds
        self.errors: list[str] = []
        self.established = False
        self._ssl = connection._ssl
        self._into = connection._into_ssl
        self._out = connection._from_ssl
        self._buffer = FFI.new("char[]", _BUFFER)
        self._after_read = after_read
        self._dump = dump
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """The peer has ended the session."""
        return self._closed

    def handshake(self) -> bool:
        """Go as far as possible; True when the handshake is complete. Raises TlsFailure."""
        LIB.ERR_clear_error()
        result = LIB.SSL_do_handshake(self._ssl)
        if result == 1:
            return True
        self._judge(result)
        return False

    def feed(self, octets: bytes) -> None:
        """Take what came from the network; empty: end of file."""
        if self._dump is not None:
            self._dump("read", octets)
        if not octets:
            LIB.BIO_set_mem_eof_return(self._into, 0)
            return
        LIB.BIO_write(self._into, FFI.from_buffer(octets), len(octets))

    def output(self) -> bytes:
        """What must go to the network now, possibly empty."""
        buffer, out = self._buffer, self._out
        size = LIB.BIO_read(out, buffer, _BUFFER)
        if size <= 0:
            return b""
        octets: bytes = FFI.buffer(buffer, size)[:]
        if size == _BUFFER:
            parts = [octets]
            while (size := LIB.BIO_read(out, buffer, _BUFFER)) > 0:
                parts.append(FFI.buffer(buffer, size)[:])
            octets = b"".join(parts)
        if self._dump is not None:
            self._dump("write", octets)
        return octets

    def encrypt(self, octets: bytes | bytearray | memoryview) -> None:
        """Turn application data into output. Raises TlsFailure."""
        left = len(octets)
        if not left:
            return
        LIB.ERR_clear_error()
        pointer = FFI.from_buffer(octets)
        # pyOpenSSL's contexts write one record a call.
        while left:
            written = LIB.SSL_write(self._ssl, pointer, left)
            if written <= 0:
                self._judge(written)
                raise TlsFailure
            pointer += written
            left -= written

    def decrypt(self) -> bytes:
        """Application data that has come so far, possibly empty. Raises TlsFailure."""
        LIB.ERR_clear_error()
        result = LIB.SSL_read(self._ssl, self._buffer, _BUFFER)
        octets: bytes = FFI.buffer(self._buffer, result)[:] if result > 0 else b""
        try:
            if result <= 0:
                self._judge(result)
        finally:
            self._after_read()
        return octets

    def shutdown(self) -> None:
        """Make the closing alert; :meth:`output` has it."""
        LIB.ERR_clear_error()
        LIB.SSL_shutdown(self._ssl)
        LIB.ERR_clear_error()

    def _judge(self, result: int) -> None:
        """Find out why a call did not succeed: more input is needed, the peer is gone, or an error."""
        kind = LIB.SSL_get_error(self._ssl, result)
        if kind == ERROR_WANT_READ:
            return
        if kind == ERROR_ZERO_RETURN:
            self._closed = True
            return
        self.errors = library.error_stack()
        if not self.errors:
            # The buffer ended without a closing alert.
            self._closed = True
            return
        if self.established:
            library.log_errors(self.errors)
        raise TlsFailure
