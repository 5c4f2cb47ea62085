"""What a server offers, as the bit mask that the connection cache stores (smtp-protocol chapter 4.2).

Plain integers: they are tested several times for every message.
"""

from typing import Final

ESMTP: Final = 1 << 0
EIGHTBITMIME: Final = 1 << 1
PIPELINING: Final = 1 << 2
SIZE: Final = 1 << 3
STARTTLS: Final = 1 << 4
AUTH: Final = 1 << 5
XFORWARD_NAME: Final = 1 << 7
XFORWARD_ADDR: Final = 1 << 8
XFORWARD_PROTO: Final = 1 << 9
XFORWARD_HELO: Final = 1 << 10
XFORWARD_SOURCE: Final = 1 << 11
BEST_MX: Final = 1 << 12  #: the host is a best-preference one of its destination
RSET_REJECTED: Final = 1 << 13
FROM_CACHE: Final = 1 << 14
DSN: Final = 1 << 15
PIX_NO_ESMTP: Final = 1 << 16  #: workaround ``disable_esmtp`` is in force
PIX_DELAY_DOT: Final = 1 << 17  #: workaround ``delay_dotcrlf`` is in force
XFORWARD_PORT: Final = 1 << 18
EARLY_MAIL_REPLY: Final = 1 << 19
XFORWARD_IDENT: Final = 1 << 20
SMTPUTF8: Final = 1 << 21
TLS_PROXIED: Final = 1 << 22
REQUIRETLS: Final = 1 << 23  #: 3.11

#: What describes the connection and not its present use: ``endpoint_features`` (delivery chapter 14.5).
CACHED: Final = (
    ESMTP
    | EIGHTBITMIME
    | PIPELINING
    | SIZE
    | STARTTLS
    | AUTH
    | XFORWARD_NAME
    | XFORWARD_ADDR
    | XFORWARD_PROTO
    | XFORWARD_HELO
    | XFORWARD_SOURCE
    | DSN
    | PIX_NO_ESMTP
    | PIX_DELAY_DOT
    | XFORWARD_PORT
    | EARLY_MAIL_REPLY
    | XFORWARD_IDENT
    | SMTPUTF8
    | TLS_PROXIED
    | REQUIRETLS
)
