"""Transactions a second of the protocol engine alone: no sockets, no message, one reused connection.

Run: ``python -m compat.bench.engine [seconds]``
"""

import sys
import time
from collections.abc import Iterator

from postfix_smtp.ipc.request import Recipient
from postfix_smtp.smtp.actions import Need
from postfix_smtp.smtp.context import Context
from postfix_smtp.smtp.dialect import Dialect
from postfix_smtp.smtp.engine import Engine
from postfix_smtp.smtp.envelope import Envelope
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.settings import SmtpSettings

SETTINGS = SmtpSettings("smtp", Dialect.of((3, 7, 11)), "client.example", "client.example")
PEER = Peer("mx.example.net", "192.0.2.1", 25)
KEYWORDS = "250-mx.example.net\r\n{}250-SIZE 10240000\r\n250-8BITMIME\r\n250 DSN\r\n"


def connected(*, pipelining: bool) -> Engine:
    """An engine after its handshake."""
    engine = Engine(PEER, SETTINGS)
    engine.expires_at = time.time() + 3600
    flow = engine.handshake(Context("4XyZ1abc"))
    replies = iter(
        [b"220 mx.example.net ESMTP\r\n", KEYWORDS.format("250-PIPELINING\r\n" if pipelining else "").encode()]
    )
    drive(engine, flow, replies)
    return engine


def drive(engine: Engine, flow: Iterator[object], replies: Iterator[bytes]) -> None:
    """Perform what a flow asks for; each wait for data takes one item of `replies`."""
    for action in flow:
        if action is Need.DATA:
            engine.take_output()
            engine.receive(next(replies))


def measure(recipients: int, *, pipelining: bool, seconds: float) -> float:
    """Seconds of CPU for one transaction."""
    engine = connected(pipelining=pipelining)
    envelope = Envelope(
        "sender@example.com",
        [Recipient(f"user{i}@example.net", f"user{i}@example.net", -1) for i in range(recipients)],
        4096,
    )
    answers = [b"250 2.1.0 Ok\r\n", *[b"250 2.1.5 Ok\r\n"] * recipients, b"354 End data\r\n"]
    last = b"250 2.0.0 Ok: queued as 4XyZ1\r\n"
    flights = [b"".join(answers), last] if pipelining else [*answers, last]
    count, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds:
        for _ in range(20):
            drive(engine, engine.transaction(envelope), iter(flights))
            assert engine.completed
        count += 20
    return spent / count


def main() -> None:
    """Print one line per case."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    for recipients in (1, 50):
        for pipelining in (True, False):
            cost = measure(recipients, pipelining=pipelining, seconds=seconds)
            mode = "pipelined" if pipelining else "lock-step"
            print(f"{recipients:3} recipients, {mode}: {1 / cost:9.0f} transactions/s, {cost * 1e6:8.1f} us each")


if __name__ == "__main__":
    main()
