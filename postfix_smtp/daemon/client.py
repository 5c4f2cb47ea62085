"""One delivery request from announcement to reply; its accidents stay its own (process chapter 9.5)."""

import asyncio
import traceback
from typing import Final

from postfix_smtp import log
from postfix_smtp.daemon.program import Program
from postfix_smtp.errors import FatalError, PanicError
from postfix_smtp.ipc.channel import Channel
from postfix_smtp.ipc.delivery import FAILED, DeliveryConnection, RequestError

TOO_LATE: Final = "watchdog timeout"


async def serve(program: Program, channel: Channel, options_name: str) -> bool:
    """Serve one request and close the connection.

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
        log.fatal(str(failure))
    except PanicError as failure:
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
