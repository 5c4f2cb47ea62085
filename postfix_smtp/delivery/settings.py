"""What the delivery agent itself needs from main.cf and master.cf."""

from dataclasses import dataclass, replace

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.message.added import DeliveryFlags


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Parameters of the host loop.

    Attributes:
        service: master.cf service name.
        flags: of ``flags=`` in master.cf.
        cache_on_demand: connections are kept when the queue manager asks for it.
        cache_seconds: how long an idle connection is kept.
        sasl_passwords: ``smtp_sasl_password_maps`` is not empty.
        sender_dependent: passwords depend on the sender.
    """

    program: str
    service: str
    version: tuple[int, ...]
    hostname: str
    relayhost: str
    fallback_relays: str
    fallback_name: str
    best_mx_transport: str
    flags: DeliveryFlags
    cache_on_demand: bool
    cache_destinations: str
    cache_seconds: int
    sasl_passwords: bool
    sender_dependent: bool
    minimal_backoff: int
    helpful_warnings: bool
    wrapper_mode: bool

    @classmethod
    def from_parameters(cls, p: Parameters, flags: DeliveryFlags) -> "AgentSettings":
        """Read the parameters and the service's own arguments.

        Args:
            flags: of ``flags=``.
        """
        if p.program == "lmtp" and not flags.final and p.flag("lmtp_assume_final"):
            log.warning(f'lmtp_assume_final is obsolete; instead, specify "flags={flags.letters}X" in master.cf')
            flags = replace(flags, final=True)
        return cls(
            program=p.program,
            service=p.service,
            version=p.version,
            hostname=p.text("myhostname"),
            relayhost=p.text("relayhost"),
            fallback_relays=p.text("smtp_fallback_relay"),
            fallback_name=p.spelling("smtp_fallback_relay"),
            best_mx_transport=p.text("best_mx_transport"),
            flags=flags,
            cache_on_demand=p.flag("smtp_connection_cache_on_demand"),
            cache_destinations=p.text("smtp_connection_cache_destinations"),
            cache_seconds=p.seconds("smtp_connection_cache_time_limit"),
            sasl_passwords=bool(p.text("smtp_sasl_password_maps")),
            sender_dependent=p.flag("smtp_sender_dependent_authentication"),
            minimal_backoff=p.seconds("minimal_backoff_time"),
            helpful_warnings=p.flag("helpful_warnings"),
            wrapper_mode=p.flag("smtp_tls_wrappermode"),
        )
