"""What pyOpenSSL's public face lacks, through the bindings that it uses itself (TLS chapter 9).

Everything that touches a C object without pyOpenSSL's help is in this file and in :mod:`postfix_smtp.tls.layer`.
"""

import errno
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from OpenSSL import SSL, crypto

from postfix_smtp import log
from postfix_smtp.tls import system_library

FFI: Any = SSL._ffi  # type: ignore[attr-defined]
LIB: Any = system_library.completed(SSL._lib, FFI)  # type: ignore[attr-defined]

#: The library in use, as its sessions and session identifiers know it.
VERSION_NUMBER: int = LIB.OpenSSL_version_num()

_SSL_LIBRARY = 20
_SYSTEM_LIBRARY = 2
_SYSTEM_FLAG = 0x80000000
_ALERT_BASE = 1000
_MAX_ALERT = 255
NO_DETAILS: Mapping[int, str] = MappingProxyType({})
_NO_START_LINE = 0x0480006C
#: What is added to errors of decoding
DECODING: Mapping[int, str] = {0x0688010A: "Type=X509:", 0x1E08010C: "No supported data to decode. Input type: PEM:"}
ERROR_WANT_READ = 2
ERROR_WANT_WRITE = 3
ERROR_ZERO_RETURN = 6

#: Bits of an information call-back.
CB_LOOP, CB_EXIT, CB_ALERT, CB_READ = 0x1, 0x2, 0x4000, 0x4

_ALERTS = {
    10: "unexpected message",
    20: "bad record mac",
    21: "decryption failed",
    22: "record overflow",
    30: "decompression failure",
    40: "handshake failure",
    41: "no certificate",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "certificate revoked",
    45: "certificate expired",
    46: "certificate unknown",
    47: "illegal parameter",
    48: "unknown CA",
    49: "access denied",
    50: "decode error",
    51: "decrypt error",
    60: "export restriction",
    70: "protocol version",
    71: "insufficient security",
    80: "internal error",
    86: "inappropriate fallback",
    90: "user canceled",
    100: "no renegotiation",
    110: "unsupported extension",
    111: "certificate unobtainable",
    112: "unrecognized name",
    113: "bad certificate status response",
    114: "bad certificate hash value",
    115: "unknown PSK identity",
    120: "no application protocol",
}


def lacking() -> list[str]:
    """Functions without which there is no TLS: wheels of cryptography before 41 are without them."""
    return [name for name in ("SSL_CTX_set_msg_callback", "X509_STORE_up_ref") if not hasattr(LIB, name)]


def read_configuration(path: str) -> None:
    """Read another configuration file, if the library is one that this process has used before it could be named.

    The interpreter's own modules use the system's OpenSSL; the one in the wheels of PyPI is not used by anybody else,
    and reads the file that the environment names.
    """
    found = system_library.shared(LIB, FFI)
    if found is not None:
        found.CONF_modules_finish()
        found.CONF_modules_load_file(os.fsencode(path), None, 0)
        clear_errors()


def clear_errors() -> None:
    """Forget errors of earlier calls."""
    LIB.ERR_clear_error()


def error_stack(details: Mapping[int, str] = NO_DETAILS) -> list[str]:
    """The library's errors since :func:`clear_errors`, as Postfix shows them; the queue is empty afterwards.

    The bindings do not tell where in the library an error arose: file and line are fill-ins.

    Args:
        details: what the library would add to an error, by its code; the bindings do not tell that either.
    """
    found = []
    while code := LIB.ERR_get_error():
        name = LIB.ERR_lib_error_string(code)
        text = LIB.ERR_reason_error_string(code)
        number, reason = code >> 23 & 0xFF, code & 0x7FFFFF
        if code & _SYSTEM_FLAG:
            number, reason = _SYSTEM_LIBRARY, code & ~_SYSTEM_FLAG
            shown = os.strerror(reason)
        else:
            shown = _string(text) if text != FFI.NULL else f"reason({reason})"
        where = "ssl" if number == _SSL_LIBRARY else "crypto"
        data = details.get(code, "")
        if number == _SSL_LIBRARY and 0 < reason - _ALERT_BASE <= _MAX_ALERT:
            data = f"SSL alert number {reason - _ALERT_BASE}:"
        library = _string(name) if name != FFI.NULL else f"lib({number})"
        found.append(f"error:{code:08X}:{library}::{shown}:../{where}/unknown:0:{data}")
    return found


