"""Evaluated parameters for tests, without the configuration room."""

from pathlib import Path

CONFIG = Path(__file__).parents[2] / "postfix_smtp" / "config"
TABLES = (CONFIG / "parameters.tsv", CONFIG / "own_parameters.tsv")


def _table() -> dict[str, list[str]]:
    lines = (line for table in TABLES for line in table.read_text().splitlines())
    rows = (line.split("\t") for line in lines if line and line[0] != "#")
    return {row[0]: row for row in rows}


_ROWS = _table()
_SPECIAL = {"smtputf8_enable": "yes", "smtp_helo_name": "client.example", "myhostname": "client.example"}


class FakeParameters:
    """Defaults of parameters.tsv and the settings of a vector, without expansion."""

    service = "smtp"

    def __init__(self, program: str, version: tuple[int, ...], settings: dict[str, str]) -> None:
        self.program = program
        self.version = version
        self._settings = settings

    def spelling(self, name: str) -> str:
        if self.program == "smtp":
            return name
        other = _ROWS[name][1]
        return name if other == "=" else other

    def text(self, name: str) -> str:
        row = _ROWS[name]
        spelling = self.spelling(name)
        assert spelling != "-", f"{name} does not exist in {self.program}"
        if spelling in self._settings:
            return self._settings[spelling]
        if name == "smtp_per_request_deadline":
            return self._settings.get("smtp_per_record_deadline", "no")
        if name in _SPECIAL:
            return _SPECIAL[name]
        default = row[3]
        if self.program == "lmtp" and row[4] != "-":
            default = row[4]
        return "" if default == '""' else default.partition(" || ")[0]

    def number(self, name: str) -> int:
        return int(self.text(name))

    def seconds(self, name: str) -> int:
        text = self.text(name)
        scale = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1])
        return int(text) if scale is None else int(text[:-1]) * scale

    def flag(self, name: str) -> bool:
        return self.text(name) == "yes"
