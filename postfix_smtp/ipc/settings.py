"""Names and time limits of the other Postfix services (ipc chapter 3)."""

from dataclasses import dataclass
from typing import Self

from postfix_smtp.config.access import Parameters


@dataclass(frozen=True, slots=True)
class IpcSettings:
    """Where the services are and how long to wait for them; all times in seconds.

    Attributes:
        bounce: and the others of its kind: service names, as in ``bounce_service_name``.
        timeout: limit of each single wait for a service.
        idle: kept connections are closed when unused for so long...
        ttl: ...or so long after the connect.
        cache_timeout: like `timeout`, for the connection cache.
        version: of the installed Postfix; some attributes are named by it.
    """

    bounce: str = "bounce"
    defer: str = "defer"
    trace: str = "trace"
    flush: str = "flush"
    verify: str = "verify"
    rewrite: str = "rewrite"
    cleanup: str = "cleanup"
    scache: str = "scache"
    tlsmgr: str = "tlsmgr"
    proxymap: str = "proxymap"
    proxywrite: str = "proxywrite"
    timeout: float = 3600
    idle: float = 5
    ttl: float = 1000
    cache_timeout: float = 5
    version: tuple[int, ...] = (3, 7, 11)

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> Self:
        """The settings of a configured process."""
        return cls(
            bounce=parameters.text("bounce_service_name"),
            defer=parameters.text("defer_service_name"),
            trace=parameters.text("trace_service_name"),
            flush=parameters.text("flush_service_name"),
            verify=parameters.text("address_verify_service_name"),
            rewrite=parameters.text("rewrite_service_name"),
            cleanup=parameters.text("cleanup_service_name"),
            scache=parameters.text("connection_cache_service_name"),
            proxymap=parameters.text("proxymap_service_name"),
            proxywrite=parameters.text("proxywrite_service_name"),
            timeout=parameters.seconds("ipc_timeout"),
            idle=parameters.seconds("ipc_idle"),
            ttl=parameters.seconds("ipc_ttl"),
            cache_timeout=parameters.seconds("connection_cache_protocol_timeout"),
            version=parameters.version,
        )

    @property
    def options_name(self) -> str:
        """The attribute that carries SMTPUTF8 and TLS options in requests to other services (ipc chapter 18)."""
        return "sendopts" if self.version >= (3, 10) else "smtputf8"
