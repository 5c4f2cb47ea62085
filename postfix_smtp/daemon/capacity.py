"""How many deliveries one process takes at once (process chapter 9.1).

A site that writes a process limit into master.cf promises its servers so many simultaneous deliveries. With one
delivery for each process, as in the stock program, that is what it gets; so an explicit limit means one at a time
unless the parameter for it is set as well. Only ``-``, the default limit, leaves the number to the program.

Where few files may be open, as many deliveries as are asked for would starve each other of descriptors, and fail.
"""

import resource
import sys
from typing import Final

from postfix_smtp import log
from postfix_smtp.config.configuration import Configuration
from postfix_smtp.config.master_cf import own_process_limit
from postfix_smtp.errors import FatalError

LIMIT: Final = "smtp_process_delivery_limit"
#: Descriptors: of the process itself (log, status, listen sockets, loop, tables, kept connections to services)...
_OWN_FILES: Final = 40
#: ...and of one delivery: request, queue file, server, a record being written, name service, a session kept for later.
_FILES_EACH: Final = 6


def choose_capacity(configuration: Configuration, service: str, transport: str, *, one_at_a_time: bool) -> int:
    """The number of deliveries this process may have in progress.

    Args:
        configuration: evaluated; its directory has the master.cf that the own entry is looked up in.
        service: service name.
        transport: ``unix``, ``inet`` or ``pass``; with the service name it identifies the entry.
        one_at_a_time: option ``-l`` or ``-S``.
    """
    if one_at_a_time:
        return 1
    limit = min(configuration.number(LIMIT), affordable(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    if configuration.is_set(LIMIT):
        return limit
    try:
        processes = own_process_limit(configuration.directory, service, transport, configuration.version)
    except FatalError as trouble:
        # Not what master(8) started this process from: somebody is editing the file. A promise cannot be excluded
        log.warning(f"{trouble}; one delivery at a time")
        return 1
    # 0 is "no limit", so no promise
    return 1 if processes else limit


def affordable(files: int) -> int:
    """The number of deliveries that `files` descriptors suffice for, one at least."""
    if files == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, (files - _OWN_FILES) // _FILES_EACH)
