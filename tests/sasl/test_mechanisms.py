"""The bytes of the mechanisms, against dialogues of the real library (SASL chapter 6, 7, 11)."""

import base64
import logging
import re
from collections.abc import Callable

import pytest

from postfix_smtp.sasl import digest_md5, scram
from postfix_smtp.sasl.bearer import Bearer
from postfix_smtp.sasl.digest_md5 import DigestMd5
from postfix_smtp.sasl.exchange import ChannelBinding, Exchange, Identity
from postfix_smtp.sasl.scram import SaltedPasswords, Scram
from postfix_smtp.sasl.simple import Anonymous, CramMd5, External, Login, Plain
from postfix_smtp.smtp.mechanism import SaslError

WHO = Identity("user", "secret", host="127.0.0.1")
AUTHORIZED = Identity("user", "secret", authorize=True, host="127.0.0.1")


def b64(text: bytes) -> str:
    return base64.b64encode(text).decode()


def fails(exchange: Exchange, challenge: bytes) -> str:
    with pytest.raises(SaslError) as caught:
        exchange.step(challenge)
    return caught.value.reason


class TestSimple:
    def test_plain(self) -> None:
        assert b64(Plain("PLAIN", WHO).initial()) == "AHVzZXIAc2VjcmV0"
        assert b64(Plain("PLAIN", AUTHORIZED).initial()) == "dXNlcgB1c2VyAHNlY3JldA=="

    def test_octets_go_out_unchanged(self) -> None:
        assert Plain("PLAIN", Identity("us\udce9r", "gehe\u00efm")).initial() == b"\0us\xe9r\0gehe\xc3\xafm"

    def test_login(self, caplog: pytest.LogCaptureFixture) -> None:
        login = Login("LOGIN", WHO)
        assert login.initial() == b""
        assert [login.step(b"Username:"), login.step(b"")] == [b"user", b"secret"]
        assert fails(login, b"more") == "generic failure"
        assert caplog.messages == ["SASL authentication problem: attempting client step after doneflag"]

    def test_cram_md5(self) -> None:
        cram = CramMd5("CRAM-MD5", WHO)
        assert cram.initial() == b""
        answer = cram.step(b"<1896.697170952@postoffice.example.net>")
        assert answer == b"user abb7de49c58da1416866bbc566b7e585"

    def test_external_cannot_start(self) -> None:
        with pytest.raises(SaslError, match="no mechanism available"):
            External("EXTERNAL", WHO).initial()

    def test_anonymous_leaves_a_trace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("socket.gethostname", lambda: "host.example")
        assert Anonymous("ANONYMOUS", WHO).initial() == b"anonymous@host.example"
        assert Anonymous("ANONYMOUS", AUTHORIZED).initial() == b"user@host.example"
        assert Anonymous("ANONYMOUS", Identity("", "secret", authorize=True)).initial() == b"anonymous@host.example"

    def test_passwords_do_not_show_in_representations(self) -> None:
        assert "secret" not in repr(WHO)


# What the library does to user names before they are used, all but in ANONYMOUS.
FIRST_USES = {
    "PLAIN": lambda who: Plain("PLAIN", who).initial(),
    "LOGIN": lambda who: Login("LOGIN", who).step(b""),
    "CRAM-MD5": lambda who: CramMd5("CRAM-MD5", who).step(b""),
    "DIGEST-MD5": lambda who: DigestMd5("DIGEST-MD5", who).step(b"nonce=x,algorithm=md5-sess"),
    "SCRAM-SHA-1": lambda who: Scram("SCRAM-SHA-1", who).initial(),
}


