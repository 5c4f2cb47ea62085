"""Whatever a server says, a mechanism answers or gives up."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postfix_smtp.sasl.choice import BEARER, Kind, choose, ranked, security_properties
from postfix_smtp.sasl.exchange import Identity
from postfix_smtp.sasl.oauth.endpoint import read_answer
from postfix_smtp.sasl.oauth.errors import TokenError
from postfix_smtp.sasl.oauth.token_file import TokenFile
from postfix_smtp.smtp.mechanism import SaslError, from_base64

KINDS = [kind for kind in (*ranked(), *BEARER) if kind.name != "EXTERNAL"]
PIECES = [b"r=", b"s=", b"i=", b"v=", b"nonce=", b"algorithm=md5-sess", b"qop=", b",", b'"', b"\\", b"AAAA", b"1"]
CHALLENGES = st.binary(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(challenges=st.lists(CHALLENGES, max_size=4))
@settings(max_examples=100, deadline=None)
def test_any_challenge(kind: Kind, challenges: list[bytes]) -> None:
    exchange = kind.make(kind.name, Identity("user", "secret"))
    assert isinstance(exchange.initial(), bytes)
    with contextlib.suppress(SaslError):
        for challenge in challenges:
            assert exchange.waits(challenge) in (True, False)
            assert isinstance(exchange.step(challenge), bytes)


@given(first=st.binary(max_size=20), count=st.integers(1, 9), more=st.binary(max_size=20))
@settings(max_examples=200, deadline=None)
def test_scram_that_begins_well(first: bytes, count: int, more: bytes) -> None:
    exchange = ranked()[0].make("SCRAM-SHA-512", Identity("user", "secret"))
    nonce = exchange.initial().rpartition(b"r=")[2]
    with contextlib.suppress(SaslError):
        answer = exchange.step(b"r=" + nonce + first + b",s=AAAA,i=" + str(count).encode() + more)
        assert answer.startswith(b"c=biws,r=" + nonce)
        # Nobody knows the signature by chance
        with pytest.raises(SaslError):
            exchange.step(b"v=" + first)


@given(st.text(max_size=40))
def test_any_text_as_base64(text: str) -> None:
    with contextlib.suppress(SaslError):
        assert isinstance(from_base64(text), bytes)


@given(st.text(max_size=60), st.text(max_size=30))
def test_any_offer(offered: str, options: str) -> None:
    kind = choose(ranked(), offered, security_properties(""), bearer=True)
    assert kind is None or kind.name in offered.upper()


@given(st.binary(max_size=80))
def test_any_token_file(octets: bytes) -> None:
    with contextlib.suppress(TokenError):
        file = TokenFile.parse(octets, {})
        assert file.usable(0) in (True, False)
        assert file.form()


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers(), max_size=2)
)
NAMES = ["access_token", "refresh_token", "expires_in", "error"]


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_any_answer_of_an_endpoint(answer: dict[str, object]) -> None:
    with contextlib.suppress(TokenError):
        read = read_answer(answer, 1000.0, "host")
        assert read.access_token
        assert read.expiry >= 1000
