"""What OAuth2 needs before the jail: modules, the folder of token files, certificates, the plug-in's defaults."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.sasl.oauth.accounts import Accounts
from postfix_smtp.sasl.oauth.storage import Locator

if TYPE_CHECKING:
    from postfix_smtp.sasl.oauth.renewal import Options

#: The defaults of the sasl-xoauth2 plug-in.
PLUGIN_DEFAULTS = "/etc/sasl-xoauth2.conf"
_FROM_PLUGIN = ("client_id", "client_secret", "token_endpoint", "proxy", "scope")


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """Parameters of OAuth2.

    Attributes:
        folder: of token files that stay reachable in a jail; empty: none.
        ca_file: trusted authorities; empty: those of the system.
        seconds: time limit of a renewal.
    """

    queue_directory: str
    folder: str
    ca_file: str
    seconds: int
    mechanism_filter: str

    @classmethod
    def from_parameters(cls, p: Parameters) -> "OAuthSettings":
        """Read the parameters."""
        return cls(
            queue_directory=p.text("queue_directory"),
            folder=p.text("smtp_sasl_oauth_directory"),
            ca_file=p.text("smtp_sasl_oauth_CAfile"),
            seconds=p.seconds("smtp_sasl_oauth_timeout"),
            mechanism_filter=p.text("smtp_sasl_mechanism_filter"),
        )


def open_accounts(settings: OAuthSettings) -> Accounts:
    """Open what can only be opened now.

    Certificates and modules take some megabytes, so they are loaded early only if something speaks for OAuth2: a folder
    of token files, the plug-in's defaults, or a mechanism filter with one of its mechanisms. Otherwise they are
    loaded when a password first names a token file, which works outside a jail only.
    """
    folder = _open_folder(settings.folder)
    raw, defaults = plugin_defaults()
    make_options = options_maker(settings, raw, defaults)
    words = settings.mechanism_filter.lower()
    if folder is not None or raw or "xoauth2" in words or "oauthbearer" in words:
        options = make_options()
        _warm_up()
        make_options = lambda: options  # noqa: E731
    locator = Locator(settings.queue_directory, settings.folder, folder)
    return Accounts(locator, defaults, make_options)


def plugin_defaults(path: str = PLUGIN_DEFAULTS) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plug-in's system-wide file, and those of its members that token files may leave out."""
    raw = _read_defaults(path)
    return raw, {name: raw[name] for name in _FROM_PLUGIN if raw.get(name)}


def options_maker(
    settings: OAuthSettings, raw: Mapping[str, Any], defaults: Mapping[str, Any]
) -> "Callable[[], Options]":
    """The means of renewal, made when they are needed."""

    def make() -> "Options":
        from postfix_smtp.sasl.oauth.endpoint import Web, no_trust, tls_context
        from postfix_smtp.sasl.oauth.errors import TokenError
        from postfix_smtp.sasl.oauth.renewal import Options

        try:
            context = tls_context(
                settings.ca_file or str(raw.get("ca_bundle_file") or ""), str(raw.get("ca_certs_dir") or "")
            )
        except TokenError as failure:
            log.warning(f"OAuth2: {failure.reason}; token endpoints cannot be verified")
            context = no_trust()
        return Options(Web(context, settings.seconds), settings.seconds, defaults)

    return make


def _open_folder(path: str) -> int | None:
    if not path:
        return None
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as failure:
        log.warning(f"open {path}: {failure.strerror}")
        return None


def _read_defaults(path: str) -> dict[str, Any]:
    """The plug-in's system-wide file; empty if there is none."""
    try:
        with open(path, "rb") as file:
            values = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as failure:
        log.warning(f"{path}: {getattr(failure, 'strerror', None) or 'is no JSON'}")
        return {}
    return values if isinstance(values, dict) else {}


def _warm_up() -> None:
    """Load what Python and the C library load at their first use."""
    import socket
    import unicodedata  # noqa: F401

    "localhost".encode("idna")
    try:
        socket.getaddrinfo("localhost", 443, type=socket.SOCK_STREAM)
    except OSError:
        return
