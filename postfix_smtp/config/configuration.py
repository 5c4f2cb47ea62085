"""The configuration of one process (config chapters 1, 3, 4, 8 and 13).

A start goes through it step by step, because options come after main.cf and logging restarts in between::

    configuration = Configuration.load(directory, "smtp")   # main.cf is read
    configuration.override("myhostname = mail.example.com") # each -o
    configuration.set_service("relay")                      # -n, else the program's name
    configuration.evaluate_global()                         # and the checks; then logging restarts
    configuration.evaluate_program()
    configuration.evaluate_tls_library()                    # if TLS is initialised

The order is visible from outside: ``$name`` sees what main.cf and ``-o`` say, and of other parameters only those that
were evaluated before.
"""

import os
import socket
import sys
from collections.abc import Callable

from postfix_smtp.config import checks, values
from postfix_smtp.config.expand import compatibility_level, expand
from postfix_smtp.config.installation import Installation
from postfix_smtp.config.interfaces import Interface, addresses_of, families, is_available, networks, own_interfaces
from postfix_smtp.config.lines import split_assignment
from postfix_smtp.config.lists import mask
from postfix_smtp.config.main_cf import parse, read
from postfix_smtp.config.ports import known_ports
from postfix_smtp.config.registry import GLOBAL, PROGRAM, TLS, Parameter, parameters
from postfix_smtp.errors import FatalError

_FUNCTIONS_SINCE = (3, 11)
_PROTOCOLS = frozenset(("ipv4", "ipv6", "all"))
_STYLES = frozenset(("class", "subnet", "host"))


