"""The parameters of an LDAP table (tables chapter 14)."""

from dataclasses import dataclass, field

from postfix_smtp import log
from postfix_smtp.config.lists import split
from postfix_smtp.errors import FatalError
from postfix_smtp.tables.parameter_file import TableParameters

_SCOPES = {"base": 0, "one": 1, "sub": 2}
_BINDS = {"yes": "simple", "simple": "simple", "no": "none", "none": "none", "sasl": "sasl"}
_NEED_VERSION_3 = ("ldaps:", "ldapi:")
_HIGHEST_VERSION = 3
_TLS_FILES = {
    "tls_ca_cert_file": "OPT_X_TLS_CACERTFILE",
    "tls_ca_cert_dir": "OPT_X_TLS_CACERTDIR",
    "tls_cert": "OPT_X_TLS_CERTFILE",
    "tls_key": "OPT_X_TLS_KEYFILE",
    "tls_random_file": "OPT_X_TLS_RANDOM_FILE",
    "tls_cipher_suite": "OPT_X_TLS_CIPHER_SUITE",
}


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """How to reach a server, what to ask for, and what to make of it.

    Attributes:
        servers: URLs, separated by blanks.
        timeout: of connecting and of a search, in seconds.
        size_limit: entries that a search may find, 0 for no limit.
        bind: ``simple``, ``none`` or ``sasl``.
        ordinary: and `special`, `terminal`, `leaf`: names of attributes in lower case.
        attributes: all names, as they are asked for.
        tls: value by option of the library.
    """

    servers: str
    version: int
    timeout: int
    scope: int
    size_limit: int
    recursion_limit: int
    dereference: int
    chase_referrals: bool
    bind: str
    bind_dn: str
    bind_password: str
    sasl_mechanisms: str
    sasl_realm: str
    sasl_authorization: str
    sasl_min_ssf: int
    start_tls: bool
    tls_require_certificate: bool
    tls: dict[str, str]
    ordinary: frozenset[str]
    special: frozenset[str]
    terminal: frozenset[str]
    leaf: frozenset[str]
    attributes: list[str] = field(default_factory=list)


def read_settings(parameters: TableParameters) -> LdapSettings:
    """Read them; what is not known is warned about.

    Raises:
        FatalError: a parameter is wrong.
    """
    name = parameters.name
    servers = _urls(parameters.text("server_host", "localhost", 1), parameters.number("server_port", 389))
    start_tls = parameters.flag("start_tls", default=False)
    version = parameters.number("version", 2)
    if version > _HIGHEST_VERSION or version < 2:
        log.warning(f"dict_ldap_open: {name} Unknown version {version}, using {_HIGHEST_VERSION}.")
        version = _HIGHEST_VERSION
    bind = _bind(parameters)
    if start_tls or bind == "sasl" or any(url.startswith(_NEED_VERSION_3) for url in servers):
        version = _HIGHEST_VERSION
    scope = parameters.text("scope", "sub", 1)
    if scope.lower() not in _SCOPES:
        log.warning(f"dict_ldap_open: {name}: Unrecognized value {scope} specified for scope; using sub")
    lists = {
        kind: split(parameters.text(f"{kind}result_attribute", "maildrop" if not kind else ""))
        for kind in ("", "special_", "terminal_", "leaf_")
    }
    names = {kind: frozenset(attribute.lower() for attribute in found) for kind, found in lists.items()}
    return LdapSettings(
        servers=" ".join(servers),
        version=version,
        timeout=parameters.number("timeout", 10),
        scope=_SCOPES.get(scope.lower(), _SCOPES["sub"]),
        size_limit=parameters.number("size_limit", parameters.number("expansion_limit", 0)),
        recursion_limit=parameters.number("recursion_limit", 1000, 1),
        dereference=parameters.number("dereference", 0),
        chase_referrals=parameters.flag("chase_referrals", default=False),
        bind=bind,
        bind_dn=parameters.text("bind_dn"),
        bind_password=parameters.text("bind_pw"),
        sasl_mechanisms=parameters.text("sasl_mechs"),
        sasl_realm=parameters.text("sasl_realm"),
        sasl_authorization=parameters.text("sasl_authz_id"),
        sasl_min_ssf=parameters.number("sasl_minssf", 0),
        start_tls=start_tls,
        tls_require_certificate=parameters.flag("tls_require_cert", default=False),
        tls=_tls(parameters) if start_tls or any(url.startswith("ldaps:") for url in servers) else {},
        ordinary=names[""],
        special=names["special_"],
        terminal=names["terminal_"],
        leaf=names["leaf_"],
        attributes=[attribute for found in lists.values() for attribute in found],
    )


def _urls(hosts: str, port: int) -> list[str]:
    return [
        host if "://" in host else f"ldap://{host}" if ":" in host else f"ldap://{host}:{port}" for host in split(hosts)
    ]


def _bind(parameters: TableParameters) -> str:
    value = parameters.text("bind", "yes", 1)
    bind = _BINDS.get(value.lower())
    if bind is None:
        raise FatalError(f"{parameters.name}: unsupported parameter value: bind = {value}")
    return bind


def _tls(parameters: TableParameters) -> dict[str, str]:
    given = {option: parameters.text(name) for name, option in _TLS_FILES.items()}
    return {option: value for option, value in given.items() if value}
