"""Giving up root: groups, chroot, user, in this order (process chapter 4)."""

import os
import pwd

from daemon.daemon import DaemonOSEnvironmentError, change_process_owner, change_root_directory

from postfix_smtp import log
from postfix_smtp.errors import FatalError


def _reason(failure: BaseException) -> str:
    cause = failure.__cause__ or failure.__context__ or failure
    number = getattr(cause, "errno", None)
    return os.strerror(number) if number else str(cause)


def give_up_root(directory: str | None, user: str | None) -> None:
    """Enter the jail `directory` and become `user`; None leaves out that part.

    Raises:
        FatalError: it cannot be done.
    """
    if log.verbose(2):
        log.info(f"chroot {directory or '(none)'} user {user or '(none)'}")
    account = None
    if user is not None:
        try:
            account = pwd.getpwnam(user)
        except KeyError:
            raise FatalError(f"unknown user: {user}") from None
        # The group file is out of reach in the jail, so groups come first
        try:
            os.setgid(account.pw_gid)
        except OSError as failure:
            raise FatalError(f"setgid({account.pw_gid}): {_reason(failure)}") from None
        try:
            os.initgroups(user, account.pw_gid)
        except OSError as failure:
            raise FatalError(f"initgroups: {_reason(failure)}") from None
    if directory is not None:
        try:
            change_root_directory(directory)
        except DaemonOSEnvironmentError as failure:
            raise FatalError(f"chroot({directory}): {_reason(failure)}") from None
        try:
            os.chdir("/")
        except OSError as failure:
            raise FatalError(f"chdir(/): {_reason(failure)}") from None
    if account is not None:
        try:
            change_process_owner(account.pw_uid, account.pw_gid)
        except DaemonOSEnvironmentError as failure:
            raise FatalError(f"setuid({account.pw_uid}): {_reason(failure)}") from None
