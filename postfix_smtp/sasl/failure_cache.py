"""The cache of refused credentials, a table behind the proxywrite service (SASL chapter 9)."""

import asyncio
import base64
import hashlib
import re
import time
from typing import TYPE_CHECKING

from postfix_smtp import log
from postfix_smtp.ipc.proxymap import ProxyStatus
from postfix_smtp.sasl.passwords import Credentials
from postfix_smtp.smtp.reply import Reply
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.text import to_octets

if TYPE_CHECKING:
    from postfix_smtp.ipc.proxymap import ProxyMapClient

FLAGS = TableFlags.DUP_REPLACE | TableFlags.SYNC_UPDATE | TableFlags.UTF8_REQUEST
#: The only reply that says that it is the credentials.
REFUSED = 535
_ENTRY = re.compile(r"([0-9]+);([^;]*);([^;]*);([^\n]*)")
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\Z")
_SHOWN = 100


class FailureCache:
    """Remembers who was refused where, and with which password.

    Args:
        client: of the proxywrite service.
        name: ``type:name`` of the table, without ``proxy:``.
        seconds: how long an entry counts.
        instance_flags: what the service answered when the table was opened (3.11).
    """

    def __init__(self, client: "ProxyMapClient", name: str, seconds: int, instance_flags: int = 0) -> None:
        self._client = client
        self._name = name
        self._seconds = seconds
        self._instance_flags = instance_flags

    async def find(self, host: str, credentials: Credentials) -> tuple[str, str] | None:
        """The status code and the first line of the reply with which these credentials were refused, if they were."""
        return await asyncio.to_thread(self._find, host, credentials)

    async def add(self, host: str, credentials: Credentials, reply: Reply) -> None:
        """Remember a refusal."""
        value = f"{int(time.time())};{_hash(credentials)};{reply.status};{reply.text}"
        await asyncio.to_thread(
            self._client.update, self._name, _key(host, credentials), value, int(FLAGS), self._instance_flags
        )

    def _find(self, host: str, credentials: Credentials) -> tuple[str, str] | None:
        key = _key(host, credentials)
        reply = self._client.lookup(self._name, key, int(FLAGS), self._instance_flags)
        if reply.status is ProxyStatus.NOT_FOUND:
            return None
        if reply.status is not ProxyStatus.OK:
            log.warning(f"SASL auth failure map proxy:{self._name}: lookup failed for {key}")
            return None
        found = _ENTRY.match(reply.value)
        if found is None or not _STATUS.match(found[3]):
            log.warning(f"bad smtp_sasl_auth_cache entry: {reply.value[:_SHOWN]}")
        elif int(found[1]) + self._seconds >= time.time() and found[2] == _hash(credentials):
            return found[3], found[4]
        status = self._client.delete(self._name, key, int(FLAGS), self._instance_flags).status
        if status is not ProxyStatus.OK:
            log.warning(f"SASL auth failure map proxy:{self._name}: entry not deleted: {key}")
        return None


def _key(host: str, credentials: Credentials) -> str:
    return f"{host};{credentials.user}"


def _hash(credentials: Credentials) -> str:
    digest = hashlib.sha1(to_octets(credentials.password), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")
