"""A session: the protocol engine on a stream (delivery chapter 9, smtp-protocol chapter 2).

The engine says what to do next; this module does it: octets to and from the stream, time limits, look-ups, TLS,
authentication, content, outcomes.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from postfix_smtp.delivery.stream import Stream, TlsFailure
from postfix_smtp.errors import TableError
from postfix_smtp.smtp import actions
from postfix_smtp.smtp.actions import Action, ConnectionLost, Flow, Need, Source, TimedOut
from postfix_smtp.smtp.context import Context, StartTls, TlsInfo
from postfix_smtp.smtp.engine import Engine
from postfix_smtp.smtp.envelope import Envelope
from postfix_smtp.smtp.failure import BodyError, ErrorClass, Failure, LocalDataError
from postfix_smtp.smtp.mechanism import Mechanism, SaslError
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.reply import Reply
from postfix_smtp.smtp.settings import SmtpSettings

#: Octets that the socket's send buffer must hold, so that a pipelined flight never waits for the server to read.
SEND_BUFFER = 4096
TLS_OVERHEAD = 1152

T = TypeVar("T")
#: Asks a table; raises TableError.
LookUp = Callable[[str], Awaitable[str | None]]


class TlsStarter(Protocol):
    """Makes a stream a TLS stream."""

    async def start(self, stream: Stream, server_name: str) -> TlsInfo | None:
        """Do the handshake on `stream` (:meth:`Stream.start_tls`) and log how it went.

        Args:
            server_name: as the server called itself in its EHLO reply; empty in wrapper mode.

        Returns:
            None if the handshake failed.
        """


class Authenticator(Protocol):
    """Credentials and mechanisms for one server."""

    async def filter_mechanisms(self, words: str) -> str:
        """What is left of an AUTH keyword's list, words joined by blanks; `words` itself without a filter."""

    async def has_credentials(self, tls: TlsInfo | None) -> bool:
        """Look the credentials up. Raises TableError (logged already)."""

    async def choose(
        self, mechanisms: str, tls: TlsInfo | None, connection: object | None = None
    ) -> Mechanism | Failure:
        """The mechanism to use; a Failure if none is suitable or the failure cache knows better.

        Args:
            connection: the TLS library's object, for mechanisms that are bound to the session.
        """

    async def refused(self, reply: Reply) -> Mechanism | str | None:
        """The server's final reply to the exchange was a refusal.

        Returns:
            A mechanism to try once more, or an explanation to add to the reason.
        """


class Listener(Protocol):
    """Is told what becomes of the recipients of a transaction, as soon as it is known and in that order.

    An index is a position in the envelope's recipients.
    """

    def mail_started(self) -> None:
        """MAIL FROM is being built."""

    def data_done(self) -> None:
        """The (last) reply to the end of data came."""

    async def recipient_delivered(self, index: int, reply: Reply) -> None:
        """Accepted for good."""

    async def recipient_failed(self, index: int, failure: Failure) -> None:
        """Refused."""

    async def all_failed(self, failure: Failure) -> None:
        """Every recipient not reported yet failed."""


class Body(Protocol):
    """Message content."""

    def chunks(self, converting: bool) -> AsyncIterator[bytes]:
        """Octets for the wire, dots stuffed, lines ended by CR LF, without the final dot.

        Args:
            converting: 8-bit content becomes 7-bit.

        Raises:
            BodyError: the content cannot be sent.
            LocalDataError: a table could not answer.
        """


@dataclass(slots=True)
class SessionContext(Context):
    """What a session needs from the request that uses it; absent hooks are None.

    Attributes:
        discard_map: ``smtp_discard_ehlo_keyword_address_maps``, asked by server address.
        pix_map: ``smtp_pix_workaround_maps``, asked by server address.
        reply_filter: ``smtp_reply_filter``, asked by reply line.
        starter: does TLS; needed if `tls` is above NONE.
        authenticator: does SASL; needed if `authenticate`.
    """

    discard_map: LookUp | None = None
    pix_map: LookUp | None = None
    reply_filter: LookUp | None = None
    starter: TlsStarter | None = None
    authenticator: Authenticator | None = None


