"""SASL as the program uses it, with a fake proxywrite service."""

from typing import Any

from fake_parameters import FakeParameters

from postfix_smtp.ipc.proxymap import ProxyReply, ProxyStatus
from postfix_smtp.sasl.authenticator import Sasl
from postfix_smtp.sasl.failure_cache import FailureCache
from postfix_smtp.sasl.opening import open_sasl
from postfix_smtp.tables.opening import Opener, TableSettings


class NoDomains:
    """Nothing is local."""

    def is_local(self, domain: str) -> bool:
        return False


class FakeProxyWrite:
    """A table in memory."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.status = ProxyStatus.OK

    def lookup(self, table: str, key: str, flags: int, instance_flags: int = 0) -> ProxyReply:
        if self.status is not ProxyStatus.OK:
            return ProxyReply(self.status, 0, "")
        found = self.entries.get(key)
        return ProxyReply(ProxyStatus.NOT_FOUND if found is None else ProxyStatus.OK, 0, found or "")

    def update(self, table: str, key: str, value: str, flags: int, instance_flags: int = 0) -> ProxyReply:
        self.entries[key] = value
        return ProxyReply(self.status, 0, "")

    def delete(self, table: str, key: str, flags: int, instance_flags: int = 0) -> ProxyReply:
        known = self.entries.pop(key, None)
        return ProxyReply(ProxyStatus.NOT_FOUND if known is None else self.status, 0, "")


def open_vector_sasl(program: str, version: tuple[int, ...], main_cf: dict[str, str]) -> Sasl:
    """SASL with the settings of a vector."""
    name = f"{program}_sasl_auth_cache_name"
    cached = main_cf.get(name, "")
    parameters: Any = FakeParameters(program, version, {**main_cf, name: ""})
    sasl = open_sasl(parameters, Opener(TableSettings.from_parameters(parameters), parameters), NoDomains)
    if cached:
        client: Any = FakeProxyWrite()
        sasl.cache = FailureCache(client, cached.removeprefix("proxy:"), 90 * 86400)
    return sasl
