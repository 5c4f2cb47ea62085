"""Who the server is: what to make of the library's checks, and our own (TLS chapter 3.5, 3.6, 4).

A handshake never fails because of a certificate. The library reports the result of each of its checks as an event,
deepest certificate first; this module adds the checks that it cannot make (names by Postfix's rules, digests, anchors
that are known by a digest or a bare key only), keeps the error that counts, and says in the end what the session's
result is. That result is stored in the session and comes back when it is resumed.

One rule holds whatever happens: a server matches only if the last event of a complete verification said so.
"""

from collections.abc import Callable
from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.tls.certificate import Certificate, certificate
from postfix_smtp.tls.demand import Demand
from postfix_smtp.tls.names import address_matches, matched_name
from postfix_smtp.tls.records import (
    CERTIFICATE,
    END_ENTITY,
    PUBLIC_KEY,
    TRUST_ANCHOR,
    WHOLE,
    Digests,
    TlsaRecord,
)
from postfix_smtp.tls.settings import has_feature

OK = 0
UNSPECIFIED = 1
BAD_SIGNATURE, NOT_YET_VALID, EXPIRED = 7, 9, 10
SELF_SIGNED, UNTRUSTED_ROOT, NO_ISSUER, NO_CHAIN, CHAIN_TOO_LONG = 18, 19, 20, 21, 22
NO_MATCH, KEY_TOO_WEAK = 65, 66
HOST_MISMATCH, ADDRESS_MISMATCH = 62, 64
#: What the library says when no anchor is found; with anchors of ours it is "no matching record".
_NO_ANCHOR = (2, SELF_SIGNED, UNTRUSTED_ROOT, NO_ISSUER, 27)
#: Errors that the library finds before it would look at names: those of the chain, and of the keys in it.
_BEFORE_NAMES = (*_NO_ANCHOR, CHAIN_TOO_LONG, 24, 25, 26, NO_MATCH, KEY_TOO_WEAK, 67, 68, 79)
#: Errors whose log line names the issuer.
_SHOWS_ISSUER = (UNTRUSTED_ROOT, NO_ISSUER)
_WEAK_MISMATCH = (3, 10, 4)

#: Whether a certificate (DER) is signed by a bare key (SubjectPublicKeyInfo).
SignedBy = Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class Problem:
    """A verification error.

    Attributes:
        error: number of the library.
        depth: 0 is the server's own certificate.
        issuer: of the certificate with the error, one-line form.
    """

    error: int
    depth: int
    issuer: str = "<unknown>"


