"""The walk, driven without network: destinations, limits, what is final, what comes from the cache."""

from collections.abc import Callable

import pytest

from postfix_smtp.delivery.walk import (
    Connect,
    Outcome,
    Resolve,
    ReuseAddress,
    Reused,
    ReuseDestination,
    Walk,
)
from postfix_smtp.dsn import Dsn
from postfix_smtp.routing.address import Address, Resolution
from postfix_smtp.routing.destination import Destination

NOTHING = Resolution(failure=Dsn("5.4.4", "not found"))


def parse(text: str) -> Destination:
    return Destination(text, text, "smtp", 25, False)


def addresses(*preferences: int) -> Resolution:
    found = (Address(f"mx{n}", f"192.0.2.{n}", preference, 25) for n, preference in enumerate(preferences, 1))
    return Resolution(tuple(found))


class World:
    """Plays the network for a walk and writes down what it was asked."""

    def __init__(
        self,
        resolutions: dict[str, Resolution],
        outcomes: dict[str, list[Outcome]] | None = None,
        *,
        cached: dict[str, str] | None = None,
        cached_addresses: tuple[str, ...] = (),
        delivers: Callable[[str], bool] = lambda _: False,
        **limits: int,
    ) -> None:
        self.resolutions = resolutions
        self.outcomes = outcomes or {}
        self.cached = cached or {}
        self.cached_addresses = list(cached_addresses)
        self.delivers = delivers
        self.left = True
        self.remembered = False
        self.seen: list[str] = []
        self.walk = Walk(
            list(resolutions),
            parse,
            address_limit=limits.get("address_limit", 0),
            session_limit=limits.get("session_limit", 0),
            may_load=lambda: bool(cached or cached_addresses),
            remembers_nexthop=lambda: self.remembered,
            recipients_left=lambda: self.left,
        )

    def run(self) -> list[str]:
        steps = self.walk.steps()
        answer: Resolution | Reused | Outcome | None = None
        while True:
            try:
                step = next(steps) if answer is None and not self.seen else steps.send(answer)
            except StopIteration:
                return self.seen
            match step:
                case Resolve(destination):
                    self.seen.append(f"resolve {destination.text}")
                    answer = self.resolutions[destination.text]
                    self.remembered = bool(self.cached)
                case ReuseDestination(destination, is_final):
                    found = self.cached.pop(destination.text, None)
                    answer = None if found is None else Reused(found)
                    self.seen.append(f"cache {destination.text} {found}")
                    if found is not None:
                        self.seen[-1] += " final" if is_final(found) else ""
                        self.used(found)
                case ReuseAddress(_, address, _, final):
                    hit = address.address in self.cached_addresses
                    answer = Outcome.SESSION if hit else Outcome.MISSED
                    self.seen.append(f"cache {address.host} {'hit' if hit else 'miss'}{' final' if final else ''}")
                    if hit:
                        self.cached_addresses.remove(address.address)
                        self.used(address.address)
                case Connect(_, address, is_best, final, final_session, plaintext):
                    outcome = self.outcomes.get(address.host, [Outcome.SESSION]).pop(0)
                    answer = outcome
                    marks = [
                        name
                        for name, is_set in (
                            ("best", is_best),
                            ("final", final),
                            ("final-session", final_session and not final),
                            ("plaintext", plaintext),
                        )
                        if is_set
                    ]
                    self.seen.append(" ".join([f"connect {address.host}", *marks]))
                    if outcome is Outcome.SESSION:
                        self.used(address.address)

    def used(self, address: str) -> None:
        if self.delivers(address):
            self.left = False


UNUSABLE = Outcome.UNUSABLE


def test_hosts_in_order_and_the_last_one_is_final() -> None:
    world = World({"a": addresses(10, 20, 20)}, {f"mx{n}": [UNUSABLE] for n in (1, 2, 3)})
    assert world.run() == ["resolve a", "connect mx1 best", "connect mx2", "connect mx3 final"]