class Configuration:
    """Evaluated parameters; implements :class:`postfix_smtp.config.access.Parameters`.

    Attributes:
        directory: where main.cf lies, whatever main.cf says.
        program: the process name.
        service: service name.
        installation: the Postfix this process belongs to.
        version: its version, (3, 7, 11).
        known_ports: port by service name, from ``known_tcp_ports``.
        families: address families that ``inet_protocols`` names and the system has.
        interfaces: the own addresses.
    """

    def __init__(self, directory: str, program: str, installation: Installation) -> None:
        self.directory = directory
        self.program = program
        self.service = program
        self.installation = installation
        self.version = installation.version
        self.known_ports: dict[str, str] = {}
        self.interfaces: list[Interface] = []
        self.families: tuple[socket.AddressFamily, ...] = ()
        self._functions = self.version >= _FUNCTIONS_SINCE
        self._dictionary = {"process_name": program, "config_directory": directory}
        self._set: frozenset[str] = frozenset()
        self._values: dict[str, str | int | bool] = {"process_name": program, "config_directory": directory}
        self._registry = parameters(program, self.version)
        self._spellings = {row.name: row.spelling for row in self._registry}
        self._evaluate_neutral()

    @classmethod
    def load(
        cls,
        directory: str | None,
        program: str,
        *,
        installation: Installation | None = None,
    ) -> "Configuration":
        """Read main.cf.

        Args:
            directory: of main.cf; None: the one built into Postfix.
            program: process name, ``smtp`` or ``lmtp``; another one gets lmtp's parameters and is the caller's affair.
            installation: of Postfix; by default it is looked for, beginning beside the running executable.

        Raises:
            FatalError: main.cf cannot be read or has an error.
        """
        installation = installation or Installation.find(os.path.dirname(os.path.abspath(sys.argv[0])))
        if directory is None:
            directory = installation.constants["config_directory"]
        configuration = cls(directory, program, installation)
        path = configuration.path
        parse(read(path), path, configuration._dictionary, configuration.version)
        return configuration

    @property
    def path(self) -> str:
        """The path of main.cf."""
        return f"{self.directory}/main.cf"

    # Settings from the command line

    def override(self, argument: str) -> None:
        """Let ``name = value`` replace what main.cf says.

        Raises:
            FatalError: `argument` has another form.
        """
        setting = split_assignment(argument)
        if isinstance(setting, str):
            raise FatalError(f'invalid "-o {argument}" option value: {setting}')
        self._dictionary[setting[0]] = setting[1]

    def set_service(self, name: str) -> None:
        """Set the service name, which nothing else can override. After this no setting may change."""
        self.service = self._dictionary["service_name"] = name
        self._set = frozenset(self._dictionary)

    # Evaluation

    def evaluate_global(self, know_utf8: Callable[[bool], None] = lambda _: None) -> None:
        """Evaluate the parameters that all of Postfix's programs share, and check them.

        Args:
            know_utf8: is told ``smtputf8_enable`` as soon as it counts: from then on UTF-8 may appear in log lines.

        Raises:
            FatalError: the first error, in Postfix's order.
        """

        def before_myhostname() -> None:
            know_utf8(self.flag("smtputf8_enable"))
            self._know_ports_and_protocols()

        before: dict[str, Callable[[], None]] = {
            "mail_version": self._check_level,
            "daemon_table_open_error_is_fatal": lambda: checks.check_facility(self, self.path),
            "myhostname": before_myhostname,
            "mail_name": lambda: checks.check_hostnames(self, self.path),
            "default_process_limit": self._read_origin,
        }
        for row in self._registry:
            if row.stage == GLOBAL:
                if row.name in before:
                    before[row.name]()
                if row.name != "mynetworks":
                    self._evaluate(row)
        checks.check_accounts(self, self.path)
        checks.check_log_permissions(self)
        self._know_addresses()
        checks.check_names(self)
        checks.check_verp_delimiters(self, self.path)
        checks.check_migration_level(self)
        checks.check_log_file(self)
        self._dictionary["process_id"] = str(os.getpid())
        self._values["process_id"] = os.getpid()

    def evaluate_program(self) -> None:
        """Evaluate the parameters of smtp(8) or lmtp(8), and this program's own.

        Raises:
            FatalError: the first error.
        """
        self._evaluate_stage(PROGRAM)

    def evaluate_tls_library(self) -> None:
        """Evaluate the parameters that only TLS needs. Their values are undefined before.

        Raises:
            FatalError: the first error.
        """
        self._evaluate_stage(TLS)

    def _evaluate_stage(self, stage: str) -> None:
        for row in self._registry:
            if row.stage == stage:
                self._evaluate(row)

    def _evaluate(self, row: Parameter) -> None:
        name, spelling, kind, default, minimum, maximum, unit, _ = row
        text = self._dictionary.get(spelling)
        if text is None:
            text = self._default(name, spelling, default)
            if kind == "str" and "$" in text:
                text = self.expand(text)
            self._dictionary[spelling] = text
        elif "$" in text and kind == "str":
            text = self.expand(text)
        match kind:
            case "str":
                if minimum or maximum:
                    values.checked_text(spelling, text, minimum, maximum)
                self._values[name] = text
            case "time":
                self._values[name] = values.seconds(spelling, self.expand(text), unit, minimum, maximum)
            case "int":
                self._values[name] = values.number(spelling, self.expand(text), minimum, maximum)
            case "long":
                self._values[name] = values.long_number(spelling, self.expand(text), minimum, maximum)
            case _:
                self._values[name] = values.flag(spelling, self.expand(text))

    def _default(self, name: str, spelling: str, default: str) -> str:
        if spelling in self.installation.constants:
            return self.installation.constants[spelling]
        if default[:1] == "(":
            match name:
                case "myhostname":
                    return self._default_hostname()
                case "mydomain":
                    _, dot, domain = self.text("myhostname").partition(".")
                    return domain if dot else "localdomain"
        return default

    def _default_hostname(self) -> str:
        hostname = socket.gethostname()
        if "." in hostname:
            return hostname
        domain = self.raw("mydomain")
        return f"{hostname}.{self.expand(domain)}" if domain is not None else f"{hostname}.localdomain"

    def _evaluate_neutral(self) -> None:
        """Give parameters that this program or this release does not have the value of a feature that is off."""
        for row in self._registry:
            if row.stage:
                continue
            match row.kind:
                case "bool" | "nbool":
                    self._values[row.name] = False
                case "str":
                    self._values[row.name] = "" if "$" in row.default or row.spelling == "-" else row.default
                case "time":
                    self._values[row.name] = values.seconds(row.name, row.default, row.unit)
                case _:
                    self._values[row.name] = int(row.default)

    # Checks in between

    def _check_level(self) -> None:
        try:
            compatibility_level(self.text("compatibility_level"))
        except ValueError as trouble:
            raise FatalError(str(trouble)) from None

    def _know_ports_and_protocols(self) -> None:
        self.known_ports = known_ports(self.text("known_tcp_ports"))
        chosen = families(mask("inet_protocols", self.text("inet_protocols"), _PROTOCOLS))
        self.families = tuple(family for family in chosen if is_available(family))

    def _read_origin(self) -> None:
        origin = self.text("myorigin")
        if origin.startswith("/") and self.installation.myorigin_may_name_a_file:
            self._values["myorigin"] = checks.origin_from_file(origin)

    def _know_addresses(self) -> None:
        """List the own addresses and evaluate ``mynetworks``, whose default comes from them."""
        row = next(row for row in self._registry if row.name == "mynetworks")
        if "mynetworks" in self._dictionary:
            self._evaluate(row)
            self.interfaces = self._own_interfaces()
            return
        style = self.text("mynetworks_style")
        styles = mask("mynetworks mask style", style, _STYLES) if self.families else frozenset()
        if len(styles) != 1 and self.families:
            raise FatalError(f"bad mynetworks_style value: {style}; specify exactly one value")
        self.interfaces = self._own_interfaces()
        self._dictionary["mynetworks"] = networks(self.interfaces, "".join(styles))
        self._evaluate(row)

    def _own_interfaces(self) -> list[Interface]:
        return own_interfaces(self.text("inet_interfaces"), self.families)

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """The addresses of ``inet_interfaces``, in their order."""
        return tuple(interface.address for interface in self.interfaces)

    def proxy_addresses(self) -> tuple[str, ...]:
        """The addresses of ``proxy_interfaces``. They are looked up now: ask once, when first needed.

        Raises:
            FatalError: a name has no address.
        """
        if not self.families:
            return ()
        return tuple(addresses_of("proxy_interfaces", self.text("proxy_interfaces"), self.families))

    # Reading

    def text(self, name: str) -> str:
        """An expanded string parameter."""
        return self._values[name]  # type: ignore[return-value]

    def number(self, name: str) -> int:
        """An integer parameter."""
        return self._values[name]  # type: ignore[return-value]

    def seconds(self, name: str) -> int:
        """A time parameter, in seconds."""
        return self._values[name]  # type: ignore[return-value]

    def flag(self, name: str) -> bool:
        """A yes/no parameter."""
        return self._values[name]  # type: ignore[return-value]

    def spelling(self, name: str) -> str:
        """The name as this program spells it."""
        return self._spellings.get(name, name)

    def is_set(self, name: str) -> bool:
        """Whether main.cf or an option sets the parameter (canonical name)."""
        return self.spelling(name) in self._set

    def raw(self, name: str) -> str | None:
        """The unexpanded text behind ``$name``, for any name."""
        return self._dictionary.get(name)

    def expand(self, text: str) -> str:
        """Expand ``$name`` in `text` as in a parameter value.

        Raises:
            FatalError: bad syntax.
        """
        if "$" not in text:
            return text
        return expand(text, self._dictionary.get, functions=self._functions)
