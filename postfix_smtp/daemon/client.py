"""One delivery request from announcement to reply; its accidents stay its own (process chapter 9.5).

The announcement is a step of its own, taken right after the connection is accepted. A process that dies before it gets
the whole transport suspended, one that dies after the request only has that message deferred (ipc chapter 4.8): with
many deliveries in a process, a turn of the loop in between would be long.
"""

import asyncio
import traceback
from collections.abc import Callable
from typing import Final

from postfix_smtp import log
from postfix_smtp.daemon.logging import die, die_panicking
from postfix_smtp.daemon.program import Program
from postfix_smtp.errors import FatalError, PanicError
from postfix_smtp.ipc.channel import Channel
from postfix_smtp.ipc.delivery import FAILED, DeliveryConnection, RequestError

TOO_LATE: Final = "watchdog timeout"


def greet(channel: Channel, options_name: str) -> DeliveryConnection | None:
    """Announce what is spoken here; None if the queue manager is gone."""
    connection = DeliveryConnection(channel, options_name)
    try:
        connection.announce()
    except OSError as failure:
        _gone(channel, failure)
        connection.close()
        return None
    return connection


def _gone(channel: Channel, failure: OSError) -> None:
    if failure.errno is not None and log.verbose():
        log.info(f"{channel.name}: {failure.strerror}")


async def serve(program: Program, connection: DeliveryConnection, may_die: Callable[[], bool]) -> bool:
    """Serve one request of a queue manager that was greeted, and close the connection.

    Args:
        may_die: whether an error that is fatal to the request may end the process, as it ends the stock program:
            after a second, during which the queue manager waits.

    Returns:
        A request was delivered and answered in the regular way.
    """
    try:
        try:
            request = await connection.read_request(program.inspect)
        except RequestError:
            await connection.reply(FAILED)
            return False
        if request is None:
            return False
        reply = await program.deliver(request)
        await connection.reply(reply)
        return True
    except OSError as failure:
        # The queue manager is gone before it asked for anything
        _gone(connection.channel, failure)
        return False
    except FatalError as failure:
        if may_die():
            die(str(failure))
        log.fatal(str(failure))
    except PanicError as failure:
        if may_die():
            die_panicking(str(failure))
        log.panic(str(failure))
    except asyncio.CancelledError:
        log.fatal(TOO_LATE)
    except Exception:
        for line in traceback.format_exc().splitlines():
            log.warning(line)
        await connection.reply(FAILED)
    finally:
        connection.close()
    return False
