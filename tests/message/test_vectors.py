"""The captures from the real Postfix, byte for byte (message chapter 12)."""

import asyncio
import base64
from pathlib import Path

import pytest
from message_support import LOCAL, REAL, REMOTE, LogLines, Vector, checks, generic, vectors

from postfix_smtp.errors import FatalError
from postfix_smtp.message.added import DeliveryFlags, added_headers, delivered_before
from postfix_smtp.message.content import Content
from postfix_smtp.printable import printable
from postfix_smtp.queue.file import QueueFile
from postfix_smtp.queue.path import QueueSettings
from postfix_smtp.smtp.failure import BodyError, LocalDataError
from postfix_smtp.smtp.quoting import quote_822
from postfix_smtp.text import to_octets

ALL = vectors("lines", "qp", "mime", "checks", "generic", "added", "errors")


def own_log_lines(lines: list[str]) -> list[str]:
    """Those of the message rooms."""
    others = (
        " to=<",
        "discarding EHLO",
        "warning: flag `",
        "offers SMTPUTF8 support",
        "unknown content encoding",
        "valid_ipv4_hostaddr",
    )
    return [line for line in lines if not any(other in line for other in others)]


def deliver(vector: Vector, mode: str) -> tuple[bytes | None, list[str], str]:
    """Play the agent's part; the octets after 354, log lines, and what went wrong."""
    parameters = vector.parameters
    request = vector.request
    flags = DeliveryFlags.from_arguments(vector.data["service_args"])
    mapper = generic(parameters, mode)
    with LogLines() as logged, QueueFile.open(QueueSettings.from_parameters(parameters), "active", "QUEUEID") as file:

        async def run() -> bytes | None:
            if flags.needs_single_recipient() and len(request.recipients) > 1:
                return None
            if flags.delivered_to and await delivered_before(file, request, mapper, utf8=True):
                return None
            added = await added_headers(flags, request, mapper)
            if mapper:
                for address in (request.sender, *(recipient.address for recipient in request.recipients)):
                    await mapper.map_internal(address)
            content = Content(
                file, request, vector.settings, checks=checks(parameters, mode), generic=mapper, added=added
            )
            converting = vector.settings.converts(request.encoding, vector.offers_8bitmime)
            sent = b""
            try:
                async for chunk in content.chunks(converting):
                    sent += chunk
            except BodyError as error:
                if error.failure.corrupt_queue_file:
                    file.mark_corrupt()
                    return b""
                return sent
            except LocalDataError:
                return sent
            return sent + b".\r\n"

        try:
            return asyncio.run(run()), logged.lines, ""
        except FatalError as error:
            return None, logged.lines, str(error)


@pytest.mark.parametrize(
    ("vector", "mode"),
    [
        pytest.param(vector, mode, id=f"{vector.name}-{vector.version}-{mode}")
        for vector in ALL
        for mode in (LOCAL, REMOTE, REAL)
        if mode == LOCAL or any(name.endswith(("_maps", "_checks")) for name in vector.data["config"])
    ],
)
def test_content_is_sent_as_postfix_sends_it(
    vector: Vector, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    vector.write(tmp_path)
    if mode == REAL and "regexp:" in str(vector.data["config"]):
        pytest.importorskip("postfix_smtp.tables.regexp")
    sent, logged, fatal = deliver(vector, mode)
    expected = vector.expect["data_b64"]
    assert sent == (None if expected is None else base64.b64decode(expected)) or (fatal and not expected)
    text = [printable(line, utf8=True, strict=vector.version > "3.8") for line in own_log_lines(logged)]
    if fatal:
        text.append(f"fatal: {fatal}")
    assert text == own_log_lines(vector.expect["log"])
    mode = (tmp_path / "active" / "QUEUEID").stat().st_mode & 0o777
    assert f"{mode:04o}" == vector.expect["file_mode"]


@pytest.mark.parametrize(
    "vector",
    [vector for vector in vectors("generic", "added") if generic(vector.parameters) and vector.expect["reply"]],
    ids=lambda vector: vector.name,
)
def test_envelope_addresses_are_mapped(vector: Vector) -> None:
    commands = [base64.b64decode(command) for command in vector.expect["commands_b64"]]
    mapper = generic(vector.parameters)
    assert mapper

    async def run() -> list[bytes]:
        request = vector.request
        addresses = [request.sender, *(recipient.address for recipient in request.recipients)]
        return [to_octets(quote_822(await mapper.map_internal(address))) for address in addresses]

    sender, *recipients = asyncio.run(run())
    assert b"MAIL FROM:<" + sender + b">" in commands
    assert [b"RCPT TO:<" + recipient + b">" for recipient in recipients] == [
        command for command in commands if command.startswith(b"RCPT")
    ]
