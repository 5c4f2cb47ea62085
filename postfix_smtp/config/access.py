"""How a room reads the parameters it needs, once, to build its settings."""

import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from postfix_smtp.config.interfaces import Interface


class Parameters(Protocol):
    """Evaluated parameters.

    Names are always the smtp(8) spelling (``smtp_helo_name``); in a process that runs as ``lmtp`` they give the value
    of the lmtp parameter that takes its place (``lmtp_lhlo_name``), see config chapter 10.
    """

    @property
    def program(self) -> str:
        """``smtp`` or ``lmtp``: the process name, which selects protocol and parameter names."""

    @property
    def service(self) -> str:
        """master.cf service name (``-n``, else the process name)."""

    @property
    def version(self) -> tuple[int, ...]:
        """Version of the installed Postfix, (3, 7, 11)."""

    @property
    def families(self) -> Sequence[socket.AddressFamily]:
        """Address families that ``inet_protocols`` names and the system has."""

    @property
    def interfaces(self) -> "Sequence[Interface]":
        """The own addresses (``inet_interfaces``)."""

    @property
    def known_ports(self) -> Mapping[str, str]:
        """Port by service name, from ``known_tcp_ports``."""

    def text(self, name: str) -> str:
        """An expanded string parameter."""

    def number(self, name: str) -> int:
        """An integer parameter."""

    def seconds(self, name: str) -> int:
        """A time parameter, in seconds."""

    def flag(self, name: str) -> bool:
        """A yes/no parameter."""

    def spelling(self, name: str) -> str:
        """The name as this program spells it, for log lines: ``lmtp_lhlo_name`` for ``smtp_helo_name`` in lmtp."""
