"""``smtp_requiretls_policy``: how seriously REQUIRETLS is taken, by next-hop (3.11; TLS chapter 8.4)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.routing import names
from postfix_smtp.smtp.context import RequireTls
from postfix_smtp.tables.base import Table, TableFlags

if TYPE_CHECKING:
    from postfix_smtp.tables.opening import Opener

_FLAGS = TableFlags.LOCK | TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
_ACTIONS = {
    "enforce": RequireTls.ENFORCE,
    "opportunistic+starttls": RequireTls.OPPORTUNISTIC_STARTTLS,
    "opportunistic": RequireTls.OPPORTUNISTIC,
    "disable": RequireTls.DISABLE,
    "error": None,
}
_SEPARATORS = ", \t\r\n"


class RequireTlsRules:
    """The policy.

    Args:
        title: parameter name for warnings.
        elements: words, and tables with their names as written.
    """

    def __init__(self, title: str, elements: Sequence[str | tuple[str, Table]]) -> None:
        self._title = title
        self._elements = elements

    @classmethod
    def open(cls, title: str, elements: Sequence[str], opener: "Opener") -> "RequireTlsRules":
        """Open the tables among the elements. Raises FatalError."""
        return cls(title, [(item, opener.open(item, _FLAGS)) if ":" in item else item for item in elements])

    async def find(self, domain: str) -> RequireTls | None:
        """The enforcement for a next-hop domain; None: the policy is an error (logged)."""
        name = names.to_ascii(domain)
        if name is None:
            log.warning(f"{self._title}: malformed next-hop destination: '{domain}' -- using default policy 'enforce'")
            return RequireTls.ENFORCE
        for element in self._elements:
            if isinstance(element, str):
                return self._action(element, self._title, "")
            spec, table = element
            try:
                value = await _look_up(table, name)
            except TableError:
                log.warning(f"{self._title}: {spec}: table lookup error -- ignoring the remainder of this policy")
                return None
            if value is not None:
                return self._result(spec, value)
        return RequireTls.ENFORCE

    def _result(self, spec: str, value: str) -> RequireTls | None:
        if ":" in value:
            log.warning(f'table {spec}: nested lookup result "{value}" is not allowed -- ignoring remainder of policy')
            return None
        if any(char in value for char in _SEPARATORS):
            log.warning(
                f'table {spec}: composite lookup result "{value}" is not allowed -- ignoring remainder of policy'
            )
            return None
        return self._action(value, self._title, f"{spec}: ")

    def _action(self, word: str, title: str, where: str) -> RequireTls | None:
        folded = word.lower()
        if folded not in _ACTIONS:
            log.warning(f"{title}: {where}unknown policy action: '{word}' -- ignoring the remainder of this policy")
            return None
        return _ACTIONS[folded]


async def _look_up(table: Table, name: str) -> str | None:
    keys = [name]
    if not table.pattern and not names.is_address(name):
        position = name.find(".", 1)
        while position >= 0:
            keys.append(name[position:])
            position = name.find(".", position + 1)
    for key in keys:
        if table.local:
            value = table.lookup(key)
        else:
            import asyncio

            value = await asyncio.to_thread(table.lookup, key)
        if value is not None:
            return value
    return None
