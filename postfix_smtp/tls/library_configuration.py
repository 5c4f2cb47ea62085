"""The configuration file of the TLS library, which reads it once, when it is loaded (TLS chapter 1.4).

It is named in the environment; the section of another application than the library's default is brought to its notice
by a copy in memory.
"""

import os
from typing import NoReturn

from postfix_smtp import log
from postfix_smtp.tls.settings import has_feature

_USUAL_CONFIGURATION = "/etc/ssl/openssl.cnf"
_CONFIG_SINCE = ((3, 7, 6), (3, 8, 1), (3, 9))
_DISABLING = "disabling TLS support"


class ConfigurationError(Exception):
    """The file cannot be used: TLS is disabled. Logged."""


def name_configuration(path: str, name: str, version: tuple[int, ...]) -> str | None:
    """Name the file that the library will read; the file, None: the usual one.

    Args:
        path: ``tls_config_file``.
        name: ``tls_config_name``.

    Raises:
        ConfigurationError: it cannot be used; logged.
    """
    if not has_feature(version, *_CONFIG_SINCE) or (path == "default" and not name):
        return None
    if path == "none":
        return _name(os.devnull)
    optional = path == "default"
    if optional:
        path = os.environ.get("OPENSSL_CONF", _USUAL_CONFIGURATION)
    elif not path.startswith("/"):
        log.warning(f"non-default tls_config_file = {path} is not an absolute pathname, {_DISABLING}")
        raise ConfigurationError
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except OSError as error:
        if not optional:
            _configuration_failed(path, name, _missing_file(path, error))
        return None
    sections = _application_sections(lines)
    section = sections.get(name) or (sections.get("openssl_conf") if optional else None) if name else None
    if not name and "openssl_conf" in sections:
        return _name(path)
    if section is not None:
        # The library always takes the application ``openssl_conf``: let it find this name's section there.
        return _name(_pretend(section, lines))
    if not optional:
        wanted = name or "openssl_conf"
        where = "../crypto/unknown:0"
        _configuration_failed(
            path,
            name,
            [f"error:0700006C:configuration file routines::no value:{where}:group=<NULL> name={wanted}:"],
        )
    return None


def _name(path: str) -> str:
    os.environ["OPENSSL_CONF"] = path
    return path


def _application_sections(lines: list[str]) -> dict[str, str]:
    """The settings before the first section: application name -> section."""
    found = {}
    for line in lines:
        text = line.partition("#")[0].strip()
        if text.startswith("["):
            break
        name, equals, value = text.partition("=")
        if equals:
            found[name.strip()] = value.strip()
    return found


def _pretend(section: str, lines: list[str]) -> str:
    """The file with another section for the library's default application."""
    descriptor = os.memfd_create("openssl.cnf", 0)
    text = f"openssl_conf = {section}\n"
    is_top = True
    for line in lines:
        is_top = is_top and not line.lstrip().startswith("[")
        if not (is_top and line.partition("=")[0].strip() == "openssl_conf"):
            text += line
    os.write(descriptor, text.encode("utf-8", "surrogateescape"))
    # Stays open: nobody knows when the library will read it.
    return f"/proc/self/fd/{descriptor}"


def _missing_file(path: str, error: OSError) -> list[str]:
    where = "../crypto/unknown:0"
    number = 0x80000000 | (error.errno or 0)
    return [
        f"error:{number:08X}:system library::{error.strerror}:{where}:calling fopen({path}, rb):",
        f"error:10000080:BIO routines::no such file:{where}:",
        f"error:07000072:configuration file routines::no such file:{where}:",
    ]


def _configuration_failed(path: str, name: str, stack: list[str]) -> NoReturn:
    log.warning(
        f"error loading the '{name or 'global'}' settings from the {path} OpenSSL configuration file, {_DISABLING}"
    )
    for error in stack:
        log.warning(f"TLS library problem: {error}")
    raise ConfigurationError
