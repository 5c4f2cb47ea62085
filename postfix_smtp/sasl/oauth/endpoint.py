"""Asking a provider's token endpoint (RFC 6749), over HTTPS."""

import http.client
import ipaddress
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from postfix_smtp.sasl.oauth.errors import TokenError, clean

_MAX_ANSWER = 1 << 17
#: Errors of RFC 6749 §5.2 that only the operator can end.
_LASTING = {"invalid_grant", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
_DEFAULT_LIFE = 3600
_LONGEST_LIFE = 10 * 365 * 86400
_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A new access token.

    Attributes:
        refresh_token: None if the old one stays.
        expiry: UNIX time.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expiry: int


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of RFC 6749 §5.2.

    Attributes:
        code: ``invalid_grant``.
        text: the provider's description.
    """

    code: str
    text: str


class Web:
    """The way to token endpoints.

    Args:
        context: verifies the server.
        seconds: time limit of one connect, write or read.
        proxy: URL of an HTTP proxy, or empty.
    """

    def __init__(self, context: ssl.SSLContext, seconds: float, proxy: str = "") -> None:
        self.context = context
        self._seconds = seconds
        self._proxy = proxy

    def post(self, url: str, form: Mapping[str, str], *, proxy: str = "") -> dict[str, Any] | Problem:
        """Send a form; the JSON object that is answered, or the error.

        Args:
            proxy: instead of that of this object.

        Raises:
            TokenError: no answer that could be understood.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        where = f"token endpoint {clean(host)}"
        secrets = tuple(form.get(name, "") for name in ("refresh_token", "client_secret", "device_code"))
        try:
            connection = self._connection(parts.scheme, host, parts.port, proxy or self._proxy)
            try:
                path = parts._replace(scheme="", netloc="", fragment="").geturl()
                status, octets = self._exchange(connection, path, form)
            finally:
                connection.close()
        except TokenError:
            raise
        except ssl.SSLError as failure:
            raise TokenError(f"{where}: {clean(failure.reason or str(failure))}") from None
        except TimeoutError:
            raise TokenError(f"{where}: no answer within the time limit") from None
        except (OSError, http.client.HTTPException, ValueError) as failure:
            text = getattr(failure, "strerror", None) or str(failure) or type(failure).__name__
            raise TokenError(f"{where}: {clean(text, secrets)}") from None
        try:
            answer = json.loads(octets)
        except (ValueError, RecursionError):
            answer = None
        if status == 200 and isinstance(answer, dict) and "error" not in answer:
            return answer
        if isinstance(answer, dict) and isinstance(answer.get("error"), str):
            return Problem(clean(answer["error"], secrets), clean(str(answer.get("error_description") or ""), secrets))
        what = "answered with garbage" if status == 200 else f"answered with status {status}"
        raise TokenError(f"{where}: {what}")

    def _connection(self, scheme: str, host: str, port: int | None, proxy: str) -> http.client.HTTPConnection:
        if scheme == "http" and is_loopback(host):
            return http.client.HTTPConnection(host, port or 80, timeout=self._seconds)
        if scheme != "https" or not host:
            raise TokenError("token endpoint must be an https URL", lasting=True)
        if not proxy:
            return http.client.HTTPSConnection(host, port or 443, timeout=self._seconds, context=self.context)
        through = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        connection = http.client.HTTPSConnection(
            through.hostname or "", through.port or 8080, timeout=self._seconds, context=self.context
        )
        connection.set_tunnel(host, port or 443)
        return connection

    def _exchange(
        self, connection: http.client.HTTPConnection, path: str, form: Mapping[str, str]
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        connection.request("POST", path or "/", urlencode(form).encode("ascii"), headers)
        response = connection.getresponse()
        octets = response.read(_MAX_ANSWER + 1)
        if len(octets) > _MAX_ANSWER:
            raise http.client.HTTPException("answer is too long")
        return response.status, octets


def request_token(web: Web, url: str, form: Mapping[str, str], *, proxy: str = "") -> Answer:
    """Get a new access token.

    Raises:
        TokenError: there is none; with the provider's reason if it told one.
    """
    asked = time.time()
    answer = web.post(url, form, proxy=proxy)
    host = clean(urlsplit(url).hostname or "")
    if isinstance(answer, Problem):
        text = f": {answer.text}" if answer.text else ""
        raise TokenError(f"token endpoint {host}: {answer.code}{text}", lasting=answer.code in _LASTING)
    return read_answer(answer, asked, host)


def read_answer(answer: Mapping[str, Any], asked: float, host: str) -> Answer:
    """Understand a successful answer.

    Raises:
        TokenError: it is none.
    """
    access = answer.get("access_token")
    if not isinstance(access, str) or not access or not all("!" <= character <= "~" for character in access):
        raise TokenError(f"token endpoint {host}: answered without a usable access token")
    refresh = answer.get("refresh_token")
    try:
        life = float(answer.get("expires_in", _DEFAULT_LIFE))
    except (TypeError, ValueError):
        life = _DEFAULT_LIFE
    life = min(max(life, 0), _LONGEST_LIFE) if life == life else _DEFAULT_LIFE
    return Answer(access, refresh if isinstance(refresh, str) and refresh else None, int(asked + life))


def is_loopback(host: str) -> bool:
    """A host that plain HTTP is good enough for, as in tests."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_context(ca_file: str, ca_directory: str = "") -> ssl.SSLContext:
    """What verifies token endpoints.

    Everything is loaded now: a folder of certificates would be looked at only when it is too late in a jail.

    Args:
        ca_file: empty: that of the system.

    Raises:
        TokenError: no CA file can be loaded.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    files = [ca_file] if ca_file else [ssl.get_default_verify_paths().cafile, *_CA_FILES]
    for file in files:
        if not file:
            continue
        try:
            context.load_verify_locations(file)
        except OSError as failure:
            if ca_file:
                raise TokenError(f"load {ca_file}: {failure.strerror or failure}", lasting=True) from None
        else:
            break
    if ca_directory:
        context.load_verify_locations(capath=ca_directory)
    return context


def no_trust() -> ssl.SSLContext:
    """Verifies nobody, so that every connection fails."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