@pytest.mark.parametrize("use", FIRST_USES.values(), ids=FIRST_USES)
class TestUserNames:
    def test_white_space_around_is_not_part_of_them(self, use: Callable[[Identity], bytes]) -> None:
        message = use(Identity(" \tus er\u00a0\v \n", "secret"))
        assert re.search(b"(?<![ \t])us er\xc2\xa0(?![\v\n])", message)

    @pytest.mark.parametrize("user", ["", " \t"])
    def test_there_must_be_one(
        self, use: Callable[[Identity], bytes], user: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(SaslError, match="generic failure"):
            use(Identity(user, "secret"))
        assert caplog.messages == ["SASL authentication failure: All-whitespace username."]

    def test_they_have_1024_octets_at_most(self, use: Callable[[Identity], bytes]) -> None:
        assert b"\xc3\xa9" * 512 in use(Identity("\u00e9" * 512, "secret"))
        with pytest.raises(SaslError, match="overflowed buffer"):
            use(Identity("\u00e9" * 512 + "u", "secret"))


class TestDigestMd5:
    CHALLENGE = b'realm="server.example",nonce="OA6MG9tEQGm2hh",qop="auth",charset=utf-8,algorithm=md5-sess'
    CNONCE = "pDc7qLUPVmxluDEjEsxusw5wz6vmpgsp/BSf01i9/nE="

    @pytest.fixture
    def digest(self, monkeypatch: pytest.MonkeyPatch) -> DigestMd5:
        monkeypatch.setattr(digest_md5.secrets, "token_bytes", lambda _: base64.b64decode(self.CNONCE))
        return DigestMd5("DIGEST-MD5", WHO)

    def test_the_whole_exchange(self, digest: DigestMd5) -> None:
        assert digest.initial() == b""
        assert digest.step(self.CHALLENGE).decode() == (
            f'username="user",realm="server.example",nonce="OA6MG9tEQGm2hh",cnonce="{self.CNONCE}",nc=00000001,qop=auth,'
            'digest-uri="smtp/127.0.0.1",response=a94c080a736e2aeccb905bde027e0d58'
        )
        assert digest.step(b"rspauth=dafac9afc65558c958d94511ac63923b") == b""
        assert fails(digest, b"x") == "generic failure"

    def test_latin_1_where_it_fits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cnonce = base64.b64decode("yPlJn1D3JBxd/uqNgNL3wnJavZGjfcFWuRbTgfrcoZU=")
        monkeypatch.setattr(digest_md5.secrets, "token_bytes", lambda _: cnonce)
        digest = DigestMd5("DIGEST-MD5", Identity("us\u00e9r", "p\u20ac", host="127.0.0.1"))
        answer = digest.step(b'realm="r",nonce="OA6MG9tEQGm2hh",algorithm=md5-sess')
        assert answer.startswith(b'username="us\xc3\xa9r",realm="r"')
        assert answer.endswith(b"response=732405184e475f1e42840e2150153ad4")

    @pytest.mark.parametrize("realms", [b"", b'realm="a",realm="b",'])
    def test_without_a_single_realm_it_is_the_host(self, realms: bytes, digest: DigestMd5) -> None:
        assert b'realm="127.0.0.1"' in digest.step(realms + b'nonce="x",algorithm=md5-sess')

    def test_the_last_nonce_counts(self, digest: DigestMd5) -> None:
        assert b'nonce="second"' in digest.step(b'nonce="first",nonce="second",,algorithm=MD5-SESS,')

    @pytest.mark.parametrize(
        ("challenge", "warning", "reason"),
        [
            ("", "no server challenge", "generic failure"),
            ("hello", "Parse error", "authentication failure"),
            ('realm="a', "Parse error", "authentication failure"),
            ("\0\0", "Must see 'algorithm' once. Didn't see at all", "generic failure"),
            ("s=c2FsdA==,i=4096", "Parse error", "authentication failure"),
            ("nonce=a(b),algorithm=md5-sess", "Parse error", "authentication failure"),
            ('nonce="x"', "Must see 'algorithm' once. Didn't see at all", "generic failure"),
            ("algorithm=md5-sess", "Don't have nonce.", "generic failure"),
            ("algorithm=md5-sess,algorithm=md5-sess", "Must see 'algorithm' only once", "generic failure"),
            ("algorithm=foo,maxbuf=x", "'algorithm' isn't 'md5-sess'", "generic failure"),
            ('nonce=x,qop="auth-int",algorithm=md5-sess', 'Server doesn\'t support "no layer"', "generic failure"),
            (
                'nonce=x,qop="auth-int auth",algorithm=md5-sess',
                "Server doesn't support any known qop level",
                "authentication failure",
            ),
            ("charset=latin-1", "Charset must be UTF-8", "authentication failure"),
            ("maxbuf=x", "Invalid maxbuf parameter received from server (x)", "authentication failure"),
            ("maxbuf=16", "Invalid maxbuf parameter received from server (too small: 16)", "authentication failure"),
            (
                "maxbuf=16777216",
                "Invalid maxbuf parameter received from server (too big: 16777216)",
                "authentication failure",
            ),
            (
                "maxbuf=99,maxbuf=99",
                "At least two maxbuf directives found. Authentication aborted",
                "authentication failure",
            ),
        ],
    )
    def test_bad_challenges(
        self, challenge: str, warning: str, reason: str, digest: DigestMd5, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert fails(digest, challenge.encode()) == reason
        assert caplog.messages == [f"SASL authentication failure: {warning}"]

    @pytest.mark.parametrize(
        ("final", "warnings", "reason"),
        [
            (
                b"rspauth=00000000000000000000000000000000",
                ["DIGEST-MD5: This server wants us to believe that he knows shared secret"],
                "server failed mutual authentication step",
            ),
            (b"hello", ["DIGEST-MD5 Received Garbage"], "authentication failure"),
            (b"", [], "generic failure"),
        ],
    )
    def test_servers_that_do_not_know_the_password(
        self, final: bytes, warnings: list[str], reason: str, digest: DigestMd5, caplog: pytest.LogCaptureFixture
    ) -> None:
        digest.step(self.CHALLENGE)
        assert fails(digest, final) == reason
        assert caplog.messages == [f"SASL authentication failure: {warning}" for warning in warnings]


SCRAM = {
    "SHA-1": ("KaAl5lNriEbhCQBiwCcOHgZcYBdqwiTj", "93nf10tS1MVWlglHOJPw1LVEsqA=", "eFSZ2+SeNFk+au7UWW6CC9jkELg="),
    "SHA-224": (
        "U0wr5b9eYwLt2xGE61VVAM3APYmpHfVB",
        "cmswxmqDoZtPIn10QjUd2jcZdBDu3t0cXYOLfg==",
        "AvJyHUwY92yBLVqfy2pHyCiyHMBEIzTqwlJ1jA==",
    ),
    "SHA-256": (
        "eXd+lHWqccfQQ2Jw9eLLZvkmi0UCMbW6",
        "T7itx1Lbm+EJn1YJIKLcGMLR7k4kVB8OTjSEFb/5hTg=",
        "bxYCEu0ZcZylGyax83CaKLOmSqDAkTx020LqPe7qf/Q=",
    ),
    "SHA-384": (
        "RaiF2rq/wfTnCNqL00TYLFWNqwPYTPZa",
        "TgNr0p5urk0Brt8lKeAvTnIqNnhlq+3OMQKVG5ATMxkZM1UiPXfVSbWGW6dF+sEx",
        "AxQcq6YqDdYRa2B5sWX4Og00LYO44cqiddw9rjOWKGbc9gvrDC3NwrXYhuNU3fjp",
    ),
    "SHA-512": (
        "/R/7BcULZcKcpKzpvbEJgPUcIMTGio+i",
        "WQ0HKtd8AgRzFO+gE1WqNDy3Hh98VG7P6Z9QnMXslBz/kmYLUlDRs4IaA5GtqYDWDlSVeaxscvdHed9Ur3IkOg==",
        "0I96dFnFtZ+n4qVwdiaxG3mna0Urz4XfGDFqf7A4zJH63MU3DAv5uVC+LesVB+DqPSzE0C7jCY4rx/4FLW9nkw==",
    ),
}
SALT = "s=c2FsdFNBTFRzYWx0"


BAD = "bad protocol / cancel"


class TestScram:
    def make(self, monkeypatch: pytest.MonkeyPatch, name: str = "SHA-256", identity: Identity = WHO) -> Scram:
        nonce = base64.b64decode(SCRAM[name.removesuffix("-PLUS")][0])
        monkeypatch.setattr(scram.secrets, "token_bytes", lambda _: nonce)
        return Scram(f"SCRAM-{name}", identity)

    @pytest.mark.parametrize("name", SCRAM)
    def test_the_whole_exchange(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        nonce, proof, signature = SCRAM[name]
        exchange = self.make(monkeypatch, name)
        assert exchange.initial().decode() == f"n,,n=user,r={nonce}"
        answer = exchange.step(f"r={nonce}srvNONCE,{SALT},i=4096".encode())
        assert answer.decode() == f"c=biws,r={nonce}srvNONCE,p={proof}"
        assert exchange.step(f"v={signature}".encode()) == b""
        assert fails(exchange, b"") == "generic failure"

    def test_names_are_escaped_and_authorised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exchange = self.make(monkeypatch, identity=Identity("u=s,r", "secret", authorize=True))
        nonce = SCRAM["SHA-256"][0]
        assert exchange.initial().decode() == f"n,a=u=3Ds=2Cr,n=u=3Ds=2Cr,r={nonce}"
        answer = exchange.step(f"r={nonce}x,{SALT},i=1".encode())
        assert answer.startswith(b"c=" + base64.b64encode(b"n,a=u=3Ds=2Cr,"))

    def test_channel_binding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        binding = ChannelBinding("tls-exporter", b"\1\2\3")
        exchange = self.make(monkeypatch, "SHA-256-PLUS", Identity("user", "secret", binding=binding))
        nonce = SCRAM["SHA-256"][0]
        assert exchange.initial().decode() == f"p=tls-exporter,,n=user,r={nonce}"
        answer = exchange.step(f"r={nonce}x,{SALT},i=1".encode())
        assert answer.startswith(b"c=" + base64.b64encode(b"p=tls-exporter,,\1\2\3") + b",r=")

    @pytest.mark.parametrize(
        ("challenge", "warning"),
        [
            ("", "SCRAM-SHA-256 input expected"),
            ("hello", "Invalid SCRAM-SHA-256 input"),
            ("m=x,r=NONCE,SALT,i=1", "Unsupported mandatory extension to SCRAM-SHA-256"),
            ("e=other-error", "Nonce (r=) expected in SCRAM-SHA-256 input"),
            ("r=NONCE,i=1", "Salt expected after the nonce in SCRAM-SHA-256 input"),
            ("r=NONCE,SALT", "iteration-count expected after the salt in SCRAM-SHA-256 input"),
            ("r=x,SALT,i=1x", "Invalid iteration-count in SCRAM-SHA-256 input"),
            ("r=NONCE,SALT,i=65537", "iteration-count is too big, refusing to compute"),
            ("r=NONCE,SALT,i=-1", "iteration-count is too big, refusing to compute"),
            ("r=NONCE,SALT,i=99999999999999999999", "iteration-count is too big, refusing to compute"),
            ("r=x,SALT,i=1", "The nonce received from the server doesn't start from the nonce sent by the client"),
            ("r=NONCE,s=!,i=1", "Invalid base64 encoding of the salt in SCRAM-SHA-256 input"),
            ("r=NONCE,s=,i=1", "The salt can't be empty"),
        ],
    )
    def test_bad_first_messages(
        self, challenge: str, warning: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        exchange = self.make(monkeypatch)
        message = challenge.replace("NONCE", SCRAM["SHA-256"][0]).replace("SALT", SALT)
        assert fails(exchange, message.encode()) == "bad protocol / cancel"
        assert caplog.messages == [f"SASL authentication failure: {warning}"]

    @pytest.mark.parametrize("count", ["0", "00", "+5", " 5", "65536"])
    def test_counts_that_are_taken(self, count: str, monkeypatch: pytest.MonkeyPatch) -> None:
        exchange = self.make(monkeypatch)
        exchange.initial()
        assert exchange.step(f"r={SCRAM['SHA-256'][0]},{SALT},i={count}".encode()).startswith(b"c=biws,")

    @pytest.mark.parametrize(
        ("final", "warning", "reason"),
        [
            ("", "Invalid SCRAM-SHA-256 input expected", BAD),
            ("e=invalid-proof", "ServerSignature expected in SCRAM-SHA-256 input", "bad protocol / cancel"),
            ("v=AAAA", "Invalid server proof (truncated) in SCRAM-SHA-256 input", "bad protocol / cancel"),
            ("v=!", "Invalid base64 encoding of the server proof in SCRAM-SHA-256 input", "bad protocol / cancel"),
            ("v=" + 44 * "A", "Invalid base64 encoding of the server proof in SCRAM-SHA-256 input", BAD),
            (f"v={'A' * 43}=", "ServerSignature mismatch", "authentication failure"),
        ],
    )  # fmt: skip
    def test_servers_that_do_not_know_the_password(
        self,
        final: str,
        warning: str,
        reason: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        exchange = self.make(monkeypatch)
        exchange.step(f"r={SCRAM['SHA-256'][0]},{SALT},i=1".encode())
        assert fails(exchange, final.encode()) == reason
        assert caplog.messages == [f"SASL authentication failure: {warning}"]

    def test_high_counts_are_computed_elsewhere_and_once(self) -> None:
        exchange = Scram("SCRAM-SHA-256", WHO)
        assert not exchange.waits(None)
        assert not exchange.waits(b"r=x,s=AAAA,i=4096")
        assert exchange.waits(b"r=x,s=AAAA,i=65536")
        cache = SaltedPasswords()
        key = ("sha256", b"p", b"salt", 1)
        assert cache.get(key) is cache.get(key)


class TestBearer:
    def test_xoauth2(self) -> None:
        token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
        exchange = Bearer("XOAUTH2", Identity("someuser@example.com", token))
        assert b64(exchange.initial()) == (
            "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0"
            "Q2cBAQ=="
        )

    def test_oauthbearer(self) -> None:
        token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
        exchange = Bearer("OAUTHBEARER", Identity("user@example.com", token, host="server.example.com", port=587))
        assert b64(exchange.initial()) == (
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52"
            "YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
        )
        assert Bearer("OAUTHBEARER", Identity("a,b=c", "t")).initial().startswith(b"n,a=a=2Cb=3Dc,\1")

    @pytest.mark.parametrize(("name", "answer"), [("XOAUTH2", b""), ("OAUTHBEARER", b"\1")])
    def test_a_refusal_is_answered_once(self, name: str, answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
        exchange = Bearer(name, WHO)
        assert exchange.step(b'{"status":"401","schemes":"bearer","scope":"a b"}') == answer
        assert exchange.refusal == "status=401 scope=a b"
        assert fails(exchange, b"{}") == "generic failure"

    @pytest.mark.parametrize("challenge", [b"", b"x", b"[]", b"{}", b"[" * 100_000, b"\xff", b'{"status": null}'])
    def test_a_refusal_without_a_reason(self, challenge: bytes) -> None:
        exchange = Bearer("XOAUTH2", WHO)
        exchange.step(challenge)
        assert exchange.refusal == "no reason given"

    def test_a_reason_is_one_short_line(self) -> None:
        exchange = Bearer("XOAUTH2", WHO)
        exchange.step(b'{"status": "a\\r\\nb' + b"x" * 1000 + b'"}')
        assert exchange.refusal.startswith("status=a??bxx")
        assert len(exchange.refusal) == 200


def test_ntlm_by_its_library(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("spnego")
    from postfix_smtp.sasl.ntlm import Ntlm

    caplog.set_level(logging.CRITICAL)
    exchange = Ntlm("NTLM", WHO)
    assert exchange.initial().startswith(b"NTLMSSP\0\1\0\0\0")
    assert fails(exchange, b"garbage") == "bad protocol / cancel"
