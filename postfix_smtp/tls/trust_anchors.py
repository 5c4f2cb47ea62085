"""Trust anchor files (TLS chapter 2.6)."""

import os

from postfix_smtp import log
from postfix_smtp.tls.pem import PemError, read_objects
from postfix_smtp.tls.policy_entry import PolicyError
from postfix_smtp.tls.records import CERTIFICATE, END_ENTITY, PUBLIC_KEY, TRUST_ANCHOR, WHOLE, TlsaRecord

_SELECTORS = {b"CERTIFICATE": CERTIFICATE, b"X509 CERTIFICATE": CERTIFICATE, b"PUBLIC KEY": PUBLIC_KEY}


class TrustAnchorFiles:
    """Reads files, each again only when it was changed.

    Args:
        verbose: tell what was found.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._known: dict[str, tuple[tuple[int, ...], list[TlsaRecord]]] = {}

    def load(self, path: str) -> list[TlsaRecord]:
        """The records of one file, in the order of evaluation.

        Raises:
            PolicyError: the file cannot be read, is malformed, or holds nothing at all; logged.
        """
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                stamp = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
                known = self._known.get(path)
                if known is None or known[0] != stamp:
                    known = self._known[path] = stamp, _records(file.read())
        except OSError as error:
            log.warning(f"error opening trust anchor file: {path}: {error.strerror}")
            raise PolicyError from None
        records = known[1]
        if self._verbose or log.verbose():
            for record in reversed(records):
                if record.usage == TRUST_ANCHOR:
                    kind = "cert" if record.selector == CERTIFICATE else "pkey"
                    log.info(f"TA {kind} as TLSA record: {path}: {record}")
        return records


def _records(octets: bytes) -> list[TlsaRecord]:
    found: list[TlsaRecord] = []
    is_empty = True
    try:
        for item in read_objects(octets):
            is_empty = False
            selector = _SELECTORS.get(item.kind)
            if selector is not None:
                found += (TlsaRecord(usage, selector, WHOLE, item.content) for usage in (TRUST_ANCHOR, END_ENTITY))
    except PemError as error:
        error.tell()
        raise PolicyError from None
    if is_empty:
        raise PolicyError
    return found[::-1]
