"""A name server that lies, truncates and sends garbage: an outcome in bounded time, and nothing else is held up."""

import asyncio
import random
import time
from pathlib import Path

import pytest

from compat.dns_server import DnsServer
from postfix_smtp.routing.dns import Resolver, Result
from postfix_smtp.routing.dns_client import DnsClient


class Mutilator(DnsServer):
    """Answers with octets changed, inserted, removed or cut off, but for the ID; every third answer is whole."""

    def __init__(self, *arguments: object, seed: int, **keywords: object) -> None:
        super().__init__(*arguments, **keywords)  # type: ignore[arg-type]
        self._random = random.Random(seed)

    def _answer(self, wire: bytes, *, over_tcp: bool) -> bytes | None:
        answer = super()._answer(wire, over_tcp=over_tcp)
        assert answer is not None
        octets = bytearray(answer)
        dice = self._random
        for _ in range(dice.randrange(4)):
            place = dice.randrange(2, len(octets))
            match dice.randrange(4):
                case 0:
                    octets[place] = dice.randrange(256)
                case 1:
                    octets[place:place] = dice.randbytes(dice.randrange(1, 20))
                case 2:
                    del octets[place : place + dice.randrange(1, 20)]
                case 3:
                    del octets[max(place, 3) :]
            if len(octets) < 4:
                break
        return bytes(octets)


@pytest.fixture
def resolv_conf(tmp_path: Path) -> str:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    return str(path)


RECORDS = [
    *(f"dest.example MX {n} mx{n}.dest.example" for n in range(8)),
    *(f"mx{n}.dest.example A 192.0.2.{n + 1}" for n in range(8)),
    "alias.example CNAME dest.example",
    "_25._tcp.mx1.dest.example TLSA 3 1 1 " + "ab" * 32,
]


@pytest.mark.parametrize("seed", range(4))
def test_mutilated_answers_have_an_outcome(seed: int, resolv_conf: str) -> None:
    questions = [("dest.example", "MX"), ("alias.example", "MX"), ("mx1.dest.example", "A")]
    questions += [("_25._tcp.mx1.dest.example", "TLSA"), ("mx2.dest.example", "AAAA")]

    async def run(port: int) -> set[Result]:
        client = DnsClient(0, resolv_conf, port)
        results = set()
        for number in range(60):
            resolver = Resolver(client)
            name, rtype = questions[number % len(questions)]
            try:
                async with asyncio.timeout(1.5):
                    results.add((await resolver.lookup(name, rtype)).result)
            except TimeoutError:
                pytest.fail("no outcome within the time limit of the resolver")
        return results

    with Mutilator(RECORDS, seed=seed) as server:
        results = asyncio.run(run(server.address[1]))
    assert Result.OK in results
    assert Result.RETRY in results


def test_a_silent_server_holds_up_nobody_else(resolv_conf: str) -> None:
    async def run(port: int) -> float:
        resolver = Resolver(DnsClient(10, resolv_conf, port))
        silent = [asyncio.create_task(resolver.lookup(f"silent{n}.example", "MX")) for n in range(10)]
        await asyncio.sleep(0)
        begun = time.monotonic()
        answer = await resolver.lookup("dest.example", "MX")
        elapsed = time.monotonic() - begun
        assert answer.result is Result.OK
        assert {(await task).result for task in silent} == {Result.RETRY}
        return elapsed

    with DnsServer([*RECORDS, *(f"silent{n}.example MX !TIMEOUT" for n in range(10))]) as server:
        assert asyncio.run(run(server.address[1])) < 0.9


def test_the_cache_does_not_grow_with_what_an_attacker_asks_for(resolv_conf: str) -> None:
    async def run(port: int) -> int:
        client = DnsClient(50, resolv_conf, port)
        resolver = Resolver(client)
        for number in range(300):
            await resolver.lookup(f"h{number}.example", "A")
        return len(client._cache)

    with DnsServer([f"h{n}.example A 192.0.2.1" for n in range(300)]) as server:
        assert asyncio.run(run(server.address[1])) == 50
