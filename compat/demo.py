"""What a delivery agent does, to be watched: ``python -m compat.demo``.

Three messages go through the program in a queue directory of their own below the temporary directory: one is
delivered, one has a recipient whom the server rejects, one is for a server that is down. Postfix is not needed, nor
root: its master(8), qmgr(8), bounce(8) and so on are the small ones of :mod:`compat.services`.

The exit status is 0 if everything went as announced.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from compat.ports import ReservedPort
from compat.service import Call
from compat.smtp_server import Connection, SmtpServer
from compat.world import World
from postfix_smtp.ipc.request import DeliveryReply, DeliveryRequest

_CONTENT = b"""\
From: Alice <alice@client.example>
To: Bob <bob@dest.example>
Subject: lunch
Date: Fri, 01 Jan 2021 12:00:00 +0000
Message-ID: <lunch@client.example>

At noon?
.. a line that begins with dots
"""

_GREETING = [
    ["send", "220 mx.dest.example ESMTP"],
    ["expect", "EHLO"],
    ["send", "250-mx.dest.example", "250-PIPELINING", "250-SIZE 10240000", "250 ENHANCEDSTATUSCODES"],
]
_ACCEPTING = [
    *_GREETING,
    ["expect", "MAIL FROM"],
    ["expect", "RCPT TO"],
    ["expect", "DATA"],
    ["send", "250 2.1.0 Ok", "250 2.1.5 Ok", "354 End data with <CR><LF>.<CR><LF>"],
    ["data"],
    ["send", "250 2.0.0 Ok: queued as 4FfX"],
    ["expect", "QUIT"],
    ["send", "221 2.0.0 Bye"],
    ["eof"],
]
_REJECTING = [
    *_GREETING,
    ["expect", "MAIL FROM"],
    ["expect", "RCPT TO"],
    ["expect", "RCPT TO"],
    ["expect", "DATA"],
    ["send", "250 2.1.0 Ok", "250 2.1.5 Ok", "550 5.1.1 <nobody@dest.example>: no such user here"],
    ["send", "354 End data with <CR><LF>.<CR><LF>"],
    ["data"],
    ["send", "250 2.0.0 Ok: queued as 4FfY"],
    ["expect", "QUIT"],
    ["send", "221 2.0.0 Bye"],
    ["eof"],
]
_RECORDS = {"S": "sender", "R": "recipient", "D": "recipient, done"}
_SHOWN = ("recipient", "status", "action", "reason", "diag_type", "diag_text", "mta_mname")


class Screen:
    """Output for a human being, coloured on a terminal only."""

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured else text

    def title(self, text: str) -> None:
        """The beginning of a part."""
        print(f"\n{self._paint('1', text)}\n{self._paint('1', '=' * len(text))}")

    def section(self, text: str) -> None:
        """What the following lines are."""
        print(f"\n{self._paint('36', text)}")

    def lines(self, lines: Sequence[str], code: str = "0") -> None:
        """Indented lines."""
        for line in lines:
            print(f"    {self._paint(code, line) if code != '0' else line}")

    def dialogue(self, connection: Connection) -> None:
        """Both sides of a connection."""
        for side, line in connection.dialogue:
            print(f"    {self._paint('32' if side == 'S' else '33', f'{side}: {line}')}".rstrip())


@dataclass(frozen=True, slots=True)
class Plan:
    """One message of the demo.

    Attributes:
        reply: what the queue manager is to be told in the end; None: that the message must be tried again.
        services: who gets records.
        done: recipients that are crossed off in the queue file.
    """

    title: str
    recipients: tuple[str, ...]
    reply: DeliveryReply | None
    services: tuple[str, ...]
    done: tuple[str, ...]


_DELIVERED = Plan(
    "1. A message that is delivered", ("bob@dest.example",), DeliveryReply(True), (), ("bob@dest.example",)
)
_REJECTED = Plan(
    "2. One of two recipients is rejected",
    ("bob@dest.example", "nobody@dest.example"),
    DeliveryReply(True),
    ("bounce",),
    ("bob@dest.example", "nobody@dest.example"),
)
_DEAD = Plan("3. The server is down", ("carol@down.example",), None, ("defer",), ())


def envelope(octets: bytes) -> list[str]:
    """Sender and recipients of a queue file, and which of these are done."""
    lines = []
    position = 0
    while position < len(octets):
        kind = chr(octets[position])
        position += 1
        length = shift = 0
        while True:
            octet = octets[position]
            position += 1
            length |= (octet & 127) << shift
            shift += 7
            if octet < 128:
                break
        if kind == "M":
            break
        if kind in _RECORDS:
            data = octets[position : position + length].decode("utf-8", "surrogateescape")
            lines.append(f"{kind}  {data}  ({_RECORDS[kind]})")
        position += length
    return lines


def _record(call: Call) -> list[str]:
    shown = [(name, value) for name, value in call.attributes if name in _SHOWN and value]
    return [f"to {call.service}(8):", *(f"    {name} = {value}" for name, value in shown)]


class Demo:
    """Plays the plans and compares the end with what was announced."""

    def __init__(self, world: World, screen: Screen) -> None:
        self._world = world
        self._screen = screen
        self.surprises: list[str] = []

    def play(self, plan: Plan, nexthop: str, server: SmtpServer | None) -> None:
        """Deliver one message and show what happened."""
        world, screen = self._world, self._screen
        screen.title(plan.title)
        delivery = world.message(plan.recipients, _CONTENT, sender="alice@client.example", nexthop=nexthop)
        path = world.queue / "active" / delivery.queue_id
        screen.section(f"Queue file active/{delivery.queue_id} before")
        before = envelope(path.read_bytes())
        screen.lines(before)
        calls, logged = len(world.recorder.calls), len(world.log.lines)
        reply = world.deliver(delivery).reply
        if server is not None:
            server.wait(1)
            screen.section("SMTP dialogue (S: server, C: our program)")
            screen.dialogue(server.connections[0])
            self._expect("the server's script", server.problems, [])
        # The agent logs before it answers, but the lines take their own way.
        world.log.wait(lambda texts: sum("status=" in text for text in texts[logged:]) >= len(plan.recipients))
        screen.section("Log")
        screen.lines(world.log.lines[logged:])
        made = world.recorder.calls[calls:]
        if made:
            screen.section("Records")
            for call in made:
                screen.lines(_record(call))
        after = envelope(path.read_bytes())
        screen.section(f"Queue file active/{delivery.queue_id} after")
        screen.lines(after, "1")
        screen.section("Answer to qmgr(8)")
        screen.lines([_verdict(reply)])
        self._check(plan, delivery, reply, [call.service for call in made], after)

    def _check(
        self,
        plan: Plan,
        delivery: DeliveryRequest,
        reply: DeliveryReply | None,
        services: list[str],
        after: list[str],
    ) -> None:
        if plan.reply is None:
            self._expect("all recipients are final", reply is not None and reply.all_final, False)
        else:
            self._expect("answer", reply, plan.reply)
        self._expect("records", tuple(services), plan.services)
        done = tuple(address for address in plan.recipients if f"D  {address}  ({_RECORDS['D']})" in after)
        self._expect("recipients crossed off", done, plan.done)

    def _expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.surprises.append(f"{what}: {found!r} instead of {wanted!r}")


def _verdict(reply: DeliveryReply | None) -> str:
    if reply is None:
        return "none: the agent has gone"
    if reply.host_status is not None:
        status = reply.host_status
        return f"try again later, and this destination is in trouble: {status.status} {status.reason}"
    return "all recipients are done with" if reply.all_final else "some recipients must be tried again"


def main() -> int:
    """Play everything."""
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    screen = Screen(coloured=coloured)
    with World() as world, ReservedPort() as dead:
        print("Postfix's delivery agent smtp(8), in Python, under emulated Postfix services")
        print(f"    directory: {world.directory} (removed at the end)")
        world.start()
        demo = Demo(world, screen)
        with SmtpServer([_ACCEPTING]) as server:
            demo.play(_DELIVERED, server.nexthop, server)
        with SmtpServer([_REJECTING]) as server:
            demo.play(_REJECTED, server.nexthop, server)
        demo.play(_DEAD, f"[127.0.0.1]:{dead.number}", None)
        screen.title("Done")
        processes = len(world.masters["smtp"].children)
        screen.lines([f"3 messages, {processes} process{'es' if processes > 1 else ''} of the agent."])
        surprises = demo.surprises + world.problems
        screen.lines([f"not as announced: {text}" for text in surprises] or ["Everything went as announced."])
    return int(bool(surprises))


if __name__ == "__main__":
    sys.exit(main())
