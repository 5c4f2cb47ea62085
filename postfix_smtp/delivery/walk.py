"""The walk over destinations, hosts and cached connections: what to do next, without doing it.

This is delivery chapter 1, 5.3, 7 and 14.2 as one object without I/O. :meth:`Walk.steps` is a generator: it yields a
step, is sent what became of it, and ends when nothing is left to try. Whoever drives it (the delivery agent, the
operator's ``try`` command, a test) does the look-ups, the connecting and the talking.

Two rules hold everywhere:

* A step is only yielded while recipients are left.
* The *final* server is the one after which no other will be tried; what fails there is recorded. The walk says so with
  each step, because it alone knows the limits.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from postfix_smtp.routing.address import Address, Resolution
from postfix_smtp.routing.destination import Destination


class Outcome(Enum):
    """What became of a step that uses a server."""

    MISSED = auto()  #: no cached session (reuse steps only)
    UNUSABLE = auto()  #: no handshake: policy, connect, greeting...; counts as an address
    SESSION = auto()  #: a session ran
    AGAIN = auto()  #: the handshake or session failed in TLS and the same address may be tried in plaintext at once


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look up the addresses of a destination; send a :class:`Resolution`."""

    destination: Destination


@dataclass(frozen=True, slots=True)
class ReuseDestination:
    """Use a cached session found by the request's next-hop; send the :class:`Reused` or None.

    `final` is decided by what is left after the session's address is taken out of the list: `is_final(address)`.
    """

    destination: Destination
    is_final: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Reused:
    """A cached session that was used: the address of its server."""

    address: str


@dataclass(frozen=True, slots=True)
class ReuseAddress:
    """Use a cached session to this address; send the outcome, MISSED if there is none."""

    destination: Destination
    address: Address
    is_best: bool
    final: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """Make a new session to this address; send the outcome.

    Attributes:
        is_best: the address has the best preference of its destination.
        final: nothing else will be tried after this address.
        final_session: the same, once the handshake has been completed (session limit).
        plaintext: without TLS, after a failure in TLS.
    """

    destination: Destination
    address: Address
    is_best: bool
    final: bool
    final_session: bool
    plaintext: bool = False


Step = Resolve | ReuseDestination | ReuseAddress | Connect
Steps = Generator[Step, "Resolution | Reused | Outcome | None", None]


class Walk:
    """The way of one request over TCP destinations.

    Args:
        destinations: texts of the nexthop list and the fallback relays.
        parse: makes a destination of a text; raises FatalError when it is malformed.
        address_limit, session_limit: per destination, 0: none.
        may_load: whether cached sessions may be used for this request, asked once, for the first destination, when
            it has addresses.
        remembers_nexthop: whether sessions may still be found by the request's next-hop.
        recipients_left: whether there is still somebody to deliver to.

    Attributes:
        last_destination: no destination follows the current one.
        position: index of the current destination.
    """

    def __init__(
        self,
        destinations: Sequence[str],
        parse: Callable[[str], Destination],
        *,
        address_limit: int,
        session_limit: int,
        may_load: Callable[[], bool],
        remembers_nexthop: Callable[[], bool],
        recipients_left: Callable[[], bool],
    ) -> None:
        self._destinations = destinations
        self._parse = parse
        self._address_limit = address_limit
        self._session_limit = session_limit
        self._may_load = may_load
        self._remembers_nexthop = remembers_nexthop
        self._left = recipients_left
        self._load = False
        self._used: set[str] = set()
        self.last_destination = False
        self.position = -1

    def steps(self) -> Steps:
        """Yield what to do next until nobody is left to deliver to or nothing is left to try."""
        for position, text in enumerate(self._destinations):
            self.position = position
            destination = self._parse(text)
            if position == len(self._destinations) - 1:
                self.last_destination = True
            resolution = yield Resolve(destination)
            assert isinstance(resolution, Resolution)
            if resolution.is_last:
                self.last_destination = True
            if resolution.addresses:
                if position == 0:
                    self._load = self._may_load()
                yield from self._servers(destination, list(resolution.addresses))
            if self.last_destination or not self._left():
                return

    def _servers(self, destination: Destination, addresses: list[Address]) -> Steps:
        counted = sessions = 0
        best = addresses[0].preference
        if self._load:
            counted = sessions = yield from self._cached(destination, addresses, best)
        plaintext = False
        while addresses and self._left():
            address = addresses[0]
            counted += 1
            exhausted = len(addresses) == 1 or _reached(counted, self._address_limit)
            final = self.last_destination and exhausted
            if self._load and address.preference > best and not plaintext:
                outcome = yield ReuseAddress(destination, address, False, final or self._is_last_session(sessions))
                if outcome is not Outcome.MISSED:
                    self._used.add(address.address)
                    del addresses[0]
                    sessions += 1
                    if exhausted or _reached(sessions, self._session_limit):
                        return
                    continue
            outcome = yield Connect(
                destination,
                address,
                address.preference == best,
                final,
                final or self._is_last_session(sessions),
                plaintext,
            )
            if outcome is Outcome.AGAIN:
                counted -= 1
                plaintext = True
                continue
            plaintext = False
            del addresses[0]
            if outcome is Outcome.SESSION:
                sessions += 1
            if exhausted or _reached(sessions, self._session_limit):
                return

    def _is_last_session(self, sessions: int) -> bool:
        return self.last_destination and _reached(sessions + 1, self._session_limit)

    def _cached(
        self, destination: Destination, addresses: list[Address], best: int
    ) -> Generator[Step, "Resolution | Reused | Outcome | None", int]:
        """Sessions from the cache, before anything is connected to; returns how many were used."""
        addresses[:] = [address for address in addresses if address.address not in self._used]
        used = 0

        def enough(count: int) -> bool:
            return _reached(count, self._address_limit) or _reached(count, self._session_limit)

        def is_final(taken: str) -> bool:
            if not self.last_destination:
                return False
            others = any(address.address != taken for address in addresses)
            return not others or enough(used + 1)

        def take(taken: str) -> None:
            nonlocal used
            used += 1
            self._used.add(taken)
            addresses[:] = [address for address in addresses if address.address != taken]
            if enough(used):
                addresses.clear()

        if self._remembers_nexthop():
            reused = yield ReuseDestination(destination, is_final)
            if isinstance(reused, Reused):
                take(reused.address)
        for address in [address for address in addresses if address.preference == best]:
            if not self._left() or address not in addresses:
                break
            outcome = yield ReuseAddress(destination, address, True, is_final(address.address))
            if outcome is not Outcome.MISSED:
                take(address.address)
        return used


def _reached(count: int, limit: int) -> bool:
    """A limit of 0 is none."""
    return 0 < limit <= count