class Verifier:
    """The verification of one handshake.

    Args:
        peer: folded name and address, for log lines.
        signed_by: checks a signature by a bare key.
        verbose: log each event.

    Attributes:
        chain: certificates that the server sent, DER.
        problem: the error that counts so far.
        name: the name of the certificate that matched.
        finished: the last event was seen.
    """

    def __init__(
        self,
        demand: Demand,
        digests: Digests,
        peer: str,
        version: tuple[int, ...],
        signed_by: SignedBy,
        *,
        verbose: bool = False,
    ) -> None:
        self._demand = demand
        self._digests = digests
        self._peer = peer
        self._weak_mismatch = version >= _WEAK_MISMATCH
        self._rpk_lines = has_feature(version, (3, 9))
        self._signed_by = signed_by
        self._verbose = verbose
        self.chain: list[bytes] = []
        self.problem: Problem | None = Problem(UNSPECIFIED, 0) if demand.must_fail else None
        self.name: str | None = None
        self.finished = False
        self._own: TlsaRecord | None = None
        self._names_checked = False
        self._unchecked = 0  # depth of a certificate about which nothing counts, if above 0
        self._is_alone = False  # no issuer of the server's certificate is known, and anchors are
        self._anchors: dict[bytes, tuple[TlsaRecord, bool]] = {}
        self._match_line = ""
        self._has_own_records = any(record.usage == END_ENTITY for record in demand.records)
        self._has_anchors = any(record.usage == TRUST_ANCHOR for record in demand.records)

    # What the server sent

    def received(self, chain: list[bytes]) -> list[bytes]:
        """The server's Certificate message.

        Returns:
            certificates (DER) that the library has to trust because a record stands for them.
        """
        self.chain = chain
        if not chain or self._demand.must_fail:
            return []
        for record in self._demand.records:
            if record.usage == END_ENTITY and self._matches(record, chain[0]):
                self._own = record
                return []
        if not self._has_anchors:
            return []
        trusted: list[bytes] = []
        for depth, encoding in enumerate(chain):
            for record in self._demand.records:
                if record.usage != TRUST_ANCHOR:
                    continue
                if depth and self._matches(record, encoding):
                    found = (record, False)
                elif record.selector == PUBLIC_KEY and record.matching == WHOLE and self._is_below(encoding, record):
                    found = (record, True)
                else:
                    continue
                self._anchors[encoding] = found
                trusted.append(encoding)
                break
        return trusted

    def _matches(self, record: TlsaRecord, encoding: bytes) -> bool:
        octets = encoding
        if record.selector == PUBLIC_KEY:
            parsed = certificate(encoding)
            if parsed is None:
                return False
            octets = parsed.public_key
        return self._digests.compute(record.matching, octets) == record.data

    def _is_below(self, encoding: bytes, record: TlsaRecord) -> bool:
        """Signed by a bare key."""
        return self._signed_by(encoding, record.data)

    # Events

    def event(self, ok: bool, error: int, depth: int, encoding: Callable[[], bytes]) -> int | None:
        """One result of the library.

        Args:
            ok: the check succeeded.
            error: number of the library's error.
            encoding: the certificate in question, DER.

        Returns:
            the result to store in the session, None: leave it.
        """
        if self._demand.must_fail:
            self.finished = self.finished or (ok and depth == 0)
            return UNSPECIFIED
        if self._own is not None and not self._demand.anchor_file:
            return self._own_event(ok, error, depth, encoding)
        if self._has_own_records and not self._has_anchors:
            return self._foreign_event(ok, depth)
        if not self._names_checked and (ok or error not in _BEFORE_NAMES):
            self._names_checked = True
            self._check_names()
            if self._is_alone:
                self._tell(encoding, depth, False)
            self._unchecked = self._top_is_taken_as_it_is(depth, encoding)
        if depth and depth == self._unchecked:
            if ok:
                self._note_anchor(depth, encoding)
            return self.result
        if self._own is not None and (depth or not ok) and error != KEY_TOO_WEAK:
            return self.result
        if not ok:
            if self._has_anchors and error in _NO_ANCHOR:
                # Where the library itself knows of anchors it says first that none matches. Later it complains that the
                # certificate on top cannot be verified, if that is the server's.
                self._tell(encoding, depth, ok)
                self._is_alone = depth == 0 and error != SELF_SIGNED
                error = NO_MATCH
            self._tell(encoding, depth, ok)
            self._offer(error, depth, encoding)
            return error
        self._tell(encoding, depth, ok)
        self._note_anchor(depth, encoding)
        if depth == 0:
            self.finished = True
            return self.result
        return None

    @property
    def result(self) -> int:
        """The result so far; 0 is good."""
        return self.problem.error if self.problem is not None else OK

    @property
    def is_good(self) -> bool:
        """Verification was completed without an error."""
        return self.finished and self.problem is None

    def _own_event(self, ok: bool, error: int, depth: int, encoding: Callable[[], bytes]) -> int | None:
        """The server's certificate is known by a record: nothing else counts but the strength of its key."""
        if not ok and error == KEY_TOO_WEAK and depth == 0:
            self._tell(encoding, depth, ok)
            self._offer(error, depth, encoding)
        elif ok and depth == 0:
            self._tell(encoding, depth, ok)
            assert self._own is not None
            self._note_own(self._own)
            self.finished = True
        return self.result

    def _foreign_event(self, ok: bool, depth: int) -> int | None:
        """No record stands for the server's certificate, and no other would do."""
        if self.problem is None:
            self._tell(self._leaf, 0, False)
            self.problem = Problem(NO_MATCH, 0)
        self.finished = self.finished or (ok and depth == 0)
        return NO_MATCH

    def _top_is_taken_as_it_is(self, depth: int, encoding: Callable[[], bytes]) -> int:
        """The depth of the certificate on top, `depth`, if neither its dates nor its signature are looked at; else 0.

        So it is with anchors of the library's own, unless it is a root or signed by a bare key.
        """
        if not self._has_anchors or self._anchors.get(encoding(), (None, False))[1]:
            return 0
        parsed = certificate(encoding())
        return 0 if parsed is None or parsed.is_self_issued else depth

    def _offer(self, error: int, depth: int, encoding: Callable[[], bytes]) -> None:
        """Record an error if it counts more than the one there is."""
        known = self.problem
        if known is None or depth < known.depth or self._is_weak(known.error):
            issuer = _issuer(encoding) if error in _SHOWS_ISSUER else ""
            self.problem = Problem(error, depth, issuer)

    def _is_weak(self, error: int) -> bool:
        """Any other error counts more."""
        return self._weak_mismatch and error == HOST_MISMATCH

    def _leaf(self) -> bytes:
        """The server's own certificate."""
        return self.chain[0] if self.chain else b""

    def _tell(self, encoding: Callable[[], bytes], depth: int, ok: bool) -> None:
        if self._verbose:
            parsed = certificate(encoding())
            subject = parsed.subject_line if parsed is not None else "<unknown>"
            log.info(f"{self._peer}: depth={depth} verify={int(ok)} subject={subject}")

    def _check_names(self) -> None:
        """Compare the names in the server's certificate, which the library would do at this place."""
        references = self._demand.references
        if not references:
            return
        parsed = certificate(self._leaf())
        errors: list[int] = []
        if references.names:
            self.name = matched_name(parsed, references.names) if parsed is not None else None
            if self.name is None:
                errors.append(HOST_MISMATCH)
        if references.address is not None and (parsed is None or not address_matches(parsed, references.address)):
            errors.append(ADDRESS_MISMATCH)
        for error in errors:
            self._tell(self._leaf, 0, False)
            if self.problem is None or not self._is_weak(error):
                self._offer(error, 0, self._leaf)

    # What matched

    def _note_own(self, record: TlsaRecord) -> None:
        if self._demand.fingerprints:
            self._match_line = f"Matched fingerprint: {record.data.hex().upper()}"
        elif self._demand.anchor_file:
            self._match_line = "Matched trust anchor at depth 0"
        else:
            self._match_line = f"Matched DANE EE certificate at depth 0: {record}"

    def _note_anchor(self, depth: int, encoding: Callable[[], bytes]) -> None:
        """The first good certificate of the chain, seen from the top, is the anchor."""
        if self._own is not None and self._demand.anchor_file:
            self._note_own(self._own)
        if not self._has_anchors or self._match_line:
            return
        octets = encoding()
        record, by_key = self._anchors.get(octets, (None, False))
        if record is None:
            record = next(
                (item for item in self._demand.records if item.usage == TRUST_ANCHOR and self._matches(item, octets)),
                None,
            )
        if record is None:
            return
        if self._demand.anchor_file:
            self._match_line = f"Matched trust anchor at depth {depth}"
        elif by_key:
            self._match_line = f"Matched DANE TA public key verified certificate at depth {depth}: {record}"
        else:
            self._match_line = f"Matched DANE TA certificate at depth {depth}: {record}"

    @property
    def match_line(self) -> str:
        """What record matched, for the log; empty if none did."""
        return self._match_line

    @property
    def whole_anchors(self) -> list[bytes]:
        """Certificates (DER) that records hold completely: the server need not send them."""
        return [
            record.data
            for record in self._demand.records
            if record.usage == TRUST_ANCHOR and record.selector == CERTIFICATE and record.matching == WHOLE
        ]


def _issuer(encoding: Callable[[], bytes]) -> str:
    parsed: Certificate | None = certificate(encoding())
    return parsed.issuer_line if parsed is not None else "<unknown>"


def failure_lines(problem: Problem, peer: str, text: str) -> list[str]:
    """What is logged about a certificate that did not verify (TLS chapter 4.5).

    Args:
        text: the library's words for the error.
    """
    who = "CA" if problem.depth > 0 else "server"
    begin = f"certificate verification failed for {peer}: "
    match problem.error:
        case 18:
            return [f"{begin}self-signed certificate"]
        case 19 | 20:
            return [f"{begin}untrusted issuer {problem.issuer}"]
        case 9 | 13:
            return [f"{who} {begin}certificate not yet valid"]
        case 10 | 14:
            return [f"{who} {begin}certificate has expired"]
        case 26:
            return [f"{begin}not designated for use as a {who} certificate"]
        case 22:
            return [f"{begin}certificate chain longer than limit({problem.depth - 1})"]
        case 27:
            return [f"{begin}not trusted by local or TLSA policy"]
        case error:
            return [f"{who} {begin}num={error}:{text}"]
