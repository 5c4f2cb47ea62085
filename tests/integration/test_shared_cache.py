"""Connections travel between processes through the connection cache service."""

import pytest

from compat.master import ServiceLine
from compat.smtp_server import SmtpServer, sink_script
from compat.world import World

CACHED = 3 | 2048 | 4096


def calls(world: World) -> list[str]:
    return [call["request"] for call in world.recorder.of("scache")]


@pytest.mark.parametrize(
    ("version", "destination"),
    [
        ("3.7.11", "destination=NEXTHOP\nhost_name=127.0.0.1\nhost_addr=127.0.0.1\ndestination_features=4096\n\n"),
        ("3.8.0", "destination=NEXTHOP\nhost_name=127.0.0.1\nhost_addr=127.0.0.1\nhost_port=PORT\n"
                  "destination_features=4096\n\n"),
    ],
)  # fmt: skip
def test_another_process_takes_what_this_one_leaves_alone(version: str, destination: str) -> None:
    with World(version=version) as world, SmtpServer([sink_script(messages=3)]) as server:
        world.start(ServiceLine("smtp"))
        # A second process under the same service name: its keys are the same
        world.start(ServiceLine("other", words=["-n", "smtp"]))

        def deliver(transport: str) -> None:
            message = world.message(["user@dest.example"], nexthop=server.nexthop, flags=CACHED)
            answer = world.deliver(message, transport)
            assert answer.reply is not None
            assert answer.reply.all_final

        deliver("smtp")
        world.recorder.wait("scache", 4)
        assert calls(world) == ["find_dest", "find_endp", "save_dest", "save_endp"]
        deliver("other")
        assert len(server.connections) == 1
        assert "conn_use=2" in world.log.texts[-1]
        # What the stock program would have saved
        save_destination = world.recorder.of("scache")[2]
        swapped = int.from_bytes(server.port.to_bytes(2, "big"), "little")
        expected = destination.replace("NEXTHOP", server.nexthop).replace("PORT", str(swapped))
        assert save_destination["property"] == expected
        endpoint = world.recorder.of("scache")[3]["property"]
        assert endpoint.startswith("tls_level=0\nreuse_count=0\nendpoint_features=1\nexpire_time=")
        assert world.problems == []
