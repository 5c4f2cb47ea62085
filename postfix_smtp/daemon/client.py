"""One delivery request from announcement to reply; its accidents stay its own (process chapter 9.5)."""

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


async def serve(program: Program, channel: Channel, options_name: str, may_die: Callable[[], bool]) -> bool:
    """Serve one request and close the connection.

    Args:
        may_die: whether an error that is fatal to the request may end the process, as it ends the stock program:
            after a second, during which the queue manager waits.

    Returns:
        A request was delivered and answered in the regular way.
    """
    connection = DeliveryConnection(channel, options_name)
    try:
        await connection.announce()
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
        if failure.errno is None or not log.verbose():
            return False
        log.info(f"{channel.name}: {failure.strerror}")
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
