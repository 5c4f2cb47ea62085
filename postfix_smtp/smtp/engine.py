"""The protocol engine of one connection: bytes in, actions out; intents in, bytes out. No I/O.

An intent is a method that returns a flow, a generator of actions (:mod:`postfix_smtp.smtp.actions`). The loop around it
is short::

    answer = None
    while True:
        engine.now = time.time()
        try:
            action = flow.send(answer)
        except StopIteration as end:
            return end.value
        answer = perform(action)  # for Need.DATA: send engine.take_output(), engine.receive(what came)

When a flow has ended there may be output left: it is to be sent before the connection is closed, unless
`discard_output`.
"""

from postfix_smtp.errors import TableError
from postfix_smtp.smtp import features
from postfix_smtp.smtp.actions import ConnectionLost, Flow, TimedOut
from postfix_smtp.smtp.context import Context
from postfix_smtp.smtp.conversation import Conversation
from postfix_smtp.smtp.envelope import Envelope
from postfix_smtp.smtp.failure import Failure, LocalDataError
from postfix_smtp.smtp.handshake import Handshake
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.settings import SmtpSettings
from postfix_smtp.smtp.states import PHASES, State
from postfix_smtp.smtp.transaction import Transaction


class Engine(Conversation):
    """A connection from its greeting, or from its return from the connection cache, to its end.

    Attributes:
        expires_at: UNIX time after which the connection is not used again; None: it is not used again at all.
        reuse_count: how often it was used again.
        completed: the last transaction ran to its end.
    """

    def __init__(self, peer: Peer, settings: SmtpSettings, *, offered: int = 0) -> None:
        """An engine.

        Args:
            offered: feature bits from the connection cache; 0 for a new connection.
        """
        super().__init__(peer, settings, offered & features.CACHED)
        self.expires_at: float | None = None
        self.reuse_count = 0
        self.completed = False
        self._kept = False

    @property
    def cacheable_features(self) -> int:
        """Feature bits for the connection cache."""
        return self.offered & features.CACHED

    @property
    def offers_dsn(self) -> bool:
        """The server offers DSN."""
        return bool(self.offered & features.DSN)

    @property
    def offers_requiretls(self) -> bool:
        """The server offered REQUIRETLS inside TLS (3.11)."""
        return bool(self.offered & features.REQUIRETLS)

    @property
    def is_reusable(self) -> bool:
        """The last transaction left the connection fit for another one."""
        # Input that was not asked for would be taken for the reply to the next command.
        return self._kept and not self.has_input and self._may_keep()

    def _may_keep(self) -> bool:
        limit = self.settings.reuse_count_limit
        return (
            self.expires_at is not None
            and not self.is_broken
            and not self.garbled
            and self.last_io <= self.expires_at
            and (limit <= 0 or self.reuse_count < limit)
        )

    def handshake(self, context: Context) -> Flow[Failure | None]:
        """Greet. Ends with None when a transaction may begin; after a failure only :meth:`quit` makes sense."""
        self.context = context
        if context.best_preference:
            self.offered |= features.BEST_MX
        try:
            failure = yield from Handshake(self).run()
        except (ConnectionLost, TimedOut) as error:
            return self.broken(error)
        except (LocalDataError, TableError):
            failure = self.local_data_error()
        return failure

    def probe(self, context: Context) -> Flow[bool]:
        """Test a kept connection by RSET. Nobody hears of a failure; the connection is of no more use then."""
        self.context = context
        self.transcript = []
        self.size_limit = 0  # the connection cache does not keep it
        self.error_classes = set()
        limit, self.phase = PHASES[State.PROBE]
        self.begin_stage(getattr(self.settings.limits, limit))
        self.command("RSET")
        try:
            reply = yield from self.reply()
        except (ConnectionLost, TimedOut, LocalDataError):
            self.is_broken = True
            return False
        if reply.kind != 2:
            self.is_broken = True
        return reply.kind == 2

    def transaction(self, envelope: Envelope) -> Flow[None]:
        """Transfer a message, or probe addresses. Each recipient gets exactly one outcome."""
        self._kept = self.completed = False
        transaction = Transaction(self, envelope, may_keep=self._may_keep())
        yield from transaction.run()
        self.completed = transaction.completed
        self._kept = transaction.keep
        if self._kept and not self.is_reusable:
            if not self.garbled:  # after a misunderstanding it is closed at once
                yield from self.quit()
            self._kept = False
