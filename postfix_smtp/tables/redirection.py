"""hash and btree tables that are read from another type of file instead (tables chapter 10; 3.11)."""

import os
import time

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.errors import TableError
from postfix_smtp.ipc.attributes import Kind, Layout, ListError, announcement, encode
from postfix_smtp.ipc.blocking import BlockingChannel, os_error
from postfix_smtp.ipc.channel import error_text
from postfix_smtp.tables.base import OpenError, TableFlags
from postfix_smtp.tables.opening import Opener, known_type

LEGACY = ("hash", "btree")

_DEFAULTS = {"hash": "default_database_type", "btree": "default_cache_db_type"}
_MAPPING_FLAGS = TableFlags.LOCK | TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
_INDEXED = ("lmdb", "cdb")
_REPLY = Layout(("status", Kind.INT), ("reason", Kind.STR))
_ANNOUNCEMENT = announcement("nbdb_reindex")
_ATTEMPTS = 2
_PAUSE = 1.0
_TIME_LIMIT = 30.0


def redirected(kind: str, name: str, opener: Opener) -> str:
    """The type that takes the place of `kind` for the table `name`; `kind` itself where nothing is redirected.

    Raises:
        OpenError: there is none, or its file cannot be made.
    """
    parameters = opener.parameters
    if parameters is None:
        return kind
    level = parameters.text("non_bdb_migration_level").lower()
    if level not in ("enable-redirect", "enable-reindex"):
        return kind
    spec = f"{kind}:{name}"
    new, problem = _target(kind, spec, parameters, opener)
    if problem:
        log.warning(f"non-Berkeley-DB type mapping lookup error for '{spec}': {problem}")
        raise OpenError(f"Berkeley DB type mapping lookup error for '{spec}': {problem}")
    if parameters.flag("non_bdb_migration_log_redirect"):
        log.info(f"redirecting {spec} to {new}:{name}")
    if level == "enable-reindex" and new in _INDEXED and not os.path.exists(f"{name}.{new}"):
        problem = _reindex(kind, name, parameters)
        if problem:
            log.warning(f"Non-Berkeley-DB migration error: {problem}")
            raise OpenError(f"Non-Berkeley-DB migration error: {problem}")
    return new


def _target(kind: str, spec: str, parameters: Parameters, opener: Opener) -> tuple[str, str]:
    """The new type, and what is wrong with it."""
    new: str | None = None
    custom = parameters.text("non_bdb_custom_mapping").strip()
    if custom:
        unusable = "", f"{custom} lookup error for '{spec}'"
        if custom.partition(":")[0] in LEGACY:
            return unusable  # it would have to be redirected by itself
        mapping = opener.open(custom, _MAPPING_FLAGS)
        try:
            new = mapping.lookup(spec)
            if new is None:
                new = mapping.lookup(kind)
        except TableError:
            return unusable
    if new is None:
        new = parameters.text(_DEFAULTS[kind])
    if not new.isalnum() or not new.isascii():
        return new, f"bad non-legacy database type syntax: '{new}'"
    if new in LEGACY:
        return new, f"mapping from '{kind}' to legacy type '{new}'"
    if not known_type(new):
        return new, f"mapping to unsupported database type: '{new}'"
    return new, ""


def _reindex(kind: str, name: str, parameters: Parameters) -> str:
    """Have the new file made (ipc chapter 11.3); what went wrong."""
    relative = path = f"private/{parameters.text('non_bdb_migration_service_name')}"
    if not os.access(relative, os.F_OK):
        path = f"{parameters.text('queue_directory')}/{relative}"
    problem = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE)
        channel: BlockingChannel | None = None
        try:
            channel = BlockingChannel(path, f"{relative} socket", _TIME_LIMIT)
            channel.handshake(_ANNOUNCEMENT)
            channel.send(encode((("nbdb_type", kind), ("nbdb_path", name))))
            status, reason = channel.receive(_REPLY)
        except (OSError, ListError) as failure:
            problem = f"{path}: {error_text(os_error(failure, channel))}"
        else:
            return "" if status == 0 else str(reason)
        finally:
            if channel is not None:
                channel.close()
    return problem
