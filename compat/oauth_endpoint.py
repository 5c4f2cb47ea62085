"""An OAuth2 provider for tests: token endpoint (RFC 6749) and device authorisation (RFC 8628), on loopback.

It can rotate refresh tokens and punish the reuse of an old one, as careful providers do: then the whole account is
dead. And it can be told to misbehave.
"""

import json
import secrets
import ssl
import threading
from collections.abc import Mapping
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs


class Behaviour(StrEnum):
    """How the token endpoint answers."""

    SERVE = "serve"
    REFUSE = "refuse"  #: ``invalid_grant``, and a description that echoes the refresh token
    BUSY = "busy"  #: status 503 without a body
    GARBAGE = "garbage"
    NO_TOKEN = "no token"  #: JSON without an access token
    HANG = "hang"  #: no answer until :meth:`OAuthEndpoint.release`
    HANG_AFTER = "hang after"  #: the request is carried out, but the answer comes late
    DRIP = "drip"  #: an answer that does not end
    HUGE = "huge"


class OAuthEndpoint:
    """The provider, as a context manager.

    Args:
        lifetime: seconds that access tokens are good for.
        rotate: each renewal gives a new refresh token and makes the old one invalid.
        punish: the use of an invalid refresh token makes the newest one invalid, too.
        context: for https.

    Attributes:
        forms: what token requests contained, in order.
        access_tokens: all that were issued, in order.
        refresh_token: the one that is valid now; empty after punishment.
        revoked: access tokens that are not good any more, for whoever asks (RFC 7662).
        pending: how often a device code is answered with ``authorization_pending``.
    """

    user = "user@example.com"
    client_id = "client"
    client_secret = "client-secret"

    def __init__(
        self,
        *,
        lifetime: int = 3600,
        rotate: bool = False,
        punish: bool = False,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.lifetime = lifetime
        self.rotate = rotate
        self.punish = punish
        self.behaviour = Behaviour.SERVE
        self.forms: list[dict[str, str]] = []
        self.access_tokens: list[str] = []
        self.refresh_token = secrets.token_urlsafe(24)
        self.pending = 1
        self.revoked: set[str] = set()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._released = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            """Requests of this provider."""

            def do_POST(self) -> None:
                endpoint._serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if context is not None:
            scheme = "https"
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.base = f"{scheme}://localhost:{self._server.server_port}"
        self.url = f"{self.base}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def release(self) -> None:
        """Let requests that hang go on."""
        self._released.set()

    def wait_for_requests(self, number: int, timeout: float = 20) -> None:
        """Wait until so many token requests have come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.forms) >= number, timeout):
                raise TimeoutError(f"only {len(self.forms)} requests")

    def token_file(self, **members: Any) -> dict[str, Any]:
        """The content of a token file for this provider, with other members."""
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "token_endpoint": self.url,
            "refresh_token": self.refresh_token,
            **members,
        }

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        octets = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        form = {name: values[0] for name, values in parse_qs(octets.decode(), keep_blank_values=True).items()}
        if request.path == "/device":
            self._answer(request, 200, self._device())
            return
        if request.path == "/introspect":
            active = form.get("token") in self.access_tokens and form.get("token") not in self.revoked
            self._answer(request, 200, {"active": active, "username": self.user} if active else {"active": False})
            return
        with self._changed:
            behaviour = self.behaviour
            status, answer = 200, dict[str, Any]()
            if behaviour in (Behaviour.SERVE, Behaviour.HANG_AFTER):
                status, answer = self._token(form)
            self.forms.append(form)
            self._changed.notify_all()
        match behaviour:
            case Behaviour.REFUSE:
                text = f"no such token: {form.get('refresh_token')}\r\nX"
                status, answer = 400, {"error": "invalid_grant", "error_description": text}
            case Behaviour.HANG:
                self._released.wait()
                return
            case Behaviour.HANG_AFTER:
                self._released.wait()
            case Behaviour.BUSY:
                self._send(request, 503, b"")
                return
            case Behaviour.GARBAGE:
                self._send(request, 200, b"<html>" + octets + b"</html>")
                return
            case Behaviour.NO_TOKEN:
                answer = {"expires_in": 5}
            case Behaviour.HUGE:
                self._send(request, 200, b" " * 10_000_000)
                return
            case Behaviour.DRIP:
                request.send_response(200)
                request.end_headers()
                while not self._released.wait(0.05):
                    request.wfile.write(b" ")
                return
        self._answer(request, status, answer)

    def _token(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("client_id") != self.client_id:
            return 401, {"error": "invalid_client"}
        match form.get("grant_type"):
            case "refresh_token":
                if form.get("refresh_token") != self.refresh_token:
                    if self.punish:
                        self.refresh_token = ""
                    return 400, {"error": "invalid_grant", "error_description": "refresh token was used before"}
            case "client_credentials":
                if form.get("client_secret") != self.client_secret:
                    return 401, {"error": "invalid_client"}
            case "urn:ietf:params:oauth:grant-type:device_code":
                if self.pending:
                    self.pending -= 1
                    return 400, {"error": "authorization_pending"}
            case _:
                return 400, {"error": "unsupported_grant_type"}
        self.access_tokens.append(f"ya29.{secrets.token_urlsafe(24)}")
        answer: dict[str, Any] = {"access_token": self.access_tokens[-1], "expires_in": self.lifetime}
        if self.rotate and form["grant_type"] == "refresh_token":
            self.refresh_token = secrets.token_urlsafe(24)
        if self.rotate or "device_code" in form:
            answer["refresh_token"] = self.refresh_token
        return 200, answer

    def _device(self) -> dict[str, Any]:
        return {
            "device_code": "the-device-code",
            "user_code": "ABCD-EFGH",
            "verification_uri": "https://provider.example/device",
            "expires_in": 60,
            "interval": 0,
        }

    def _answer(self, request: BaseHTTPRequestHandler, status: int, answer: Mapping[str, Any]) -> None:
        self._send(request, status, json.dumps(answer).encode())

    def _send(self, request: BaseHTTPRequestHandler, status: int, octets: bytes) -> None:
        try:
            request.send_response(status)
            request.send_header("Content-Length", str(len(octets)))
            request.end_headers()
            request.wfile.write(octets)
        except OSError:
            return
