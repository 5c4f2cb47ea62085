"""Class S of the services: a new connection for each request, one attempt (ipc chapter 3.1 and 5.3)."""

from typing import Any

from postfix_smtp import log
from postfix_smtp.ipc.attributes import STATUS, Layout, ListError
from postfix_smtp.ipc.channel import Channel, error_text


async def exchange(
    path: str, protocol: Layout, request: bytes, timeout: float, reply: Layout = STATUS
) -> list[Any] | None:
    """Send `request` to the service at `path`; the values of its reply, None after a failure, which was logged.

    Args:
        path: ``private/bounce``.
        protocol: the service's announcement.
        request: encoded list.
        timeout: of each wait, in seconds.
    """
    name = f"{path} socket"
    try:
        channel = await Channel.connect(path, name, timeout)
    except OSError as failure:
        log.warning(f"connect to {path}: {error_text(failure.errno)}")
        return None
    try:
        try:
            await channel.receive(protocol)
        except ListError as broken:
            if not broken.empty and not broken.stopped:
                log.warning(f"read {name}: {error_text(channel.error)}")
                return None
            if channel.error:
                log.warning(f"write {name}: {error_text(channel.error)}")
                return None
            # A server that closed at once passes: writing will fail. So does one that announced something else than a
            # protocol: the warning is all.
        # Postfix's stream forgets what it has not read when it turns to writing
        channel.take_pending()
        try:
            await channel.send(request)
            return await channel.receive(reply)
        except (OSError, ListError):
            log.warning(f"write/read {name}: {error_text(channel.error)}")
            return None
    finally:
        channel.close()
