"""What the conversation needs to know from main.cf."""

from dataclasses import dataclass

from postfix_smtp.config.access import Parameters
from postfix_smtp.errors import FatalError
from postfix_smtp.smtp.dialect import Dialect
from postfix_smtp.smtp.envelope import ProbeTarget


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Limits of one read or write, or of a whole stage in deadline mode, in seconds (smtp-protocol chapter 15)."""

    helo: int = 300
    starttls: int = 300
    xforward: int = 300
    mail: int = 300
    rcpt: int = 300
    data_init: int = 120
    data_xfer: int = 180
    data_done: int = 600
    rset: int = 20
    quit: int = 300


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Parameters of the conversation.

    Attributes:
        program: ``smtp`` or ``lmtp``, which selects the protocol.
        own_name: ``$myhostname``.
        per_request_deadline: a time limit is a budget for a stage, else for every single read or write.
        min_data_rate: octets a second that earn time back while content is sent in deadline mode.
        discard_map_name: the discard map's parameter as this program spells it.
        reply_filter: ``type:name`` of the table that rewrites reply lines, empty: none.
        utf8: ``smtputf8_enable``.
        keep_transcript: error classes of a session may be reported to the postmaster.
        reuse_time_limit: seconds from the connection's start.
        reuse_count_limit: number of times a connection is used again; 0 is no limit.
    """

    program: str
    dialect: Dialect
    own_name: str
    helo_name: str
    limits: TimeLimits = TimeLimits()
    per_request_deadline: bool = False
    min_data_rate: int = 500
    skip_5xx_greeting: bool = True
    always_send_ehlo: bool = True
    never_send_ehlo: bool = False
    discard_keywords: str = ""
    discard_map_name: str = "smtp_discard_ehlo_keyword_address_maps"
    pix_workarounds: str = "disable_esmtp,delay_dotcrlf"
    pix_threshold: int = 500
    pix_delay: int = 10
    line_length_limit: int = 2048
    utf8: bool = True
    helpful_warnings: bool = True
    reply_filter: str = ""
    skip_quit_response: bool = True
    send_xforward: bool = False
    quote_envelope: bool = True
    send_dummy_auth: bool = False
    auth_soft_bounce: bool = True
    convert_8bit: bool = True
    note_starttls_offer: bool = False
    keep_transcript: bool = False
    reuse_time_limit: int = 300
    reuse_count_limit: int = 0
    probe_target: ProbeTarget = ProbeTarget.RCPT

    @property
    def is_lmtp(self) -> bool:
        """LHLO instead of EHLO, one reply per recipient after the end of data."""
        return self.program == "lmtp"

    @classmethod
    def from_parameters(cls, p: Parameters) -> "SmtpSettings":
        """Read the parameters.

        Raises:
            FatalError: ``smtp_address_verify_target`` names no protocol stage.
        """
        target = p.text("smtp_address_verify_target")
        if target.lower() not in tuple(ProbeTarget):
            name = p.spelling("smtp_address_verify_target")
            raise FatalError(f'bad protocol stage: "{name} = {target}"')
        is_smtp = p.program == "smtp"
        notices = p.text("notify_classes").lower().replace(",", " ").split()
        return cls(
            program=p.program,
            dialect=Dialect.of(p.version),
            own_name=p.text("myhostname"),
            helo_name=p.text("smtp_helo_name"),
            limits=TimeLimits(
                helo=p.seconds("smtp_helo_timeout"),
                starttls=p.seconds("smtp_starttls_timeout"),
                xforward=p.seconds("smtp_xforward_timeout"),
                mail=p.seconds("smtp_mail_timeout"),
                rcpt=p.seconds("smtp_rcpt_timeout"),
                data_init=p.seconds("smtp_data_init_timeout"),
                data_xfer=p.seconds("smtp_data_xfer_timeout"),
                data_done=p.seconds("smtp_data_done_timeout"),
                rset=p.seconds("smtp_rset_timeout"),
                quit=p.seconds("smtp_quit_timeout"),
            ),
            per_request_deadline=p.flag("smtp_per_request_deadline"),
            min_data_rate=p.number("smtp_min_data_rate"),
            skip_5xx_greeting=p.flag("smtp_skip_5xx_greeting"),
            always_send_ehlo=p.flag("smtp_always_send_ehlo") if is_smtp else True,
            never_send_ehlo=p.flag("smtp_never_send_ehlo") if is_smtp else False,
            discard_keywords=p.text("smtp_discard_ehlo_keywords"),
            discard_map_name=p.spelling("smtp_discard_ehlo_keyword_address_maps"),
            pix_workarounds=p.text("smtp_pix_workarounds"),
            pix_threshold=p.seconds("smtp_pix_workaround_threshold_time"),
            pix_delay=p.seconds("smtp_pix_workaround_delay_time"),
            line_length_limit=p.number("line_length_limit"),
            utf8=p.flag("smtputf8_enable"),
            helpful_warnings=p.flag("helpful_warnings"),
            reply_filter=p.text("smtp_reply_filter"),
            skip_quit_response=p.flag("smtp_skip_quit_response"),
            send_xforward=p.flag("smtp_send_xforward_command"),
            quote_envelope=p.flag("smtp_quote_rfc821_envelope"),
            send_dummy_auth=p.flag("smtp_send_dummy_mail_auth"),
            auth_soft_bounce=p.flag("smtp_sasl_auth_soft_bounce"),
            convert_8bit=not p.flag("disable_mime_output_conversion"),
            note_starttls_offer=p.flag("smtp_tls_note_starttls_offer"),
            keep_transcript="protocol" in notices or "data" in notices,
            reuse_time_limit=p.seconds("smtp_connection_reuse_time_limit"),
            reuse_count_limit=p.number("smtp_connection_reuse_count_limit"),
            probe_target=ProbeTarget(target.lower()),
        )
