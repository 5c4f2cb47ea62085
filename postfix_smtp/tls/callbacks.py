"""What the library calls while it shakes hands, brought to the handshake concerned.

The library knows a connection by address; handshakes are found by it as long as somebody holds them.
"""

from typing import Any, Protocol
from weakref import WeakValueDictionary

from postfix_smtp import log
from postfix_smtp.tls import library
from postfix_smtp.tls.library import FFI, LIB

_HANDSHAKE_RECORD = 22


class Watcher(Protocol):
    """One handshake, as the library's call-backs see it."""

    def message(self, sent: bool, octets: bytes) -> None:
        """A handshake message passes."""

    def verified(self, ok: bool, error: int, depth: int, encoding: "Certificates") -> int | None:
        """One result of verification; the result to store, None: leave it."""

    def step(self) -> None:
        """A step was made; it will be logged."""


class Certificates:
    """The certificate that a verification event is about, read when it is asked for."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __call__(self) -> bytes:
        """DER; empty if there is none."""
        pointer = LIB.X509_STORE_CTX_get_current_cert(self._store)
        return b"" if pointer == FFI.NULL else library.certificate_der(pointer)


class Callbacks:
    """The call-backs of one engine. Must live as long as its contexts.

    Args:
        progress: log each step of a handshake.
    """

    def __init__(self, *, progress: bool) -> None:
        self._watchers: WeakValueDictionary[int, Watcher] = WeakValueDictionary()
        self._index = LIB.SSL_get_ex_data_X509_STORE_CTX_idx()
        self._verify = FFI.callback("int (*)(int, X509_STORE_CTX *)", self._on_verify)
        self._message = FFI.callback("void (*)(int, int, int, const void *, size_t, SSL *, void *)", self._on_message)
        self._info = FFI.callback("void (*)(const SSL *, int, int)", self._on_progress) if progress else None

    def install(self, context: Any) -> None:
        """Let a context call."""
        pointer = context._context
        LIB.SSL_CTX_set_verify(pointer, 0, self._verify)
        LIB.SSL_CTX_set_msg_callback(pointer, self._message)
        if self._info is not None:
            LIB.SSL_CTX_set_info_callback(pointer, self._info)

    def watch(self, connection: Any, watcher: Watcher) -> None:
        """From now on `watcher` is told; until nobody else holds it."""
        self._watchers[_address(connection._ssl)] = watcher

    def _on_verify(self, ok: int, store: Any) -> int:
        watcher = self._watchers.get(_address(LIB.X509_STORE_CTX_get_ex_data(store, self._index)))
        if watcher is not None:
            result = watcher.verified(
                bool(ok),
                LIB.X509_STORE_CTX_get_error(store),
                LIB.X509_STORE_CTX_get_error_depth(store),
                Certificates(store),
            )
            if result is not None:
                LIB.X509_STORE_CTX_set_error(store, result)
        # Verification goes on whatever was found: the handshake does not depend on it.
        return 1

    def _on_message(self, sent: int, _version: int, kind: int, octets: Any, size: int, ssl: Any, _: Any) -> None:
        if kind != _HANDSHAKE_RECORD:
            return
        watcher = self._watchers.get(_address(ssl))
        if watcher is not None:
            watcher.message(bool(sent), FFI.buffer(octets, size)[:])

    def _on_progress(self, ssl: Any, where: int, value: int) -> None:
        watcher = self._watchers.get(_address(ssl))
        if watcher is not None:
            watcher.step()
        _log_progress(ssl, where, value)


def _address(pointer: Any) -> int:
    return int(FFI.cast("uintptr_t", pointer))


def _log_progress(ssl: Any, where: int, value: int) -> None:
    state = FFI.string(LIB.SSL_state_string_long(ssl)).decode("ascii", "replace")
    if where & library.CB_LOOP:
        log.info(f"SSL_connect:{state}")
    elif where & library.CB_ALERT:
        level, description = value >> 8, value & 0xFF
        if description:
            direction = "read" if where & library.CB_READ else "write"
            kind = {1: "warning", 2: "fatal"}.get(level, "unknown")
            log.info(f"SSL3 alert {direction}:{kind}:{library.alert_text(description)}")
    elif where & library.CB_EXIT:
        if value == 0:
            log.info(f"SSL_connect:failed in {state}")
        elif value < 0 and LIB.SSL_get_error(ssl, value) not in (library.ERROR_WANT_READ, library.ERROR_WANT_WRITE):
            log.info(f"SSL_connect:error in {state}")
