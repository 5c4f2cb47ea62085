"""Whether a token is to be renewed, and by whom: decided under the lock, so that all processes together renew once.

1. Take the lock beside the token file.
2. Read the file again: if another process has renewed the token meanwhile, there is nothing to do.
3. If a renewal failed a moment ago, and the file is still the same, that is the answer for now.
4. Reserve room for a new version of the file, ask the provider, write, rename, and only then use the token.

Step 4 runs in a child process that keeps the lock, see :mod:`.child`. A refresh token is only ever sent by whoever
holds the lock and has just read it, so an old one is never sent again after a provider has replaced it.
"""

import os
import shlex
import stat
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from postfix_smtp.sasl.oauth import child
from postfix_smtp.sasl.oauth.endpoint import Answer, Web, read_answer, request_token
from postfix_smtp.sasl.oauth.errors import TokenError, clean
from postfix_smtp.sasl.oauth.storage import Lock, Place
from postfix_smtp.sasl.oauth.token_file import RENEW_BEFORE, Grant, TokenFile

#: Seconds in which a failure is not tried again: a short one may be gone soon, a lasting one will not.
RETRY_AFTER, RETRY_LASTING_AFTER = 20, 120
#: Seconds in which a token that was renewed because a server refused it is not renewed for the same reason again.
REFUSED_AGAIN = 60
#: Seconds that a command's token counts if it does not tell.
_COMMAND_LIFE = 300
_WAIT_FOR_LOCK = 10


@dataclass(frozen=True, slots=True)
class Options:
    """How to renew.

    Attributes:
        web: the way to the providers.
        seconds: time limit of one renewal.
        defaults: members that token files may leave out.
    """

    web: Web
    seconds: float
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read(place: Place, defaults: Mapping[str, Any]) -> TokenFile:
    """The token file as it is now.

    Raises:
        TokenError: it cannot be used.
    """
    return TokenFile.parse(place.read(), defaults)


def renew(place: Place, options: Options, refused: str = "") -> TokenFile:
    """See to it that the token is a new one; the file with it.

    Args:
        refused: an access token that a server did not accept, although it should still be good.

    Raises:
        TokenError: there is no new token.
    """
    with place.locked(options.seconds + _WAIT_FOR_LOCK) as lock:
        file = read(place, options.defaults)
        if file.usable(time.time(), RENEW_BEFORE) and file.access_token != refused:
            return file
        _respect(lock, file, refused)
        if file.grant is Grant.NONE:
            raise TokenError("access token has expired, and nothing tells how to renew it", lasting=True)
        form, endpoint, proxy = file.form(), file.token_endpoint, file.string("proxy")
        old_note = lock.note()

        def work(stop_clock: child.StopClock) -> None:
            try:
                with lock.replacement() as replacement:
                    answer = request_token(options.web, endpoint, form, proxy=proxy)
                    stop_clock()
                    replacement.commit(file.rewritten(answer.access_token, answer.expiry, answer.refresh_token))
            except TokenError as failure:
                stop_clock()
                _note_failure(lock, failure)
                raise
            forced = time.time() if refused else old_note.get("forced", 0)
            lock.set_note(renewed=time.time(), forced=forced)

        child.run(work, (lock.descriptor, place.folder), options.seconds)
        return read(place, options.defaults)


def _respect(lock: Lock, file: TokenFile, refused: str) -> None:
    """Leave it alone for a while if the last attempt was no use."""
    note, now = lock.note(), time.time()
    # A clock that was set back must not make it a long while
    if 0 < note.get("until", 0) - now <= RETRY_LASTING_AFTER and note.get("version") == lock.place.status().st_mtime_ns:
        raise TokenError(str(note.get("reason")), lasting=bool(note.get("lasting")))
    if refused and file.usable(now) and 0 <= now - note.get("forced", 0) < REFUSED_AGAIN:
        raise TokenError("access token is refused although it has just been renewed")


def _note_failure(lock: Lock, failure: TokenError) -> None:
    now = time.time()
    lock.set_note(
        failed=now,
        reason=failure.reason,
        lasting=failure.lasting,
        until=now + (RETRY_LASTING_AFTER if failure.lasting else RETRY_AFTER),
        version=lock.place.status().st_mtime_ns,
    )


def run_command(place: Place, file: TokenFile, seconds: float) -> Answer:
    """Get a token from the command of the grant ``exec:COMMAND``: the token itself, or JSON as an endpoint gives.

    Raises:
        TokenError: there is none, or somebody else than root and this user could have written the command.
    """
    status = place.status()
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise TokenError("token file with a command must belong to root, and nobody else may write to it", lasting=True)
    words = shlex.split(file.command)
    if not words or not words[0].startswith("/"):
        raise TokenError("command of the token file must begin with an absolute path", lasting=True)
    environment = {name: os.environ[name] for name in ("PATH", "TZ", "LANG") if name in os.environ}
    try:
        result = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=environment,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TokenError(f"{words[0]} did not end within {seconds:g} seconds") from None
    except OSError as failure:
        raise TokenError(f"{words[0]}: {failure.strerror}", lasting=True) from None
    if result.returncode != 0:
        told = clean(result.stderr.decode("utf-8", "replace"), file.secrets)
        raise TokenError(f"{words[0]} failed with status {result.returncode}: {told}")
    text = result.stdout.decode("utf-8", "replace").strip()
    answer: Mapping[str, Any] = {"access_token": text, "expires_in": _COMMAND_LIFE}
    if text.startswith("{"):
        import json

        try:
            answer = json.loads(text)
        except ValueError:
            answer = {}
    try:
        return read_answer(answer, time.time(), "")
    except TokenError:
        raise TokenError(f"{words[0]} did not print a token") from None
