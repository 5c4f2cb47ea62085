"""The scripted SMTP server does what scripts say, and notices what they do not say."""

import base64
import hashlib
import hmac
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from compat.certificates import self_signed, server_context
from compat.smtp_server import Script, SmtpServer, sessions_of, sink_script


class Client:
    """A client that sends lines and reads lines."""

    def __init__(self, server: SmtpServer) -> None:
        self.socket = socket.create_connection((str(server.address), server.port), 10)
        self.file = self.socket.makefile("rb")

    def say(self, *lines: str) -> None:
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def read(self) -> str:
        return self.file.readline().decode().rstrip("\r\n")

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def talk(script: Script, *sent: str, replies: int = 0, context: ssl.SSLContext | None = None) -> tuple[Any, list[str]]:
    with SmtpServer([script], context=context) as server:
        client = Client(server)
        client.say(*sent)
        read = [client.read() for _ in range(replies)]
        client.close()
        server.wait(1)
        return server.connections[0], read


def test_a_pipelined_transaction_is_recorded() -> None:
    lines = ["EHLO c", "MAIL FROM:<a>", "RCPT TO:<b>", "DATA", "Subject: x", "", "..dot", ".", "QUIT"]
    connection, replies = talk(sink_script(), *lines, replies=7)
    assert connection.commands == ["EHLO c", "MAIL FROM:<a>", "RCPT TO:<b>", "DATA", "<content 3 lines>", ".", "QUIT"]
    assert connection.content == [b"Subject: x\r\n\r\n..dot\r\n"]
    assert ("data", "..dot") in connection.lines
    assert connection.problems == []
    assert replies[-1] == "221 2.0.0 Bye"


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ([["expect", "MAIL"]], "'EHLO c' does not begin with 'MAIL'"),
        ([{"expect": "EHLO"}], "'EHLO c' does not match 'EHLO'"),
        ([{"eof": True}], "'EHLO c' instead of the end"),
    ],
)
def test_what_was_not_expected_is_a_problem(script: Script, problem: str) -> None:
    connection, _ = talk(script, "EHLO c")
    assert connection.problems == [problem]


def test_steps_leave_marks() -> None:
    connection, _ = talk([["peer"], ["close"]])
    assert connection.commands == ["<peer 127.0.0.1>", "<server closes>"]


def test_reset_is_seen_by_the_client() -> None:
    with SmtpServer([[{"expect": ".*"}, {"reset": True}]]) as server:
        client = Client(server)
        client.say("x")
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)
        client.close()


def test_sessions_are_played_in_order_and_the_last_repeats() -> None:
    with SmtpServer([[["send", "1"]], [["send", "2"]]]) as server:
        replies = []
        for _ in range(3):
            client = Client(server)
            replies.append(client.read())
            client.close()
        assert replies == ["1", "2", "2"]


def test_accept_begins_the_next_session() -> None:
    steps: Sequence[dict[str, Any]] = [{"send": "1"}, {"accept": True}, {"send": "2"}]
    assert sessions_of(steps) == [[{"send": "1"}], [{"send": "2"}]]


def test_octets_are_sent_and_read_as_they_are() -> None:
    connection, replies = talk(
        [{"send_b64": base64.b64encode(b"x\r\n").decode()}, {"read": 3}, {"eof": True}], "a", replies=1
    )
    assert replies == ["x"]
    assert connection.octets == [b"a\r\n"]
    assert connection.problems == []


def test_unix_socket(tmp_path: Path) -> None:
    with SmtpServer([[["send", "1"]]], f"unix:{tmp_path}/s") as server:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            assert client.recv(10) == b"1\r\n"
        assert server.nexthop == f"unix:{tmp_path}/s"
    assert not (tmp_path / "s").exists()


def test_starttls() -> None:
    certificate, key = self_signed()
    context = ssl.create_default_context(cadata=certificate)
    with SmtpServer([[{"starttls": True}, {"expect": "EHLO.*"}]], context=server_context(certificate, key)) as server:
        with (
            socket.create_connection((str(server.address), server.port)) as plain,
            context.wrap_socket(plain, server_hostname="server.example") as client,
        ):
            client.sendall(b"EHLO c\r\n")
            assert client.recv(10) == b""
        server.wait(1)
        assert server.problems == []


CRAM = {"mech": "CRAM-MD5", "user": "user", "password": "secret"}


@pytest.mark.parametrize(("password", "good"), [("secret", True), ("wrong", False)])
def test_sasl_response_is_verified(password: str, good: bool) -> None:
    with SmtpServer([[{"sasl": CRAM}, {"send": "235 ok"}]]) as server:
        client = Client(server)
        client.say("AUTH CRAM-MD5")
        challenge = base64.b64decode(client.read().removeprefix("334 "))
        digest = hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()
        client.say(base64.b64encode(f"user {digest}".encode()).decode())
        assert client.read() == ("235 ok" if good else "")
        client.close()
        server.wait(1)
        assert bool(server.problems) is not good


def test_scram_exchange() -> None:
    """RFC 7677, section 3, has this exchange; the salt and nonce are its own."""
    settings = {
        "mech": "SCRAM-SHA-256",
        "user": "user",
        "password": "pencil",
        "nonce": "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "salt": base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="),
    }
    first = base64.b64encode(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").decode()
    proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    last = f"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p={proof}"
    with SmtpServer([[{"sasl": settings}, {"send": "235 ok"}]]) as server:
        client = Client(server)
        client.say(f"AUTH SCRAM-SHA-256 {first}")
        client.read()
        client.say(base64.b64encode(last.encode()).decode())
        final = base64.b64decode(client.read().removeprefix("334 "))
        assert final == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        client.say("")
        assert client.read() == "235 ok"
        client.close()
        server.wait(1)
        assert server.problems == []
