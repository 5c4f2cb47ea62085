"""Functions of OpenSSL that cryptography's bindings leave out, where they can be had all the same (TLS chapter 9).

Packages of distributions link the bindings with the system's OpenSSL, a shared library: all that it has can be called.
The wheels of PyPI contain an OpenSSL of their own, which shows nothing; their recent versions bind what is needed.
"""

import sys
from typing import Any

_BINDINGS = ("cryptography.hazmat.bindings._openssl", "cryptography.hazmat.bindings._rust")
_SET_GROUPS_LIST = 92


def completed(lib: Any, ffi: Any) -> Any:
    """The bindings `lib`, together with those functions that they lack and the library has."""
    if all(hasattr(lib, name) for name in _FUNCTIONS):
        return lib
    found = shared(lib, ffi)
    return lib if found is None else _Completed(lib, ffi, found)


def shared(lib: Any, ffi: Any) -> Any:
    """The shared library that the bindings call; None if it is not a shared one."""
    import ctypes

    expected = _number(ffi, lib.OpenSSL_version(0))
    for name in _BINDINGS:
        path = getattr(sys.modules.get(name), "__file__", None)
        if path is None:
            continue
        try:
            # Symbols are looked for in what the bindings are linked with: no other copy of the library can be found.
            found = ctypes.CDLL(path)
            version, load = found.OpenSSL_version, found.CONF_modules_load_file
        except (OSError, AttributeError):
            continue
        version.restype, version.argtypes = ctypes.c_void_p, [ctypes.c_int]
        load.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong]
        if version(0) == expected:
            return found
    return None


def _number(ffi: Any, pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))


class _Completed:
    """Looks like the bindings: takes and returns their pointers."""

    def __init__(self, lib: Any, ffi: Any, found: Any) -> None:
        self._lib = lib
        for name, make in _FUNCTIONS.items():
            if not hasattr(lib, name):
                setattr(self, name, make(ffi, found))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._lib, name)
        setattr(self, name, value)
        return value


def _declared(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype, function.argtypes = result, arguments
    return function


def _session_out(ffi: Any, found: Any) -> Any:
    from ctypes import c_int, c_void_p

    function = _declared(found.i2d_SSL_SESSION, c_int, c_void_p, c_void_p)
    return lambda session, target: function(_number(ffi, session), _number(ffi, target))


def _session_in(ffi: Any, found: Any) -> Any:
    from ctypes import c_long, c_void_p

    function = _declared(found.d2i_SSL_SESSION, c_void_p, c_void_p, c_void_p, c_long)

    def call(target: Any, source: Any, size: int) -> Any:
        return ffi.cast("SSL_SESSION *", function(_number(ffi, target), _number(ffi, source), size) or 0)

    return call


def _store_reference(ffi: Any, found: Any) -> Any:
    from ctypes import c_int, c_void_p

    function = _declared(found.X509_STORE_up_ref, c_int, c_void_p)
    return lambda store: function(_number(ffi, store))


def _message_callback(ffi: Any, found: Any) -> Any:
    from ctypes import c_void_p

    function = _declared(found.SSL_CTX_set_msg_callback, None, c_void_p, c_void_p)
    return lambda context, callback: function(_number(ffi, context), _number(ffi, callback))


def _groups(ffi: Any, found: Any) -> Any:
    from ctypes import c_char_p, c_int, c_long, c_void_p

    function = _declared(found.SSL_CTX_ctrl, c_long, c_void_p, c_int, c_long, c_char_p)
    return lambda context, names: function(_number(ffi, context), _SET_GROUPS_LIST, 0, names)


_FUNCTIONS = {
    "i2d_SSL_SESSION": _session_out,
    "d2i_SSL_SESSION": _session_in,
    "X509_STORE_up_ref": _store_reference,
    "SSL_CTX_set_msg_callback": _message_callback,
    "SSL_CTX_set1_curves_list": _groups,
}
