"""The delivery agent: one request from queue file to reply (delivery chapter 1).

1. Open and lock the queue file.
2. Checks that reject the whole request.
3. Walk over destinations and hosts (:mod:`postfix_smtp.delivery.walk`): look up, reuse a session or make one, deliver
   (:mod:`postfix_smtp.delivery.servers`).
4. Recipients still left: another transport, or the last error.
5. Reply to the queue manager.
"""

from dataclasses import replace

from postfix_smtp import log
from postfix_smtp.delivery.report import Reporter
from postfix_smtp.delivery.servers import Servers
from postfix_smtp.delivery.tooling import Tooling
from postfix_smtp.delivery.verbosity import PeerVerbosity
from postfix_smtp.delivery.walk import Connect, Resolve, ReuseAddress, ReuseDestination, Walk
from postfix_smtp.dsn import Dsn
from postfix_smtp.errors import FatalError
from postfix_smtp.ipc.pass_on import split_transport
from postfix_smtp.ipc.request import DeliveryReply, DeliveryRequest
from postfix_smtp.message.added import delivered_before
from postfix_smtp.queue.file import QueueFile, QueueFileMissing
from postfix_smtp.routing.address import Resolution
from postfix_smtp.routing.destination import (
    INET_PREFIX,
    UNIX_PREFIX,
    WRAPPER_PORT,
    Destination,
    parse_destination,
    split_list,
    split_nexthop,
)

UNAVAILABLE = Dsn("4.3.0", "server unavailable or unable to receive mail")
CONFIGURATION_ERROR = "4.3.5"


async def deliver(tools: Tooling, request: DeliveryRequest) -> DeliveryReply:
    """Serve one delivery request.

    Raises:
        FatalError, PanicError: Postfix's own program would end here without a reply; the caller does that for this
            request.
    """
    try:
        queue_file = QueueFile.open(tools.queue, request.queue_name, request.queue_id)
    except QueueFileMissing:
        return DeliveryReply(False)
    with queue_file:
        reporter = Reporter(
            tools.report,
            tools.services,
            request,
            queue_file,
            final_delivery=tools.settings.flags.final,
        )
        delivery = _Delivery(tools, request, queue_file, reporter)
        await delivery.run()
        return reporter.reply()


