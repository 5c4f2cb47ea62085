"""Look-ups against a real name server on loopback."""

import asyncio
import logging
from pathlib import Path

import pytest

from compat.dns_server import DnsServer
from postfix_smtp.routing.dns import Answer, Resolver, Result
from postfix_smtp.routing.dns_client import DnsClient


@pytest.fixture
def resolv_conf(tmp_path: Path) -> str:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    return str(path)


def ask(server: DnsServer, config: str, *questions: tuple[str, str], cache: int = 0, **options: object) -> list[Answer]:
    async def run() -> list[Answer]:
        client = DnsClient(cache, config, server.address[1])
        resolver = Resolver(client, **options)  # type: ignore[arg-type]
        return [await resolver.lookup(name, rtype) for name, rtype in questions]

    return asyncio.run(run())


def data(answer: Answer) -> list[str]:
    return [record.data for record in answer.records]


def test_a_question_is_asked_once_while_its_answer_is_fresh(resolv_conf: str) -> None:
    with DnsServer(["dest.example MX 10 mx1.dest.example"]) as server:
        first, second = ask(server, resolv_conf, ("dest.example", "MX"), ("Dest.Example", "MX"), cache=10)
        assert data(first) == data(second) == ["mx1.dest.example"]
        assert server.queries == ["dest.example MX"]


def test_without_a_cache_every_look_up_asks(resolv_conf: str) -> None:
    with DnsServer(["dest.example MX 10 mx1.dest.example"]) as server:
        ask(server, resolv_conf, ("dest.example", "MX"), ("dest.example", "MX"))
        assert len(server.queries) == 2


def test_errors_are_not_kept(resolv_conf: str) -> None:
    with DnsServer(["dest.example MX !SERVFAIL"]) as server:
        ask(server, resolv_conf, ("dest.example", "MX"), ("dest.example", "MX"), cache=10)
        assert len(server.queries) == 2


def test_the_cache_is_bounded(resolv_conf: str) -> None:
    with DnsServer([f"d{n}.example A 192.0.2.{n}" for n in range(1, 4)]) as server:
        questions = [(f"d{n}.example", "A") for n in (1, 2, 3, 1)]
        ask(server, resolv_conf, *questions, cache=2)
        assert len(server.queries) == 4


def test_concurrent_look_ups_of_one_name_are_one_query(resolv_conf: str) -> None:
    async def run(port: int) -> list[Answer]:
        resolver = Resolver(DnsClient(0, resolv_conf, port))
        return await asyncio.gather(*(resolver.lookup("dest.example", "A") for _ in range(20)))

    with DnsServer(["dest.example A 192.0.2.1"]) as server:
        answers = asyncio.run(run(server.address[1]))
        assert all(data(answer) == ["192.0.2.1"] for answer in answers)
        assert server.queries == ["dest.example A"]


def test_a_truncated_answer_is_asked_for_over_tcp(resolv_conf: str) -> None:
    with DnsServer(["dest.example A !TRUNCATE", "dest.example A 192.0.2.1"]) as server:
        (answer,) = ask(server, resolv_conf, ("dest.example", "A"))
        assert data(answer) == ["192.0.2.1"]
        assert server.queries == ["dest.example A"] * 2


def test_a_hundred_records_at_most(resolv_conf: str, caplog: pytest.LogCaptureFixture) -> None:
    with DnsServer([f"dest.example MX {n} m{n}.dest.example" for n in range(500)]) as server:
        (answer,) = ask(server, resolv_conf, ("dest.example", "MX"))
    assert len(answer.records) == 100
    assert "DNS record count limit (100) exceeded -- dropping excess record(s) after qname=dest.example qtype=MX" in (
        caplog.messages
    )


@pytest.mark.parametrize(
    ("trouble", "result", "text"),
    [
        ("!SERVFAIL", Result.RETRY, "Host not found, try again"),
        ("!REFUSED", Result.RETRY, "Host not found, try again"),
        ("!TIMEOUT", Result.RETRY, "Host not found, try again"),
        ("!FORMERR", Result.FAIL, "Non-recoverable error"),
        ("!NXDOMAIN", Result.NOTFOUND, "Host not found"),
        ("!GARBAGE", Result.RETRY, "Malformed or unexpected name server reply"),
    ],
)
def test_each_kind_of_trouble(trouble: str, result: Result, text: str, resolv_conf: str) -> None:
    with DnsServer([f"dest.example MX {trouble}"]) as server:
        (answer,) = ask(server, resolv_conf, ("dest.example", "MX"))
    assert answer.result is result
    assert answer.text.endswith(text)
    assert "name=dest.example type=MX: " in answer.text


def test_aliases_are_followed_ten_times(resolv_conf: str, caplog: pytest.LogCaptureFixture) -> None:
    chain = [line for n in range(12) for line in (f"c{n}.example CNAME c{n + 1}.example", f"c{n}.example NOCHASE x")]
    with DnsServer(chain) as server:
        (answer,) = ask(server, resolv_conf, ("c0.example", "MX"))
        assert len(server.queries) == 10
    assert answer.text == "Name server loop for c10.example"
    assert caplog.messages == ["dns_lookup: Name server loop for c10.example"]


