"""What SASL needs to know from main.cf."""

from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.errors import FatalError

#: Channel bindings there are (RFC 5929, RFC 9266).
BINDINGS = ("tls-exporter", "tls-unique", "tls-server-end-point")
_DELIMITER_SINCE = (3, 9)


@dataclass(frozen=True, slots=True)
class SaslSettings:
    """Parameters of authentication (SASL chapter 1).

    Attributes:
        passwords: ``smtp_sasl_password_maps``.
        delimiter: between user name and password in a table's value.
        sender_dependent: the sender's address is looked up first; never in LMTP.
        mechanism_filter: match list of mechanism names.
        plaintext_options, tls_options, verified_options: security options of a session without TLS, with it, and with
            a certificate that matched.
        authorize: the user name is sent as authorisation identity.
        soft_bounce: refused credentials are a temporary problem.
        cache_name, cache_seconds: table of refused credentials, and how long they count.
        bindings: kinds of channel binding to use, best first; empty: none, as in Postfix.
    """

    program: str
    passwords: str
    delimiter: str
    sender_dependent: bool
    mechanism_filter: str
    plaintext_options: str
    tls_options: str
    verified_options: str
    authorize: bool
    soft_bounce: bool
    cache_name: str
    cache_seconds: int
    bindings: tuple[str, ...]

    @classmethod
    def from_parameters(cls, p: Parameters) -> "SaslSettings":
        """Read the parameters.

        Raises:
            FatalError: no password table, a kind of SASL that does not exist, a bad name for the cache.
        """
        passwords = p.text("smtp_sasl_password_maps")
        if not passwords:
            name = p.spelling("smtp_sasl_password_maps")
            raise FatalError(f"specify a password table via the `{name}' configuration parameter")
        implementation = p.text("smtp_sasl_type")
        if implementation != "cyrus":
            log.warning(f"unsupported SASL client implementation: {implementation}")
            raise FatalError("SASL library initialization")
        bindings = tuple(p.text("smtp_sasl_channel_bindings").lower().replace(",", " ").split())
        for binding in bindings:
            if binding not in BINDINGS:
                name = p.spelling("smtp_sasl_channel_bindings")
                raise FatalError(f"{name}: no such channel binding: {binding}; specify {', '.join(BINDINGS)}")
        cache_name = p.text("smtp_sasl_auth_cache_name")
        if cache_name:
            if not cache_name.startswith("proxy:"):
                raise FatalError(f'SASL authentication cache name "{cache_name}" must start with "proxy:')
            if any(separator in cache_name for separator in ", \t\r\n"):
                raise FatalError(f'SASL authentication cache name "{cache_name}" contains multiple values')
        return cls(
            program=p.program,
            passwords=passwords,
            delimiter=p.text("smtp_sasl_password_result_delimiter")[:1] if p.version >= _DELIMITER_SINCE else ":",
            sender_dependent=p.program == "smtp" and p.flag("smtp_sender_dependent_authentication"),
            mechanism_filter=p.text("smtp_sasl_mechanism_filter"),
            plaintext_options=p.text("smtp_sasl_security_options"),
            tls_options=p.text("smtp_sasl_tls_security_options"),
            verified_options=p.text("smtp_sasl_tls_verified_security_options"),
            authorize=p.flag("send_cyrus_sasl_authzid"),
            soft_bounce=p.flag("smtp_sasl_auth_soft_bounce"),
            cache_name=cache_name,
            cache_seconds=p.seconds("smtp_sasl_auth_cache_time"),
            bindings=bindings,
        )