class Session:
    """One connection to one server, used for one or more deliveries.

    Attributes:
        tls: what is known of TLS on this connection, None in plaintext.
        plaintext_hello: what `hello_text` was before TLS began; None: it did not.
        completed: the last transaction's exchange ran to its end (delivery chapter 9.5).
    """

    def __init__(
        self,
        stream: Stream,
        peer: Peer,
        settings: SmtpSettings,
        *,
        keep_until: float | None = None,
        reuse_count: int = 0,
        features: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """A session on a connection just made, or (with `features`) taken from the connection cache.

        Args:
            keep_until: UNIX time until which the connection may be used again; None: it ends after one delivery.
            reuse_count: how often it was used again so far.
            features: bit mask from the connection cache.
            clock: UNIX time.
        """
        self.stream = stream
        self._engine = Engine(peer, settings, offered=features)
        self._engine.expires_at = keep_until
        self._engine.reuse_count = reuse_count
        self._settings = settings
        self._clock = clock
        self._context = SessionContext("")
        self._stage = 0
        self.completed = False
        self.tls: TlsInfo | None = None
        self.plaintext_hello: str | None = None
        stream.set_mode(deadline=settings.per_request_deadline)

    # What the agent wants to know

    @property
    def peer(self) -> Peer:
        """The server. May be replaced when a cached session is found under another name."""
        return self._engine.peer

    @peer.setter
    def peer(self, peer: Peer) -> None:
        self._engine.peer = peer

    @property
    def features(self) -> int:
        """The bit mask for the connection cache."""
        return self._engine.cacheable_features

    @property
    def offers_dsn(self) -> bool:
        """The server offered DSN."""
        return self._engine.offers_dsn

    @property
    def offers_requiretls(self) -> bool:
        """The server offered REQUIRETLS inside TLS."""
        return self._engine.offers_requiretls

    @property
    def starttls(self) -> StartTls:
        """What became of TLS."""
        return self._engine.starttls

    @property
    def hello_text(self) -> str:
        """The last reply to EHLO, HELO or LHLO, its lines with codes, joined by newline."""
        return self._engine.hello_text

    @property
    def reuse_count(self) -> int:
        """How often the connection was used again; whoever reuses it increments it."""
        return self._engine.reuse_count

    @reuse_count.setter
    def reuse_count(self, count: int) -> None:
        self._engine.reuse_count = count

    @property
    def keep_until(self) -> float | None:
        """UNIX time of expiry; None: not to be kept. May be set until the end of the transaction is being sent."""
        return self._engine.expires_at

    @keep_until.setter
    def keep_until(self, until: float | None) -> None:
        self._engine.expires_at = until

    @property
    def reusable(self) -> bool:
        """The connection is between two transactions and may be kept (delivery chapter 14.3)."""
        return self._engine.is_reusable and not self.stream.is_broken

    @property
    def error_classes(self) -> frozenset[ErrorClass]:
        """Kinds of trouble since the handshake or the RSET probe, for the postmaster notice."""
        return frozenset(self._engine.error_classes)

    @property
    def transcript(self) -> list[str]:
        """The session so far, ``Out: ...`` and ``In:  ...``; empty unless ``notify_classes`` may want it."""
        return self._engine.transcript

    # What the agent wants done

    async def handshake(self, context: SessionContext) -> Failure | None:
        """From the greeting to the point where MAIL can be sent. After a failure, once it is reported, quit()."""
        self._context = context
        return await self._run(self._engine.handshake(context))

    async def probe(self, context: SessionContext) -> bool:
        """Whether a kept connection still works (RSET). Silent; after a failure only close() is left to do."""
        self._context = context
        usable = await self._run(self._engine.probe(context))
        if usable:
            self.stream.adjust_buffer()
        return usable

    async def transact(self, envelope: Envelope, body: Body, listener: Listener) -> None:
        """One transaction. Every recipient of `envelope` is reported to `listener` unless the listener raises."""
        self.completed = False
        await self._run(self._engine.transaction(envelope), body, listener)
        self.completed = self._engine.completed

    async def quit(self) -> None:
        """Send QUIT if the state of the connection allows it. Errors are ignored."""
        await self._run(self._engine.quit())

    def close(self) -> None:
        """End the connection at once, without waiting."""
        self.stream.close()

    # The loop around the engine

    async def _run(self, flow: Flow[T], body: Body | None = None, listener: Listener | None = None) -> T:
        engine = self._engine
        answer: object = None
        error: Exception | None = None
        try:
            while True:
                engine.now = self._clock()
                try:
                    action = flow.send(answer) if error is None else flow.throw(error)
                except StopIteration as end:
                    result: T = end.value
                    break
                answer = error = None
                if listener is not None and await _report(action, listener):
                    continue
                try:
                    answer = await self._perform(action, body)
                except (ConnectionLost, TimedOut, TableError, BodyError, LocalDataError, SaslError) as problem:
                    error = problem
            await self._finish()
        except BaseException:
            engine.is_broken = True
            flow.close()
            raise
        return result

    async def _perform(self, action: Action, body: Body | None) -> object:
        """Do what the engine asks for; the answer."""
        engine, stream, context = self._engine, self.stream, self._context
        if engine.stage != self._stage:
            self._stage = engine.stage
            stream.set_limit(engine.limit, engine.refund_rate)
        if action is Need.DATA:
            output = engine.take_output()
            if output:
                await stream.write(output)
            octets = await stream.read()
            engine.now = self._clock()
            engine.receive(octets)
            return None
        match action:
            case actions.SendBody(converting):
                assert body is not None
                await self._send_body(body.chunks(converting))
            case actions.LookUp(source, key):
                hook = self._hook(source)
                return await hook(key) if hook is not None else None
            case Need.SEND_BUFFER:
                return stream.ensure_send_buffer(SEND_BUFFER + (TLS_OVERHEAD if stream.is_tls else 0))
            case Need.TLS:
                return await self._start_tls()
            case actions.Pause(seconds):
                await stream.write(engine.take_output())
                await stream.flush()
                if stream.write_failed:
                    raise ConnectionLost
                await asyncio.sleep(seconds)
            case _:
                assert context.authenticator is not None
                return await self._authenticate(action, context.authenticator)
        return None

    async def _send_body(self, chunks: AsyncIterator[bytes]) -> None:
        stream = self.stream
        output = self._engine.take_output()
        if output:
            await stream.write(output)
        async with contextlib.AsyncExitStack() as stack:
            if isinstance(chunks, AsyncGenerator):
                stack.push_async_callback(chunks.aclose)
            async for chunk in chunks:
                await stream.write(chunk)
                if stream.write_failed:
                    raise ConnectionLost

    def _hook(self, source: Source) -> LookUp | None:
        context = self._context
        match source:
            case Source.DISCARDED_KEYWORDS:
                return context.discard_map
            case Source.PIX_WORKAROUNDS:
                return context.pix_map
            case Source.REPLY_FILTER:
                return context.reply_filter

    async def _start_tls(self) -> TlsInfo | None:
        starter = self._context.starter
        assert starter is not None
        await self.stream.write(self._engine.take_output())
        self.plaintext_hello = self._engine.hello_text
        try:
            self.tls = await starter.start(self.stream, self._engine.server_name)
        except (ConnectionLost, TimedOut, TlsFailure):
            self.tls = None
        return self.tls

    async def _authenticate(self, action: Action, authenticator: Authenticator) -> object:
        match action:
            case actions.FilterMechanisms(words):
                return await authenticator.filter_mechanisms(words)
            case Need.CREDENTIALS:
                return await authenticator.has_credentials(self.tls)
            case actions.ChooseMechanism(mechanisms):
                return await authenticator.choose(mechanisms, self.tls, self.stream.tls_connection)
            case actions.AuthenticationRefused(reply):
                return await authenticator.refused(reply)
            case actions.Respond(mechanism, None):
                return await asyncio.to_thread(mechanism.initial)
            case actions.Respond(mechanism, bytes() as challenge):
                return await asyncio.to_thread(mechanism.step, challenge)
        raise AssertionError(action)

    async def _finish(self) -> None:
        """Send what is left, as far as that is wanted and possible."""
        engine, stream = self._engine, self.stream
        output = engine.take_output()
        if engine.is_broken or engine.discard_output:
            if engine.discard_output:
                stream.discard_output()
            return
        if engine.stage != self._stage:
            self._stage = engine.stage
            stream.set_limit(engine.limit, engine.refund_rate)
        try:
            if output:
                await stream.write(output)
            await stream.flush()
        except (ConnectionLost, TimedOut):
            engine.is_broken = True


async def _report(action: Action, listener: Listener) -> bool:
    """Tell the listener, if that is what the engine wants."""
    match action:
        case Need.DATA:
            return False
        case Need.MAIL_STARTED:
            listener.mail_started()
        case Need.DATA_DONE:
            listener.data_done()
        case actions.RecipientDelivered(index, reply):
            await listener.recipient_delivered(index, reply)
        case actions.RecipientFailed(index, failure):
            await listener.recipient_failed(index, failure)
        case actions.AllFailed(failure):
            await listener.all_failed(failure)
        case _:
            return False
    return True
