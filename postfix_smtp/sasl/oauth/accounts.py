"""Access tokens for the event loop: who has one, which one is good, and renewal without holding anybody up."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from postfix_smtp import log
from postfix_smtp.sasl.oauth.errors import TokenError
from postfix_smtp.sasl.oauth.storage import Locator, Place
from postfix_smtp.sasl.oauth.token_file import RENEW_BEFORE, UNUSABLE_BEFORE, Grant, TokenFile

if TYPE_CHECKING:
    from postfix_smtp.sasl.oauth.renewal import Options

PREFIX = "oauth:"
#: Renewals at the same time that one provider may keep waiting: each takes a thread.
_PER_ENDPOINT = 4


class Access(NamedTuple):
    """What a mechanism needs.

    Attributes:
        user: from the token file, if the table has none.
    """

    user: str
    token: str

    def __repr__(self) -> str:
        return f"Access({self.user!r}, ...)"


class Accounts:
    """All OAuth2 accounts of a process.

    Args:
        options: gives the means of renewal; called when they are first needed.
        defaults: members that token files may leave out.
    """

    def __init__(self, locator: Locator, defaults: Mapping[str, Any], options: "Callable[[], Options]") -> None:
        self._locator = locator
        self._defaults = defaults
        self._make_options = options
        self._options: Options | None = None
        self._renewals: dict[str, asyncio.Task[Access]] = {}
        self._printed: dict[str, tuple[str, float]] = {}
        self._endpoints: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_PER_ENDPOINT))

    def exists(self, path: str) -> bool:
        """Whether there is a token file."""
        try:
            self._locator.place(path).status()
        except TokenError:
            return False
        return True

    async def access(self, path: str, refused: str = "") -> Access:
        """A good access token.

        Args:
            path: of the token file.
            refused: a token that a server does not accept.

        Raises:
            TokenError: there is none; logged.
        """
        try:
            place = self._locator.place(path)
            file = TokenFile.parse(place.read(), self._defaults)
            good = self._known(path, file, RENEW_BEFORE, refused)
            if good is not None:
                return good
            task = self._renewals.get(path)
            if task is None:
                task = asyncio.create_task(self._renew(path, place, file, refused))
                self._renewals[path] = task
                task.add_done_callback(lambda _: self._renewals.pop(path, None))
            # Others wait for the same renewal, so nobody who gives up may end it
            access = await asyncio.shield(task)
        except TokenError as failure:
            log.warning(f"OAuth2 token {path}: {failure.reason}")
            raise
        if access.token == refused:
            raise TokenError("access token is refused although it has just been renewed")
        return access

    def _known(self, path: str, file: TokenFile, margin: float, refused: str = "") -> Access | None:
        """A token that need not be renewed for so many seconds."""
        now = time.time()
        if file.grant is Grant.EXEC:
            token, expiry = self._printed.get(path, ("", 0.0))
            good = now + margin < expiry
        else:
            token, good = file.access_token, file.usable(now, margin)
        return Access(file.user, token) if good and token != refused else None

    async def _renew(self, path: str, place: Place, file: TokenFile, refused: str) -> Access:
        from postfix_smtp.sasl.oauth import renewal

        if self._options is None:
            self._options = self._make_options()
        options = self._options
        if file.grant is Grant.EXEC:
            answer = await asyncio.to_thread(renewal.run_command, place, file, options.seconds)
            self._printed[path] = (answer.access_token, answer.expiry)
            return Access(file.user, answer.access_token)
        try:
            async with self._endpoints[urlsplit(file.token_endpoint).netloc]:
                new = await asyncio.to_thread(renewal.renew, place, options, refused)
        except TokenError as failure:
            old = self._known(path, file, UNUSABLE_BEFORE, refused)
            if old is None:
                raise
            log.warning(f"OAuth2 token {path}: {failure.reason}; the old one is still good")
            return old
        log.info(f"OAuth2 token {path}: good for {int(new.expiry - time.time())} seconds")
        return Access(new.user, new.access_token)
