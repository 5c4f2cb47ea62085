"""The whole program in the emulated world: from the queue file to the server and back to the records."""

import os
from pathlib import Path

import pytest

from compat.master import ServiceLine
from compat.smtp_server import SmtpServer, sink_script
from compat.world import World
from postfix_smtp.ipc.request import DeliveryReply

REJECTING = [
    ["send", "220 mx.example ESMTP"],
    ["expect", "EHLO"],
    ["send", "250 mx.example"],
    ["expect", "MAIL"],
    ["send", "250 2.1.0 Ok"],
    ["expect", "RCPT"],
    ["send", "550 5.1.1 no such user"],
    ["expect", "RSET"],
    ["send", "250 2.0.0 Ok"],
    ["expect", "QUIT"],
    ["eof"],
]


def marked(world: World, queue_id: str) -> bool:
    return b"D\x11user@dest.example" in Path(world.queue / "active" / queue_id).read_bytes()


@pytest.mark.parametrize("version", ["3.7.11", "3.11.6"])
def test_message_is_delivered_and_crossed_off(version: str) -> None:
    with World(version=version) as world, SmtpServer([sink_script()]) as server:
        world.start()
        delivery = world.message(["user@dest.example"], nexthop=server.nexthop)
        assert world.deliver(delivery).reply == DeliveryReply(True)
        assert marked(world, delivery.queue_id)
        assert server.connections[0].content == [b"From: a\r\nTo: b\r\nSubject: test\r\n\r\nhello\r\n"]
        (line,) = [text for text in world.log.texts if "status=" in text]
        assert line.startswith(
            f"{delivery.queue_id}: to=<user@dest.example>, relay=127.0.0.1[127.0.0.1]:{server.port}, "
        )
        assert line.endswith("status=sent (250 2.0.0 queued as 1)")
        server.wait(1)
        assert world.problems + server.problems == []


def test_rejected_recipient_is_recorded_with_bounce() -> None:
    with World() as world, SmtpServer([REJECTING]) as server:
        world.start()
        delivery = world.message(["user@dest.example"], nexthop=server.nexthop)
        assert world.deliver(delivery).reply == DeliveryReply(True)
        (call,) = world.recorder.calls
        assert (call.service, call["status"], call["action"]) == ("bounce", "5.1.1", "failed")
        assert marked(world, delivery.queue_id)
        server.wait(1)
        assert world.problems + server.problems == []


def test_refused_connection_is_recorded_with_defer() -> None:
    with SmtpServer([sink_script()]) as server:
        nexthop = server.nexthop
    with World() as world:
        world.start()
        reply = world.deliver(world.message(["user@dest.example"], nexthop=nexthop)).reply
        assert reply is not None
        assert reply.host_status is not None
        assert not reply.all_final
        assert reply.host_status.status == "4.4.1"
        (call,) = world.recorder.calls
        assert (call.service, call["status"], call["action"]) == ("defer", "4.4.1", "delayed")
        assert world.problems == []


FORBID_IMPORTS = """
import postfix_smtp.daemon.privileges as privileges
original = privileges.give_up_root
def give_up_root(directory, user):
    original(directory, user)
    class Forbidden:
        def find_spec(self, name, path=None, target=None):
            from postfix_smtp import log
            log.warning("import of " + name)
    sys.meta_path[:] = [Forbidden()]
privileges.give_up_root = give_up_root
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("version", ["3.7.11", "3.8.6", "3.9.0", "3.10.3", "3.11.0"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"smtp_tls_security_level": "may"},
        {"smtp_tls_security_level": "dane", "smtp_dns_support_level": "dnssec"},
        {"smtp_tls_security_level": "may", "smtp_tlsrpt_enable": "yes", "smtp_tlsrpt_socket_name": "tlsrpt"},
    ],
    ids=["plaintext", "may", "dane", "tlsrpt"],
)
def test_nothing_is_imported_in_the_jail(version: str, settings: dict[str, str]) -> None:
    with (
        World(prepare=FORBID_IMPORTS, version=version, main_cf=settings) as world,
        SmtpServer([sink_script(), REJECTING]) as server,
    ):
        os.chmod(world.directory, 0o755)
        world.start(ServiceLine(chroot=True, unprivileged=True))
        for _ in range(2):
            delivery = world.message(["user@dest.example"], nexthop=server.nexthop)
            os.chown(world.queue / "active" / delivery.queue_id, *world.owner)
            assert world.deliver(delivery).reply == DeliveryReply(True)
        delivery = world.message(["user@name-that-does-not.exist.invalid"], nexthop="name-that-does-not.exist.invalid")
        os.chown(world.queue / "active" / delivery.queue_id, *world.owner)
        world.deliver(delivery)
        assert [text for text in world.log.texts if "import of" in text or "Traceback" in text] == []
        assert "bounce" in [call.service for call in world.recorder.calls]
