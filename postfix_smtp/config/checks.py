"""What must hold between global parameters (config chapter 13, process chapter 4)."""

import grp
import os
import pwd

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.config.lines import SEPARATORS
from postfix_smtp.config.lists import choice, split
from postfix_smtp.errors import FatalError
from postfix_smtp.routing.names import hostname_problem

_MORE_WORDS_ABOUT_IDS = (3, 9)
_MIGRATION_LEVELS = {name: name for name in ("disable", "enable-redirect", "enable-reindex")}


def check_facility(parameters: Parameters, path: str) -> None:
    """``syslog_facility`` must be one that syslog(3) knows.

    Args:
        path: of main.cf, for the error; so below.

    Raises:
        FatalError: it is not; so below.
    """
    from postfix_smtp.daemon.logging import FACILITIES

    facility = parameters.text("syslog_facility")
    if facility not in FACILITIES:
        raise FatalError(f"file {path}: parameter syslog_facility: unrecognized value: {facility}")


def check_hostnames(parameters: Parameters, path: str) -> None:
    """``myhostname`` and ``mydomain`` must have the form of host names."""
    for name in ("myhostname", "mydomain"):
        value = parameters.text(name)
        if problem := hostname_problem(value):
            log.warning(problem)
            raise FatalError(f"file {path}: parameter {name}: bad parameter value: {value}")


def origin_from_file(path: str) -> str:
    """The first line of the file that Debian's ``myorigin`` names."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if (links := os.fstat(descriptor).st_nlink) != 1:
            raise FatalError(f"{path}: file has {links} hard links")
        with open(descriptor, encoding="utf-8", errors="surrogateescape") as file:
            origin = file.readline().strip()
    except OSError as trouble:
        raise FatalError(f"{path}: cannot open file: {trouble.strerror}") from None
    if not origin:
        raise FatalError(f"myorigin file {path} is empty")
    return origin


def check_accounts(parameters: Parameters, path: str) -> None:
    """The accounts must exist, be unprivileged, and be shared with nobody, least of all with each other."""
    prefix = f"file {path}: parameter"
    others = parameters.text("default_privs")
    others_id = _user(others, "default_privs", prefix)
    owner = parameters.text("mail_owner")
    owner_id = _user(owner, "mail_owner", prefix)
    told = parameters.version >= _MORE_WORDS_ABOUT_IDS
    same = pwd.getpwuid(owner_id.pw_uid).pw_name
    if same != owner:
        words = f"the same user ID {owner_id.pw_uid} as user" if told else "same user ID as"
        raise FatalError(f"{prefix} mail_owner: user {owner} has {words} {same}")
    group = parameters.text("setgid_group")
    group_id = _group(group, prefix)
    same = grp.getgrgid(group_id).gr_name
    if same != group:
        words = f"the same group ID {group_id} as group" if told else "same group ID as"
        raise FatalError(f"{prefix} setgid_group: group {group} has {words} {same}")
    prefix = f"file {path}: parameters"
    if others == owner:
        raise FatalError(f"{prefix} default_privs and mail_owner specify the same user {owner}")
    both = f"{prefix} default_privs and mail_owner: users {others} and {owner} have the same"
    if others_id.pw_uid == owner_id.pw_uid:
        raise FatalError(f"{both} user ID: {owner_id.pw_uid}")
    if others_id.pw_gid == owner_id.pw_gid:
        raise FatalError(f"{both} group ID: {owner_id.pw_gid}")
    for name, user, account in (("mail_owner", owner, owner_id), ("default_privs", others, others_id)):
        if account.pw_gid == group_id:
            raise FatalError(
                f"{prefix} {name} and setgid_group: user {user} and group {group} have the same group ID: {group_id}"
            )


def _user(name: str, parameter: str, prefix: str) -> pwd.struct_passwd:
    try:
        user = pwd.getpwnam(name)
    except (KeyError, ValueError):
        raise FatalError(f"{prefix} {parameter}: unknown user name value: {name}") from None
    if user.pw_uid == 0:
        raise FatalError(f"{prefix} {parameter}: user {name} has privileged user ID")
    if user.pw_gid == 0:
        raise FatalError(f"{prefix} {parameter}: user {name} has privileged group ID")
    return user


def _group(name: str, prefix: str) -> int:
    try:
        number = grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        raise FatalError(f"{prefix} setgid_group: unknown group name: {name}") from None
    if number == 0:
        raise FatalError(f"{prefix} setgid_group: group {name} has privileged group ID")
    return number


def check_log_permissions(parameters: Parameters) -> None:
    """Only three modes are taken for ``maillog_file`` (3.9); others are ignored with a warning."""
    mode = parameters.text("maillog_file_permissions")
    if parameters.version >= (3, 9) and mode.removeprefix("0") not in ("600", "640", "644"):
        log.warning(f"ignoring bad permissions: maillog_file_permissions = {mode}")


def check_names(parameters: Parameters) -> None:
    """``myhostname`` must not be ``relayhost``, and ``myorigin`` must be one name."""
    hostname = parameters.text("myhostname")
    if parameters.text("relayhost").lower() == hostname.lower():
        raise FatalError(f"myhostname and relayhost parameter settings must not be identical: {hostname}")
    origin = parameters.text("myorigin")
    if any(separator in origin for separator in SEPARATORS):
        raise FatalError(f"myorigin parameter setting must not contain multiple values: {origin}")


def check_verp_delimiters(parameters: Parameters, path: str) -> None:
    """The VERP delimiters must be among those that ``verp_delimiter_filter`` allows."""
    allowed = parameters.text("verp_delimiter_filter")
    delimiters = parameters.text("default_verp_delimiters")
    for which, delimiter in zip(("first", "second"), delimiters, strict=False):
        if delimiter not in allowed:
            names = "default_verp_delimiters and verp_delimiter_filter"
            raise FatalError(f"file {path}: parameters {names}: bad {which} VERP delimiter character")


def check_migration_level(parameters: Parameters) -> None:
    """How Berkeley DB tables are replaced (3.11)."""
    level = parameters.text("non_bdb_migration_level")
    choice(level, _MIGRATION_LEVELS, f"invalid non-Berkeley-DB migration level: '{level}'")


def check_log_file(parameters: Parameters) -> None:
    """``maillog_file`` must begin as ``maillog_file_prefixes`` says."""
    file = parameters.text("maillog_file")
    if file and not file.startswith(tuple(split(parameters.text("maillog_file_prefixes")))):
        raise FatalError(f"maillog_file value '{file}' does not match any prefix in maillog_file_prefixes")