def pair_problem(certificate_file: str, key_file: str) -> tuple[str, list[str]]:
    """What keeps a certificate file and a key file from being used.

    Returns:
        ``certificate``, ``key``, ``match`` or nothing, and the errors.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    # Nobody is there to be asked for a password
    context.set_passwd_cb(lambda *_: b"")
    set_ciphers(context, "ALL:@SECLEVEL=0")
    clear_errors()
    pointer = context._context
    if LIB.SSL_CTX_use_certificate_chain_file(pointer, os.fsencode(certificate_file)) != 1:
        return "certificate", error_stack(_file_details(certificate_file, "Expecting: TRUSTED CERTIFICATE:"))
    if LIB.SSL_CTX_use_PrivateKey_file(pointer, os.fsencode(key_file), crypto.FILETYPE_PEM) != 1:
        return "key", error_stack(_file_details(key_file, "Expecting: ANY PRIVATE KEY:"))
    if LIB.SSL_CTX_check_private_key(pointer) != 1:
        return "match", error_stack()
    return "", []


def certificate_errors(encoding: bytes) -> list[str]:
    """Why a certificate (DER) cannot be decoded."""
    clear_errors()
    octets = FFI.from_buffer(encoding)
    memory = FFI.gc(LIB.BIO_new_mem_buf(octets, len(encoding)), LIB.BIO_free)
    made = LIB.d2i_X509_bio(memory, FFI.NULL)
    if made != FFI.NULL:
        LIB.X509_free(made)
    return error_stack(DECODING)


def _file_details(path: str, expected: str) -> dict[int, str]:
    system = {_SYSTEM_FLAG | number: f"calling fopen({path}, r):" for number in (errno.ENOENT, errno.EACCES)}
    return {**system, **DECODING, _NO_START_LINE: expected}


def log_errors(errors: list[str]) -> None:
    """Warn about each error."""
    for error in errors:
        log.warning(f"TLS library problem: {error}")


def alert_text(number: int) -> str:
    """The library's description of an alert."""
    return _ALERTS.get(number, "unknown")


def verify_text(error: int) -> str:
    """The library's text for a verification error."""
    return _string(LIB.X509_verify_cert_error_string(error))


def session_der(connection: Any) -> bytes | None:
    """The current session of an open connection, in a form that can be kept."""
    session = LIB.SSL_get1_session(connection._ssl)
    if session == FFI.NULL:
        return None
    try:
        size = LIB.i2d_SSL_SESSION(session, FFI.NULL)
        if size <= 0:
            return None
        buffer = FFI.new("unsigned char[]", size)
        pointer = FFI.new("unsigned char *[]", [buffer])
        LIB.i2d_SSL_SESSION(session, pointer)
        return bytes(FFI.buffer(buffer, size))
    finally:
        LIB.SSL_SESSION_free(session)


def offer_session(connection: Any, der: bytes) -> bool:
    """Let a connection try to resume a kept session; False, with the library's errors, if that is not one."""
    buffer = FFI.from_buffer(der)
    pointer = FFI.new("const unsigned char *[]", [FFI.cast("const unsigned char *", buffer)])
    session = LIB.d2i_SSL_SESSION(FFI.NULL, pointer, len(der))
    if session == FFI.NULL:
        return False
    LIB.SSL_set_session(connection._ssl, session)
    LIB.SSL_SESSION_free(session)
    return True


def has_sessions() -> bool:
    """Whether sessions can be turned into octets and back (cryptography 44 and later, or a shared library)."""
    return hasattr(LIB, "i2d_SSL_SESSION") and hasattr(LIB, "d2i_SSL_SESSION")


def set_groups(context: SSL.Context, names: list[str]) -> bool | None:
    """Choose the key exchange groups; False if the library does not know one of them, None if it cannot be done."""
    function = getattr(LIB, "SSL_CTX_set1_curves_list", None)
    if function is None:
        return None
    done: bool = function(context._context, ":".join(names).encode()) == 1
    LIB.ERR_clear_error()
    return done


def set_ciphers(context: SSL.Context, text: str) -> bool:
    """Choose the ciphers up to TLS 1.2; False, with the library's errors, if it has none of them."""
    done: bool = LIB.SSL_CTX_set_cipher_list(context._context, text.encode("utf-8", "surrogateescape")) == 1
    return done


def share_store(context: SSL.Context, owner: SSL.Context) -> None:
    """Let a context trust what another one trusts."""
    store = LIB.SSL_CTX_get_cert_store(owner._context)
    LIB.X509_STORE_up_ref(store)
    LIB.SSL_CTX_set_cert_store(context._context, store)


def is_known_object(name: str) -> bool:
    """Whether the library has an object of this short or long name."""
    known: bool = LIB.OBJ_txt2nid(name.encode()) != 0
    LIB.ERR_clear_error()
    return known


def certificate_der(certificate: Any) -> bytes:
    """The DER form of an X509 pointer that somebody else owns."""
    LIB.X509_up_ref(certificate)
    wrapped = crypto.X509._from_raw_x509_ptr(certificate)
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, wrapped)


def _string(pointer: Any) -> str:
    text: bytes = FFI.string(pointer)
    return text.decode("ascii", "replace")