def test_a_numeric_target_is_used_and_a_malformed_one_dropped(
    resolv_conf: str, caplog: pytest.LogCaptureFixture
) -> None:
    with DnsServer(["dest.example MX 10 127.0.0.2", "dest.example MX 20 bad!name.example"]) as server:
        (answer,) = ask(server, resolv_conf, ("dest.example", "MX"))
    assert data(answer) == ["127.0.0.2"]
    assert caplog.messages == [
        "numeric domain name in resource data of MX record for dest.example: 127.0.0.2",
        "valid_hostname: invalid character 33(decimal): bad!name.example",
        "malformed domain name in resource data of MX record for dest.example: bad!name.example",
    ]


@pytest.mark.parametrize("name", ["192.0.2.1", "fd09::1", "-bad.example", "a..b"])
def test_what_is_no_name_is_never_sent(name: str, resolv_conf: str) -> None:
    with DnsServer([]) as server:
        (answer,) = ask(server, resolv_conf, (name, "A"))
        assert server.queries == []
    assert answer.result is Result.NOTFOUND
    assert answer.text == f"Name service error for {name}: invalid host or domain name"


def test_the_reply_filter_drops_records_and_refuses_unknown_actions(
    resolv_conf: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def reply_filter(text: str) -> str | None:
        return {"a.example. 300 IN A 192.0.2.1": "ignore why", "b.example. 300 IN A 192.0.2.3": "HOLD"}.get(text)

    records = ["a.example A 192.0.2.1", "a.example A 192.0.2.2", "b.example A 192.0.2.3"]
    with DnsServer(records) as server:
        kept, refused = ask(server, resolv_conf, ("a.example", "A"), ("b.example", "A"), reply_filter=reply_filter)
    assert data(kept) == ["192.0.2.2"]
    assert refused.result is Result.RETRY
    assert caplog.messages == [
        "ignoring DNS RR: a.example. 300 IN A 192.0.2.1",
        'smtp_dns_reply_filter: unknown DNS filter action: "HOLD"',
    ]


def test_an_answer_to_another_question_is_ignored(resolv_conf: str) -> None:
    """An off-path attacker who does not know the ID cannot make the look-up fail."""

    class Forger(DnsServer):
        def _answer(self, wire: bytes, *, over_tcp: bool) -> bytes | None:
            answer = super()._answer(wire, over_tcp=over_tcp)
            assert answer is not None
            self.forged = bytes([wire[0] ^ 1]) + answer[1:]
            return answer

        def _serve_udp(self) -> None:
            wire, peer = self._udp.recvfrom(4096)
            answer = self._answer(wire, over_tcp=False)
            assert answer is not None
            self._udp.sendto(self.forged, peer)
            self._udp.sendto(answer, peer)

    with Forger(["dest.example A 192.0.2.1"]) as server:
        (answer,) = ask(server, resolv_conf, ("dest.example", "A"))
    assert data(answer) == ["192.0.2.1"]


WARNINGS = [
    "DNSSEC validation may be unavailable",
    "reason: dnssec_probe 'ns:.' received a response that is not DNSSEC validated",
]


@pytest.mark.parametrize(
    ("first", "secure", "probed"),
    [
        ("MX 10 mx1.dest.example", (), True),
        ("MX !NXDOMAIN", (), True),
        ("MX !SERVFAIL", (), True),
        ("MX !FORMERR", (), True),
        ("MX !GARBAGE", (), True),
        ("TXT none", (), True),
        ("MX 10 mx1.dest.example", ("dest.example",), False),  # there is validation, whatever comes later
        ("CNAME other.example", ("dest.example",), False),
    ],
)
def test_the_first_reply_decides_whether_dnssec_is_probed(
    first: str, secure: tuple[str, ...], probed: bool, resolv_conf: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(port: int) -> None:
        resolver = Resolver(DnsClient(0, resolv_conf, port), dnssec_probe="ns:.")
        for name in ("dest.example", "later.example", "later.example"):
            await resolver.lookup(name, "MX", validate=True)

    zone = [f"dest.example {first}", "dest.example NOCHASE x", "other.example A 192.0.2.1"]
    with DnsServer(zone, secure=secure) as server:
        asyncio.run(run(server.address[1]))
        assert server.queries.count(" NS") == int(probed)
    assert caplog.messages == (WARNINGS if probed else [])


def test_no_reply_does_not_tell_about_dnssec(resolv_conf: str, caplog: pytest.LogCaptureFixture) -> None:
    async def run(port: int) -> None:
        resolver = Resolver(DnsClient(0, resolv_conf, port), dnssec_probe="ns:.")
        await resolver.lookup("silent.example", "MX", validate=True)
        assert caplog.messages == []
        await resolver.lookup("dest.example", "MX", validate=True)

    with DnsServer(["silent.example MX !TIMEOUT", "dest.example MX 10 mx1.dest.example"]) as server:
        asyncio.run(run(server.address[1]))
    assert caplog.messages == WARNINGS
