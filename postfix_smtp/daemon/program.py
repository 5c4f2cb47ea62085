"""What a process does with delivery requests, as the process sees it."""

from collections.abc import Sequence
from typing import Protocol

from postfix_smtp.config.access import Parameters
from postfix_smtp.ipc.request import DeliveryReply, DeliveryRequest


class Program(Protocol):
    """A delivery agent. The methods are called in this order; any may raise FatalError or PanicError."""

    def prepare(self, parameters: Parameters, arguments: Sequence[str]) -> None:
        """Open and load everything that needs root or the real file tree: tables, certificates, plug-ins.

        Also import every module that may be needed later: after this there may be no file to import from.

        Args:
            parameters: evaluated; the current directory is the queue directory.
            arguments: the command line after the options, not looked at yet.
        """

    def enter(self) -> None:
        """Called in the jail, as the unprivileged user: the rest of the initialisation, and the arguments."""

    async def start(self) -> None:
        """Called once in the event loop before the first request."""

    def inspect(self, queue_name: str, queue_id: str) -> None:
        """Log what is to be said about the queue file while its request is being read (queue-file chapter 7.3)."""

    async def deliver(self, request: DeliveryRequest) -> DeliveryReply:
        """Deliver; several requests are delivered at the same time.

        Raises:
            FatalError: the request cannot be served. Its connection is closed without a reply.
        """

    def changed_table(self) -> str | None:
        """The name of a lookup table that was replaced, in the form of the log line; the process then ends."""

    async def stop(self) -> None:
        """The process ends: close what is open, within a few seconds."""
