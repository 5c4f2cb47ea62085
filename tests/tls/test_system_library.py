"""Functions that the bindings lack."""

from types import SimpleNamespace
from typing import Any

import pytest
from OpenSSL import SSL

from postfix_smtp.tls import library, system_library

FFI: Any = SSL._ffi  # type: ignore[attr-defined]
LIB: Any = SSL._lib  # type: ignore[attr-defined]
LACKING = ("i2d_SSL_SESSION", "d2i_SSL_SESSION", "X509_STORE_up_ref", "SSL_CTX_set_msg_callback")


class Foreign:
    """A function of a shared library; remembers its arguments, in the form in which C gets them."""

    def __init__(self, result: Any = 1) -> None:
        self.result, self.calls = result, []  # type: ignore[var-annotated]
        self.argtypes: Any = ()

    def __call__(self, *arguments: Any) -> Any:
        assert len(arguments) == len(self.argtypes)
        self.calls.append(tuple(kind(value).value for kind, value in zip(self.argtypes, arguments, strict=True)))
        return self.result


def number(pointer: Any) -> int:
    return int(FFI.cast("uintptr_t", pointer))


def test_bindings_that_lack_nothing_are_used_as_they_are() -> None:
    everything = SimpleNamespace(**dict.fromkeys([*LACKING, "SSL_CTX_set1_curves_list"], None))
    assert system_library.completed(everything, FFI) is everything


def test_a_library_inside_the_bindings_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_library, "shared", lambda *_: None)
    bare = SimpleNamespace()
    assert system_library.completed(bare, FFI) is bare


def test_what_is_lacking_is_called_in_the_shared_library(monkeypatch: pytest.MonkeyPatch) -> None:
    address = 0x7F0012345678
    found = SimpleNamespace(
        i2d_SSL_SESSION=Foreign(100),
        d2i_SSL_SESSION=Foreign(address),
        X509_STORE_up_ref=Foreign(),
        SSL_CTX_set_msg_callback=Foreign(None),
        SSL_CTX_ctrl=Foreign(),
    )
    monkeypatch.setattr(system_library, "shared", lambda *_: found)
    completed = system_library.completed(SimpleNamespace(SSL_read="as it was"), FFI)
    assert completed.SSL_read == "as it was"
    session, context = FFI.cast("SSL_SESSION *", address), FFI.cast("SSL_CTX *", address + 8)

    assert completed.i2d_SSL_SESSION(session, FFI.NULL) == 100
    assert found.i2d_SSL_SESSION.calls == [(address, None)]

    octets = FFI.new("unsigned char[]", 3)
    pointer = FFI.new("const unsigned char *[]", [octets])
    made = completed.d2i_SSL_SESSION(FFI.NULL, pointer, 3)
    assert (FFI.typeof(made), number(made)) == (FFI.typeof("SSL_SESSION *"), address)
    assert found.d2i_SSL_SESSION.calls == [(None, number(pointer), 3)]
    found.d2i_SSL_SESSION.result = None
    assert completed.d2i_SSL_SESSION(FFI.NULL, pointer, 3) == FFI.NULL

    assert completed.X509_STORE_up_ref(FFI.cast("X509_STORE *", address)) == 1
    assert found.X509_STORE_up_ref.calls == [(address,)]

    completed.SSL_CTX_set_msg_callback(context, FFI.cast("void *", 5))
    assert found.SSL_CTX_set_msg_callback.calls == [(address + 8, 5)]

    assert completed.SSL_CTX_set1_curves_list(context, b"X25519:P-256") == 1
    assert found.SSL_CTX_ctrl.calls == [(address + 8, 92, 0, b"X25519:P-256")]


def test_groups_can_be_chosen_and_sessions_kept() -> None:
    # With the oldest bindings too, if their library is a shared one
    assert library.has_sessions()
    assert library.set_groups(SSL.Context(SSL.TLS_METHOD), ["X25519"])
