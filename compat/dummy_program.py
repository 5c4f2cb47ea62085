"""A program without mail, to watch how a process behaves: what it does with a request is in the nexthop.

``ok``, ``defer``; ``fatal``, ``panic``, ``defect`` (exceptions); ``segv`` (the process dies); ``hold`` (until a file
named like the queue id is in directory ``hold`` of the queue directory); ``hang`` (for ever); ``block`` (stops the
loop); ``thread`` (asks a thread); ``import`` (loads a module).
"""

import asyncio
import importlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.dsn import Dsn
from postfix_smtp.errors import FatalError, PanicError
from postfix_smtp.ipc.request import DeliveryReply, DeliveryRequest

_POLL = 0.01


class DummyProgram:
    """Implements :class:`postfix_smtp.daemon.program.Program`."""

    def __init__(self) -> None:
        self._arguments: Sequence[str] = ()

    def prepare(self, parameters: Parameters, arguments: Sequence[str]) -> None:
        """Log that it was called."""
        log.info(f"prepare uid={os.geteuid()} cwd={Path.cwd()}")
        self._arguments = arguments

    def enter(self) -> None:
        """Log where and who the process is now; only ``flags=`` words are good."""
        log.info(f"enter uid={os.geteuid()} gid={os.getegid()} groups={sorted(os.getgroups())} cwd={Path.cwd()}")
        log.info(f"root={sorted(os.listdir('/'))[:50]}")
        for word in self._arguments:
            if not word.lower().startswith("flags="):
                raise FatalError(f"unknown attribute name: {word}")

    async def start(self) -> None:
        """Log that it was called."""
        log.info("start")

    def inspect(self, queue_name: str, queue_id: str) -> None:
        """Log what was asked about."""
        log.info(f"inspect {queue_name} {queue_id}")

    async def deliver(self, request: DeliveryRequest) -> DeliveryReply:
        """Do as the nexthop says."""
        log.info(f"{request.queue_id}: {request.nexthop}")
        match request.nexthop:
            case "defer":
                return DeliveryReply(False, Dsn("4.4.1", "no route"))
            case "fatal":
                raise FatalError("told to")
            case "panic":
                raise PanicError("told to")
            case "defect":
                raise ZeroDivisionError("one\ntwo")
            case "segv":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hold":
                while not Path("hold", request.queue_id).exists():  # noqa: ASYNC110, ASYNC240 - a file has no event
                    await asyncio.sleep(_POLL)
            case "hang":
                await asyncio.sleep(1_000_000)
            case "block":
                time.sleep(1_000_000)  # noqa: ASYNC251
            case "import":
                importlib.import_module("this")
            case "thread":
                log.info(f"answer {await asyncio.to_thread(lambda: 42)}")
        return DeliveryReply(True)

    def changed_table(self) -> str | None:
        """A table has changed when the queue directory has a file ``changed``."""
        return "hash:/x(0,lock)" if Path("changed").exists() else None

    async def stop(self) -> None:
        """Log that it was called."""
        log.info("stop")
