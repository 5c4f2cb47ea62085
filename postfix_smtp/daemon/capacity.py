"""How many deliveries one process takes at once (process chapter 9.1).

A site that writes a process limit into master.cf promises its servers so many simultaneous deliveries. With one
delivery for each process, as in the stock program, that is what it gets; so an explicit limit means one at a time
unless the parameter for it is set as well. Only ``-``, the default limit, leaves the number to the program.
"""

from postfix_smtp.config.configuration import Configuration
from postfix_smtp.config.master_cf import own_process_limit

LIMIT = "smtp_process_delivery_limit"


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
    limit = configuration.number(LIMIT)
    if configuration.is_set(LIMIT):
        return limit
    processes = own_process_limit(configuration.directory, service, transport, configuration.version)
    # 0 is "no limit", so no promise
    return 1 if processes else limit
