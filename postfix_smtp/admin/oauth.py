"""``postfix-smtp oauth``: OAuth2 accounts for smtp(8), see postfix-smtp(1)."""

import argparse
import contextlib
import getpass
import os
import pwd
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from postfix_smtp.admin.executables import InstallError
from postfix_smtp.admin.places import Places

if TYPE_CHECKING:
    from postfix_smtp.admin.oauth_login import Client
    from postfix_smtp.sasl.oauth.renewal import Options
    from postfix_smtp.sasl.oauth.storage import Place
    from postfix_smtp.sasl.oauth.token_file import TokenFile


def add_commands(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add ``login``, ``status`` and ``test``."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser("login", parents=[common], help="get the first token of an account")
    command.add_argument("provider", metavar="PROVIDER", help="google, microsoft, or any name with the two endpoints")
    command.add_argument("--user", required=True, metavar="NAME", help="mail address to send as")
    command.add_argument("--file", metavar="FILE", help="token file (default: NAME in smtp_sasl_oauth_directory)")
    command.add_argument("--client-id", metavar="ID", help="of the application registered with the provider")
    command.add_argument("--client-secret-file", metavar="FILE", help="a file with the secret; - asks for it")
    command.add_argument("--tenant", metavar="NAME", help="Microsoft: organisation, instead of common")
    command.add_argument("--scope", metavar="TEXT", help="instead of the provider's scope for sending mail")
    command.add_argument("--token-endpoint", metavar="URL")
    command.add_argument("--device-endpoint", metavar="URL")
    command.set_defaults(run=_login)
    command = commands.add_parser("status", parents=[common], help="show expiry and last error")
    command.add_argument("files", nargs="*", metavar="FILE", help="default: all in smtp_sasl_oauth_directory")
    command.set_defaults(run=_status)
    command = commands.add_parser("test", parents=[common], help="get an access token, and log in with it")
    command.add_argument("file", metavar="FILE")
    command.add_argument("--renew", action="store_true", help="even if there is a good one")
    command.add_argument("--server", metavar="HOST[:PORT]", help="log in there, with STARTTLS, or TLS on port 465")
    command.set_defaults(run=_test)


class _Accounts:
    """Token files as the service sees them, handled as the user that the service runs as."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from postfix_smtp.config.configuration import Configuration
        from postfix_smtp.config.installation import Installation, ask
        from postfix_smtp.sasl.oauth.opening import OAuthSettings, plugin_defaults

        _load_modules()
        places = Places(arguments)
        configuration = Configuration.load(
            str(places.config_directory), "smtp", installation=Installation.of(ask(places.postconf))
        )
        configuration.set_service("smtp")
        configuration.evaluate_global()
        configuration.evaluate_program()
        self.settings: OAuthSettings = OAuthSettings.from_parameters(configuration)
        self.folder = Path(self.settings.folder)
        self.raw_defaults, self.defaults = plugin_defaults()
        self._owner = pwd.getpwnam(configuration.text("mail_owner"))

    @property
    def options(self) -> "Options":
        """The means of renewal."""
        from postfix_smtp.sasl.oauth.opening import options_maker

        return options_maker(self.settings, self.raw_defaults, self.defaults)()

    def path(self, name: str) -> Path:
        """A file by its path, or by its name in the folder."""
        return Path(name) if "/" in name else self.folder / name

    def place(self, path: Path) -> "Place":
        """Where a token file is."""
        from postfix_smtp.sasl.oauth.storage import Locator

        return Locator("").place(str(path.absolute()))

    def make_folder(self, folder: Path) -> bool:
        """Make a folder that the service can write to; False if there is one."""
        if folder.exists():
            return False
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)
        return True

    @contextlib.contextmanager
    def as_service(self) -> Iterator[None]:
        """Do as the service does: what it could not read or write later must fail now."""
        if os.geteuid() != 0:
            yield
            return
        groups = os.getgroups()
        os.setgroups([self._owner.pw_gid])
        os.setegid(self._owner.pw_gid)
        os.seteuid(self._owner.pw_uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)


def _load_modules() -> None:
    """Import now what is needed as the service's user, who may have no way to this interpreter's files."""
    import postfix_smtp.admin.oauth_login
    import postfix_smtp.sasl.oauth.renewal
    import postfix_smtp.sasl.oauth.storage  # noqa: F401


def _login(arguments: argparse.Namespace) -> int:
    from postfix_smtp.admin.oauth_login import log_in
    from postfix_smtp.sasl.oauth.errors import TokenError

    accounts = _Accounts(arguments)
    path = accounts.path(arguments.file or arguments.user)
    is_new = accounts.make_folder(path.parent)
    try:
        with accounts.as_service():
            place = accounts.place(path)
            client = _client(arguments, accounts, _read(place, accounts) if path.exists() else None)
        answer = log_in(accounts.options.web, client)
        with accounts.as_service():
            _store(place, client, answer.access_token, answer.refresh_token, answer.expiry)
    except TokenError as failure:
        raise InstallError(failure.reason) from None
    print(f"Token file written: {path}\nPassword table:     SERVER    {arguments.user}:oauth:{path}")
    if is_new:
        print('The folder is new: run "postfix reload", so that running processes find it')
    if answer.refresh_token is None:
        print("warning: the provider gave no refresh token, so this lasts only until the access token expires")
    return 0


def _read(place: "Place", accounts: _Accounts) -> "TokenFile":
    from postfix_smtp.sasl.oauth import renewal

    return renewal.read(place, accounts.defaults)


def _client(arguments: argparse.Namespace, accounts: _Accounts, old: "TokenFile | None") -> "Client":
    """What is known about the application: options first, then the file as it is, then the plug-in's defaults."""
    from postfix_smtp.admin.oauth_login import Client
    from postfix_smtp.sasl.oauth.providers import PROVIDERS

    known = PROVIDERS.get(arguments.provider.lower())

    def member(name: str, default: str = "") -> str:
        return (old.string(name) if old is not None else str(accounts.defaults.get(name, ""))) or default

    token = arguments.token_endpoint or (known.token_endpoint if known else member("token_endpoint"))
    device = arguments.device_endpoint or (known.device_endpoint if known else "")
    if arguments.tenant:
        token, device = (url.replace("/common/", f"/{arguments.tenant}/") for url in (token, device))
    client_id = arguments.client_id or member("client_id")
    if not client_id:
        raise InstallError("specify the application's id with --client-id")
    if not token or not device:
        raise InstallError(f"{arguments.provider} is not known: specify --token-endpoint and --device-endpoint")
    return Client(
        provider=known.name if known else "",
        user=arguments.user,
        client_id=client_id,
        client_secret=_secret(arguments.client_secret_file) or member("client_secret"),
        token_endpoint=token,
        device_endpoint=device,
        scope=arguments.scope or (known.scope if known else member("scope")),
    )


def _secret(source: str | None) -> str:
    """A secret never comes as an argument, which everybody could read."""
    if source is None:
        return ""
    if source == "-":
        return getpass.getpass("Client secret: ").strip()
    try:
        return Path(source).read_text(encoding="utf-8").strip()
    except UnicodeError:
        raise InstallError(f"{source} is no text in UTF-8") from None


def _store(place: "Place", client: "Client", access: str, refresh: str | None, expiry: int) -> None:
    """Write the token file, under the lock that renewals take."""
    from postfix_smtp.sasl.oauth.token_file import TokenFile

    with contextlib.suppress(FileExistsError):
        os.close(os.open(place.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with place.locked(30) as lock:
        octets = place.read() or b"{}"
        file = TokenFile.parse(octets, {})
        with lock.replacement() as replacement:
            replacement.commit(file.rewritten(access, expiry, refresh, **client.members()))
        lock.set_note(renewed=time.time())


def _status(arguments: argparse.Namespace) -> int:
    accounts = _Accounts(arguments)
    if arguments.files:
        paths = [accounts.path(name) for name in arguments.files]
    else:
        found = sorted(accounts.folder.iterdir()) if accounts.folder.is_dir() else []
        paths = [path for path in found if path.suffix not in (".lock", ".new") and path.is_file()]
        if not paths:
            print(f"no token files in {accounts.folder}")
    good = [_show(accounts, path) for path in paths]
    return 0 if all(good) else 1


def _show(accounts: _Accounts, path: Path) -> bool:
    """The state of one account; whether it is good."""
    from postfix_smtp.sasl.oauth.errors import TokenError
    from postfix_smtp.sasl.oauth.token_file import Grant

    print(path)
    try:
        with accounts.as_service():
            place = accounts.place(path)
            file = _read(place, accounts)
            grant, note, mode = file.grant, place.last(), place.status().st_mode
    except TokenError as failure:
        print(f"    error: {failure.reason}")
        return False
    now = time.time()
    if file.user:
        print(f"    user:          {file.user}")
    print(f"    grant:         {file.string('grant') if grant is Grant.EXEC else grant}")
    if grant in (Grant.REFRESH_TOKEN, Grant.CLIENT_CREDENTIALS):
        print(f"    endpoint:      {file.token_endpoint}")
    good = True
    if grant is not Grant.EXEC:
        if not file.access_token:
            print("    access token:  none yet")
        elif not file.expiry:
            print("    access token:  without expiry" if grant is Grant.NONE else "    access token:  to be renewed")
        else:
            word = "good until" if file.usable(now) else "expired since"
            print(f"    access token:  {word} {_date(file.expiry)}")
        good = grant is not Grant.NONE or file.usable(now)
    if note.get("renewed"):
        print(f"    last renewal:  {_date(note['renewed'])}")
    if note.get("failed"):
        print(f"    last error:    {_date(note['failed'])}: {note.get('reason')}")
        good = False
    if mode & stat.S_IROTH:
        print("    warning:       everybody can read this file")
    return good


def _date(moment: object) -> str:
    """A time for people; as it is if it is none."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(moment))  # type: ignore[arg-type]
    except (OverflowError, ValueError, TypeError, OSError):
        return str(moment)


def _test(arguments: argparse.Namespace) -> int:
    from postfix_smtp.sasl.oauth import renewal
    from postfix_smtp.sasl.oauth.errors import TokenError
    from postfix_smtp.sasl.oauth.token_file import RENEW_BEFORE, Grant

    accounts = _Accounts(arguments)
    try:
        with accounts.as_service():
            place = accounts.place(accounts.path(arguments.file))
            file = _read(place, accounts)
            if file.grant is Grant.EXEC:
                token = renewal.run_command(place, file, accounts.settings.seconds).access_token
            elif file.usable(time.time(), RENEW_BEFORE) and not arguments.renew:
                token = file.access_token
            else:
                file = renewal.renew(place, accounts.options, file.access_token if arguments.renew else "")
                token = file.access_token
                print(f"access token renewed, good until {_date(file.expiry)}")
    except TokenError as failure:
        raise InstallError(failure.reason) from None
    print("access token: there is one")
    if arguments.server is None:
        return 0
    from postfix_smtp.admin.oauth_login import try_server

    user = file.user or Path(arguments.file).name
    accepted, told = try_server(arguments.server, user, token, accounts.options.web)
    print(f"{arguments.server}: {told}", file=sys.stdout if accepted else sys.stderr)
    return 0 if accepted else 1