def test_nothing_more_is_tried_when_nobody_is_left() -> None:
    world = World({"a": addresses(10, 20), "b": addresses(0)}, delivers=lambda _: True)
    assert world.run() == ["resolve a", "connect mx1 best"]


def test_the_next_destination_follows_and_only_its_last_host_is_final() -> None:
    world = World({"a": addresses(10), "b": addresses(0)}, {"mx1": [UNUSABLE, UNUSABLE]})
    assert world.run() == ["resolve a", "connect mx1 best", "resolve b", "connect mx1 best final"]


def test_a_destination_that_is_not_found_leads_to_the_next() -> None:
    assert World({"a": NOTHING, "b": NOTHING}).run() == ["resolve a", "resolve b"]


def test_after_an_own_address_nothing_else_is_tried() -> None:
    found = addresses(10)
    last = Resolution(found.addresses, is_last=True)
    assert World({"a": last, "b": addresses(0)}, {"mx1": [UNUSABLE]}).run() == ["resolve a", "connect mx1 best final"]


def test_the_address_limit_counts_every_address() -> None:
    world = World({"a": addresses(10, 20, 30)}, {f"mx{n}": [UNUSABLE] for n in (1, 2, 3)}, address_limit=2)
    assert world.run() == ["resolve a", "connect mx1 best", "connect mx2 final"]


def test_the_session_limit_counts_completed_handshakes_only() -> None:
    world = World({"a": addresses(10, 20, 30, 40)}, {"mx1": [UNUSABLE]}, session_limit=2)
    assert world.run() == ["resolve a", "connect mx1 best", "connect mx2", "connect mx3 final-session"]


@pytest.mark.parametrize("limit", [{"address_limit": 2}, {"session_limit": 2}])
def test_an_attempt_in_plaintext_is_not_counted(limit: dict[str, int]) -> None:
    world = World({"a": addresses(10, 20, 30)}, {"mx1": [Outcome.AGAIN, Outcome.SESSION]}, **limit)
    seen = world.run()
    assert seen[:3] == ["resolve a", "connect mx1 best", "connect mx1 best plaintext"]
    assert seen[3:] in (["connect mx2 final"], ["connect mx2 final-session"])


def test_the_cache_is_asked_by_destination_then_by_best_addresses_then_worse_ones_in_turn() -> None:
    world = World({"a": addresses(10, 10, 20)}, {f"mx{n}": [UNUSABLE] for n in (1, 2, 3)}, cached={"other": "x"})
    assert world.run() == [
        "resolve a",
        "cache a None",
        "cache mx1 miss",
        "cache mx2 miss",
        "connect mx1 best",
        "connect mx2 best",
        "cache mx3 miss final",
        "connect mx3 final",
    ]


def test_a_cached_address_is_not_connected_to() -> None:
    world = World({"a": addresses(10, 20)}, cached={"a": "192.0.2.1"})
    assert world.run() == ["resolve a", "cache a 192.0.2.1", "cache mx2 miss final", "connect mx2 final"]


def test_an_address_used_through_the_cache_is_not_used_for_a_later_destination() -> None:
    world = World({"a": addresses(10), "b": addresses(10)}, cached={"a": "192.0.2.1"})
    assert world.run() == ["resolve a", "cache a 192.0.2.1", "resolve b"]


def test_a_cached_session_counts_against_the_limits() -> None:
    world = World({"a": addresses(10, 20)}, cached={"a": "192.0.2.1"}, session_limit=1)
    assert world.run() == ["resolve a", "cache a 192.0.2.1 final"]


def test_a_cached_session_to_the_only_address_is_final() -> None:
    world = World({"a": addresses(10)}, cached_addresses=("192.0.2.1",))
    assert world.run() == ["resolve a", "cache mx1 hit final"]


def test_a_worse_address_may_come_from_the_cache() -> None:
    world = World({"a": addresses(10, 20)}, {"mx1": [UNUSABLE]}, cached_addresses=("192.0.2.2",))
    assert world.run() == ["resolve a", "cache mx1 miss", "connect mx1 best", "cache mx2 hit final"]
