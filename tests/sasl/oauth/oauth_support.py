"""Accounts of a test provider."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compat.oauth_endpoint import OAuthEndpoint
from postfix_smtp.sasl.oauth.accounts import Access, Accounts
from postfix_smtp.sasl.oauth.endpoint import Web, no_trust, tls_context
from postfix_smtp.sasl.oauth.renewal import Options
from postfix_smtp.sasl.oauth.storage import Locator


def write(path: Path, members: dict[str, Any]) -> Path:
    """Write a token file."""
    path.write_text(json.dumps(members))
    path.chmod(0o640)
    return path


def load(path: Path) -> dict[str, Any]:
    """Read a token file."""
    members: dict[str, Any] = json.loads(path.read_text())
    return members


def accounts(
    *, seconds: float = 5, ca_file: str = "", defaults: dict[str, Any] | None = None, locator: Locator | None = None
) -> Accounts:
    """What a process has."""
    known = defaults or {}

    def options() -> Options:
        return Options(Web(tls_context(ca_file) if ca_file else no_trust(), seconds), seconds, known)

    return Accounts(locator or Locator(""), known, options)


def access(path: Path, refused: str = "", **settings: Any) -> Access:
    """One token, in an event loop of its own."""
    return asyncio.run(accounts(**settings).access(str(path), refused))


def in_child(work: Callable[[], object]) -> int:
    """Run something in another process; its pid. Its exit status is 0 if it went well."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def exit_status(child: int) -> int:
    """Wait for a process."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def expired(endpoint: OAuthEndpoint, path: Path, **members: Any) -> Path:
    """A token file that must be renewed."""
    return write(path, endpoint.token_file(access_token="ya29.old", expiry="0", **members))
