"""From the greeting to the point where a transaction may begin (smtp-protocol chapter 2 to 5, 9, 14).

One rule: a step returns None to go on, or the :class:`Failure` of the whole connection.
"""

import contextlib
import re

from postfix_smtp import log
from postfix_smtp.dsn import Dsn
from postfix_smtp.errors import TableError
from postfix_smtp.smtp import features, keywords
from postfix_smtp.smtp.actions import FilterMechanisms, Flow, LookUp, Need, Source
from postfix_smtp.smtp.authentication import authenticate
from postfix_smtp.smtp.context import RequireTls, StartTls, TlsInfo, TlsNeed
from postfix_smtp.smtp.conversation import Conversation
from postfix_smtp.smtp.failure import Failure, LocalDataError, local_failure
from postfix_smtp.smtp.reply import Reply

_AFTER_CODE = re.compile(r"\A[- \t\n]*[^- \t\n]*[- \t\n]?")
_PIX_CHARACTERS = "20* \t\n"
_GREETING = "receiving the initial server greeting"
_STARTTLS = "receiving the STARTTLS response"
_SEND_BUFFER = 4096
_MECHANISM_LIST_BOUND = 2048


class Handshake:
    """The handshake of one connection.

    Attributes:
        mechanisms: SASL mechanisms offered and wanted, joined by blanks.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._talk = conversation
        self._settings = conversation.settings
        self._context = conversation.context
        self.mechanisms = ""

    def run(self) -> Flow[Failure | None]:
        """All of it."""
        talk = self._talk
        if self._context.tls_wrapper and self._context.tls > TlsNeed.NONE:
            failure = yield from self._wrapper()
            if failure is not None:
                return failure
        failure = yield from self._greeting()
        if failure is not None:
            return failure
        failure = yield from self._hello()
        if failure is not None:
            return failure
        if not talk.inside_tls:
            failure = yield from self._starttls()
            if failure is not None:
                return failure
        if talk.offered & features.AUTH:
            return (yield from authenticate(talk, self.mechanisms))
        return None

    # Greeting

    def _greeting(self) -> Flow[Failure | None]:
        talk, settings = self._talk, self._settings
        talk.begin_stage(settings.limits.helo)
        talk.phase = _GREETING
        reply = yield from talk.reply()
        if reply.kind != 2:
            if reply.kind == 5 and settings.skip_5xx_greeting:
                reply = Reply(reply.code, "4" + reply.status[1:], reply.text)
            return talk.refused_to_talk(reply)
        if self._context.tls is TlsNeed.INVALID:
            return local_failure("4.7.0", "client TLS configuration problem", throttle=True)
        if not reply.text.strip(_PIX_CHARACTERS):
            yield from self._work_around_pix()
        is_esmtp = self._read_greeting(reply.text)
        if settings.is_lmtp:
            talk.offered |= features.ESMTP
            return None
        no_esmtp = talk.offered & features.PIX_NO_ESMTP
        if settings.always_send_ehlo and not no_esmtp:
            is_esmtp = True
        if settings.never_send_ehlo or no_esmtp:
            is_esmtp = False
        if is_esmtp:
            talk.offered |= features.ESMTP
        return None

    def _read_greeting(self, text: str) -> bool:
        """Look for ourselves and for the word ESMTP."""
        words = _AFTER_CODE.sub("", text, count=1).split()
        if words and self._context.detect_loops and words[0].lower() == self._settings.own_name.lower():
            log.warning(f"host {self._talk.peer.endpoint} greeted me with my own hostname {self._settings.own_name}")
        return any(word.upper() == "ESMTP" for word in words[1:])

    def _work_around_pix(self) -> Flow[None]:
        talk, settings, context = self._talk, self._settings, self._context
        words: str | None = None
        with contextlib.suppress(TableError):
            words = yield LookUp(Source.PIX_WORKAROUNDS, talk.peer.address)
        if words is None:
            words = settings.pix_workarounds
        if not words:
            return
        wanted = words.lower().replace(",", " ").split()
        known = [name for name in ("disable_esmtp", "delay_dotcrlf") if name in wanted]
        if "delay_dotcrlf" in known and context.message_age < settings.pix_threshold:
            known.remove("delay_dotcrlf")
        names = settings.dialect.list_separator.join(known)
        log.info(f"{context.queue_id}: enabling PIX workarounds: {names} for {talk.peer.endpoint}")
        if "disable_esmtp" in known:
            talk.offered |= features.PIX_NO_ESMTP
        if "delay_dotcrlf" in known:
            talk.offered |= features.PIX_DELAY_DOT

    # EHLO, HELO, LHLO

    def _hello(self) -> Flow[Failure | None]:
        failure = yield from self._introduce()
        if failure is not None:
            return failure
        talk, context, settings = self._talk, self._context, self._settings
        if log.verbose():
            log.info(f"server features: 0x{talk.offered:x} size {talk.size_limit}")
        if talk.offered & features.PIPELINING:
            size: int = yield Need.SEND_BUFFER
            if log.verbose():
                protocol = "LMTP" if settings.is_lmtp else "ESMTP"
                log.info(
                    f"Using {protocol} PIPELINING, TCP send buffer size is {size}, "
                    f"PIPELINING buffer size is {_SEND_BUFFER}"
                )
        if context.options.needs_smtputf8 and not talk.offered & features.SMTPUTF8:
            return self._no_smtputf8()
        if talk.inside_tls and context.requiretls and not talk.offered & features.REQUIRETLS:
            host = talk.peer.host
            if context.requiretls is RequireTls.ENFORCE:
                return _no_requiretls(
                    "5.7.30",
                    "Sender requested REQUIRETLS, but no server was found that supports REQUIRETLS. "
                    f"The last attempted server was {host}",
                )
            log.info(
                f"{context.queue_id}: Sender requested REQUIRETLS, but REQUIRETLS support was not offered by "
                f"host {host}"
            )
        return None

    def _introduce(self) -> Flow[Failure | None]:
        talk, settings = self._talk, self._settings
        if settings.is_lmtp:
            talk.phase = "performing the LHLO handshake"
            talk.command(f"LHLO {settings.helo_name}")
            reply = yield from talk.reply()
            talk.hello_text = reply.text
            if reply.kind != 2:
                return talk.refused_to_talk(reply)
            return (yield from self._read_hello(reply.text))
        if talk.offered & features.ESMTP:
            talk.phase = "performing the EHLO handshake"
            talk.command(f"EHLO {settings.helo_name}")
            reply = yield from talk.reply()
            talk.hello_text = reply.text
            if reply.kind == 2:
                return (yield from self._read_hello(reply.text))
            if reply.code == 421:
                return talk.refused_to_talk(reply)
            talk.offered &= ~features.ESMTP
        talk.phase = "performing the HELO handshake"
        talk.command(f"HELO {settings.helo_name}")
        reply = yield from talk.reply()
        talk.hello_text = reply.text
        return None if reply.kind == 2 else talk.refused_to_talk(reply)

    def _no_smtputf8(self) -> Failure:
        host = self._talk.peer.host
        if not self._settings.dialect.smtputf8_tries_others:
            return local_failure("5.6.7", f"SMTPUTF8 is required, but was not offered by host {host}")
        reason = (
            "message requires SMTPUTF8, but no server was found that supports SMTPUTF8. "
            f"The last attempted server was {host}"
        )
        return Failure(Dsn("5.6.7", reason), soft_unless_final=True)

    def _read_hello(self, text: str) -> Flow[Failure | None]:
        """Learn what the server offers."""
        talk, context = self._talk, self._context
        ignored = yield from self._discards()
        announced = 0
        for number, (word, rest) in enumerate(keywords.parse(text)):
            keyword = word.upper()
            if number == 0:
                talk.server_name = word
                if context.detect_loops and word.lower() == self._settings.own_name.lower():
                    return self._loops_back()
            elif keyword in ignored:
                continue
            elif keyword in keywords.SIMPLE:
                announced |= keywords.SIMPLE[keyword]
            elif keyword == "SIZE":
                announced |= features.SIZE
                self._read_size(rest)
            elif keyword == "XFORWARD":
                announced |= keywords.xforward_attributes(rest)
            elif keyword == "AUTH" and context.authenticate:
                announced |= features.AUTH
                yield from self._read_mechanisms(rest)
            elif keyword == "REQUIRETLS" and talk.inside_tls and self._settings.dialect.requiretls:
                announced |= features.REQUIRETLS
        if announced & features.SMTPUTF8 and not announced & features.EIGHTBITMIME:
            log.info(f"host {talk.peer.host} offers SMTPUTF8 support, but not 8BITMIME")
            announced |= features.EIGHTBITMIME
        talk.offered |= announced
        return None

    def _loops_back(self) -> Failure:
        talk, context = self._talk, self._context
        log.warning(f"host {talk.peer.endpoint} replied to HELO/EHLO with my own hostname {self._settings.own_name}")
        status = "5.4.6" if context.best_preference else "4.4.6"
        return local_failure(status, f"mail for {context.nexthop} loops back to myself", throttle=True)

    def _discards(self) -> Flow[tuple[str, ...]]:
        """Keywords that are not to be seen."""
        talk, settings = self._talk, self._settings
        try:
            words: str | None = yield LookUp(Source.DISCARDED_KEYWORDS, talk.peer.address)
        except TableError as error:
            log.warning(
                f"{self._context.queue_id}: {settings.discard_map_name} map lookup error for {talk.peer.address}"
            )
            raise LocalDataError from error
        if words is None:
            words = settings.discard_keywords
        if not words:
            return ()
        names = keywords.discards(words, requiretls=settings.dialect.requiretls)
        if names and names[-1] != keywords.SILENT:
            shown = [settings.dialect.smtputf8_discard_name if name == "SMTPUTF8" else name for name in names]
            log.info(f"discarding EHLO keywords: {settings.dialect.list_separator.join(shown)}")
        return names

    def _read_size(self, rest: str) -> None:
        words = rest.split()
        if not words:
            return
        limit = keywords.size_limit(words[0])
        if limit is None:
            log.warning(f'bad EHLO SIZE limit "{words[0]}" from {self._talk.peer.endpoint}')
        else:
            self._talk.size_limit = limit

    def _read_mechanisms(self, offered: str) -> Flow[None]:
        """One AUTH keyword (SASL chapter 4)."""
        words: str = yield FilterMechanisms(offered)
        if not words.strip():
            if not self.mechanisms:
                endpoint = self._talk.peer.endpoint
                if offered.strip():
                    log.warning(f"{endpoint} offered no supported AUTH mechanisms: '{offered}'")
                else:
                    log.warning(f"{endpoint} offered null AUTH mechanism list")
        elif not self.mechanisms:
            self.mechanisms = words
        elif words.lower() != self.mechanisms.lower() and len(self.mechanisms) < _MECHANISM_LIST_BOUND:
            self.mechanisms += " " + words

    # TLS

    def _wrapper(self) -> Flow[Failure | None]:
        if not self._context.tls_available:
            return self._no_engine()
        self._talk.begin_stage(self._settings.limits.starttls)
        self._talk.phase = _STARTTLS
        return (yield from self._start_layer())

    def _starttls(self) -> Flow[Failure | None]:
        talk, context, settings = self._talk, self._context, self._settings
        is_offered = bool(talk.offered & features.STARTTLS)
        if context.tls <= TlsNeed.NONE:
            if is_offered and settings.note_starttls_offer:
                log.info(f"Host offered STARTTLS: [{talk.peer.name}]")
            return None
        must_start = context.requiretls >= RequireTls.OPPORTUNISTIC_STARTTLS
        if not is_offered:
            host = talk.peer.host
            talk.starttls = StartTls.NOT_OFFERED
            if must_start:
                return _no_requiretls(
                    "5.7.30", f"Sender requested REQUIRETLS, but TLS service was not offered by host {host}"
                )
            if context.tls >= TlsNeed.ENCRYPT:
                return local_failure("4.7.4", f"TLS is required, but was not offered by host {host}", throttle=True)
            return None
        if not context.tls_available:
            no_engine = self._no_engine()
            return no_engine if context.tls >= TlsNeed.ENCRYPT or must_start else None
        talk.begin_stage(settings.limits.starttls)
        talk.phase = _STARTTLS
        talk.command("STARTTLS")
        reply = yield from talk.reply()
        if reply.kind != 2:
            return self._starttls_refused(reply, must_start)
        # Nothing learned in plaintext counts inside TLS, except, in Postfix, the SIZE limit.
        talk.offered &= features.BEST_MX
        self.mechanisms = ""
        talk.forget_input()
        failure = yield from self._start_layer()
        if failure is not None:
            return failure
        talk.offered |= features.ESMTP
        talk.begin_stage(settings.limits.helo)
        return (yield from self._hello())

    def _starttls_refused(self, reply: Reply, must_start: bool) -> Failure | None:
        host = self._talk.peer.host
        self._talk.starttls = StartTls.REFUSED
        if must_start:
            return _no_requiretls(
                "5.7.10", f"Sender requested REQUIRETLS, but host {host} refused to start TLS: {reply.line}"
            )
        if self._context.tls >= TlsNeed.ENCRYPT:
            reason = f"TLS is required, but host {host} refused to start TLS: {reply.line}"
            return self._talk.refusal(reply, reason, throttle=True)
        return None

    def _no_engine(self) -> Failure:
        self._talk.starttls = StartTls.UNAVAILABLE
        return local_failure("4.7.5", "TLS is required, but our TLS engine is unavailable", throttle=True)

    def _start_layer(self) -> Flow[Failure | None]:
        talk, context = self._talk, self._context
        info: TlsInfo | None = yield Need.TLS
        if info is None:
            talk.is_broken = True
            talk.starttls = StartTls.FAILED
            is_optional = context.tls is TlsNeed.MAY
            return Failure(
                Dsn("4.7.5", "Cannot start TLS: handshake failure"),
                throttle=not is_optional,
                retry_plaintext=is_optional and context.plaintext_retry,
            )
        talk.inside_tls = True
        talk.starttls = StartTls.ESTABLISHED
        if context.requiretls is RequireTls.ENFORCE and not info.is_matched:
            kind = "matching" if info.is_trusted else "trusted"
            return _no_requiretls(
                "5.7.10",
                f"Sender requested REQUIRETLS, but no {kind} server certificate was found. "
                f"The last attempted server was {talk.peer.host}",
            )
        if context.tls is TlsNeed.MATCH and info.must_match and not info.is_matched:
            return local_failure("4.7.5", "Server certificate not verified", throttle=True)
        return None


def _no_requiretls(status: str, reason: str) -> Failure:
    return Failure(Dsn(status, reason), soft_unless_final=True)
