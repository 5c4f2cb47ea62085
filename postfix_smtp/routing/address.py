"""What routing hands to the delivery agent."""

from dataclasses import dataclass

from postfix_smtp.dsn import Dsn


@dataclass(frozen=True, slots=True)
class Address:
    """One address to try.

    Attributes:
        host: server name for log lines and policies.
        address: numeric address.
        preference: of the MX or SRV record, 0 otherwise.
        port: TCP port.
        from_mx: the host comes from an MX or SRV answer.
        mx_secure: that answer was validated.
        mx_owner: owner name of the MX records that named the host, empty if none did.
        secure: the address record was validated.
        query: the host name that was asked for; equal to `owner` unless there was an alias.
        owner: owner name of the address record; empty for a numeric destination and native look-ups.
    """

    host: str
    address: str
    preference: int
    port: int
    from_mx: bool = False
    mx_secure: bool = False
    mx_owner: str = ""
    secure: bool = False
    query: str = ""
    owner: str = ""

    @property
    def is_ipv6(self) -> bool:
        """The address family."""
        return ":" in self.address


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of one destination.

    Attributes:
        addresses: in the order to try; empty if there is a failure.
        failure: why there are none.
        is_last: an own address was found: no further destination, no fallback relay is tried (delivery chapter 6).
    """

    addresses: tuple[Address, ...] = ()
    failure: Dsn | None = None
    is_last: bool = False