class _Delivery:
    """One delivery request."""

    def __init__(self, tools: Tooling, request: DeliveryRequest, queue_file: QueueFile, reporter: Reporter) -> None:
        self._tools = tools
        self._request = request
        self._queue_file = queue_file
        self._reporter = reporter
        self._verbosity = PeerVerbosity(tools.debug_match, tools.debug_level)
        self._servers = Servers(tools, request, queue_file, reporter, self._verbosity)
        self._walk: Walk | None = None

    async def run(self) -> None:
        """Everything between the open queue file and the reply."""
        tools, request = self._tools, self._request
        if not request.nexthop:
            raise FatalError("empty nexthop hostname")
        raised = await self._verbosity.raise_for(request.nexthop, "noaddr")
        try:
            if await self._rejected_as_a_whole():
                return
            nexthop = request.nexthop
            if tools.settings.program == "lmtp":
                if nexthop.startswith(UNIX_PREFIX):
                    await self._deliver_local(nexthop.removeprefix(UNIX_PREFIX))
                    await self._leftovers([nexthop])
                    return
                nexthop = nexthop.removeprefix(INET_PREFIX)
            await self._deliver_remote(nexthop)
        finally:
            self._verbosity.calm(raised)

    # Checks on the whole request (delivery chapter 2)

    async def _rejected_as_a_whole(self) -> bool:
        tools, request, reporter = self._tools, self._request, self._reporter
        settings = tools.settings
        flag = settings.flags.needs_single_recipient()
        if not flag:
            return False
        if len(request.recipients) > 1:
            log.warning(f"flag `{flag}' requires {settings.service}_destination_recipient_limit = 1")
            failure = Dsn(CONFIGURATION_ERROR, "mail system configuration error")
        elif flag == "D" and await delivered_before(self._queue_file, request, tools.generic, utf8=tools.smtp.utf8):
            failure = Dsn("5.4.6", f"mail forwarding loop for {request.recipients[0].address}")
        else:
            return False
        await reporter.fail_remaining(failure, relay=settings.service, throttle=False)
        return True

    # Destinations

    async def _deliver_local(self, path: str) -> None:
        settings = self._tools.settings
        if settings.fallback_relays:
            log.warning(
                f'ignoring "{settings.fallback_name} = {settings.fallback_relays}" setting for non-TCP connections'
            )
        await self._servers.use_local(path)

    async def _deliver_remote(self, nexthop: str) -> None:
        tools, reporter, servers = self._tools, self._reporter, self._servers
        routing = tools.routing
        listed = split_nexthop(nexthop)
        destinations = listed + split_list(tools.settings.fallback_relays)

        def parse(text: str) -> Destination:
            destination = parse_destination(
                text, routing.default_service, routing.known_ports, allow_utf8=routing.allow_utf8
            )
            if destination.port == WRAPPER_PORT and not tools.settings.wrapper_mode and tools.settings.helpful_warnings:
                program = tools.settings.program
                log.info(
                    "SMTPS wrappermode (TCP port 465) requires setting "
                    f'"{program}_tls_wrappermode = yes", and "{program}_tls_security_level = encrypt" (or stronger)'
                )
            return destination

        walk = self._walk = Walk(
            destinations,
            parse,
            address_limit=routing.address_limit,
            session_limit=routing.session_limit,
            may_load=lambda: servers.may_load,
            remembers_nexthop=lambda: bool(servers.nexthop),
            recipients_left=lambda: bool(reporter.remaining),
        )
        steps = walk.steps()
        try:
            step = next(steps)
            while True:
                match step:
                    case Resolve():
                        step = steps.send(await self._resolve(step, walk))
                    case ReuseDestination():
                        step = steps.send(await servers.reuse_destination(step))
                    case ReuseAddress():
                        step = steps.send(await servers.reuse_address(step))
                    case Connect():
                        step = steps.send(await servers.connect(step))
        except StopIteration:
            pass
        await self._leftovers(listed)

    async def _resolve(self, step: Resolve, walk: Walk) -> Resolution:
        await self._servers.begin_destination(step.destination.host)
        resolution = await self._tools.finder.find(step.destination)
        self._reporter.last = resolution.failure
        if walk.position == 0 and resolution.addresses:
            await self._servers.decide_caching(step.destination.host, step.destination.text)
        return resolution

    # Recipients that are left (delivery chapter 7.3 and 6.4)

    async def _leftovers(self, listed: list[str]) -> None:
        """Recipients that no server was found for.

        Args:
            listed: the destinations of the next-hop, without fallback relays.
        """
        settings, reporter = self._tools.settings, self._reporter
        if not reporter.remaining:
            return
        dsn = reporter.last or UNAVAILABLE
        if dsn.is_hard:
            if self._walk is not None and self._walk.position >= len(listed):
                log.warning("smtp_fallback_relay configuration problem")
                dsn = replace(dsn, status=CONFIGURATION_ERROR)
            elif settings.program == "smtp" and listed[0] == settings.relayhost:
                log.warning("relayhost configuration problem")
                dsn = replace(dsn, status=CONFIGURATION_ERROR)
            elif settings.program == "smtp" and dsn.status[1:] == ".4.6" and settings.best_mx_transport:
                await self._pass_on()
                return
        await reporter.fail_remaining(dsn)

    async def _pass_on(self) -> None:
        """Mail for this host itself: to the transport that knows what to do with it, one recipient at a time."""
        request, reporter = self._request, self._reporter
        transport, nexthop = split_transport(self._tools.settings.best_mx_transport, request.nexthop)
        for recipient in list(reporter.remaining):
            shown = reporter.shown(recipient.address)
            passed = await self._tools.pass_on.pass_on(transport, nexthop, request, recipient, shown)
            if passed.failure is None:
                reporter.handed_over(recipient, done=passed.done)
            else:
                await reporter.fail_one(recipient, passed.failure)
