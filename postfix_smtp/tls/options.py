"""Option bits of the library (TLS chapter 5.3)."""

import re

from postfix_smtp import log
from postfix_smtp.config.lists import split

_SAFARI_BUG = 0x40
_WORKAROUNDS = 0x80000850
_NO_RENEGOTIATION = 0x40000000
_NO_RENEGOTIATION_SINCE = (3, 8)
#: Protocol exclusions and SSL_OP_CIPHER_SERVER_PREFERENCE have parameters of their own.
_MANAGED = 0x3E000000 | 0x00400000
#: A TCP close without close_notify is an ordinary end of file.
IGNORE_UNEXPECTED_EOF = 0x80
_BUGS = {
    **dict.fromkeys(
        (
            "microsoft_sess_id_bug",
            "netscape_challenge_bug",
            "netscape_reuse_cipher_change_bug",
            "cve-2010-4180",
            "sslref2_reuse_cert_type_bug",
            "microsoft_big_sslv3_buffer",
            "msie_sslv2_rsa_padding",
            "cve-2005-2969",
            "ssleay_080_client_dh_bug",
            "tls_d5_bug",
            "tls_block_padding_bug",
            "tls_rollback_bug",
        ),
        0,
    ),
    "legacy_server_connect": 0x4,
    "dont_insert_empty_fragments": 0x800,
    "cryptopro_tlsext_bug": 0x80000000,
    "tlsext_padding": 0x10,
}
_OPTIONS = {
    "legacy_server_connect": 0x4,
    "no_ticket": 0x4000,
    "no_compression": 0x20000,
    "no_renegotiation": _NO_RENEGOTIATION,
    "no_session_resumption_on_renegotiation": 0x10000,
    "prioritize_chacha": 0x200000,
    "enable_middlebox_compat": 0x100000,
}
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,8}")


def option_bits(workarounds_off: str, wanted: str, version: tuple[int, ...]) -> int:
    """The bits to switch on.

    Args:
        workarounds_off: ``tls_disable_workarounds``.
        wanted: ``tls_ssl_options``.
    """
    bits = _WORKAROUNDS
    if workarounds_off:
        bits &= ~(_mask("tls_disable_workarounds", workarounds_off, _BUGS) | _SAFARI_BUG)
    if wanted:
        bits |= _mask("tls_ssl_options", wanted, _OPTIONS) & ~(_WORKAROUNDS | _MANAGED)
    if version >= _NO_RENEGOTIATION_SINCE:
        bits |= _NO_RENEGOTIATION
    return bits


def _mask(name: str, value: str, known: dict[str, int]) -> int:
    bits = 0
    for word in split(value):
        bit = known.get(word.lower())
        if bit is None and _NUMBER.fullmatch(word):
            bit = int(word, 16)
        if bit is None:
            log.warning(f'unknown {name} value "{word}" in "{value}"')
            continue
        bits |= bit
    return bits
