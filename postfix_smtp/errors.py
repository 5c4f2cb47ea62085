"""The two ways Postfix gives up, as exceptions, and the one by which a table gives up.

Raised while the process starts they end the process; raised while a delivery request is served they end that request
only (its connection is closed without a status reply), because a process holds other deliveries too.
"""


class FatalError(Exception):
    """Postfix's ``fatal:``. The text is the log line without its label. At start: exit status 1."""


class PanicError(Exception):
    """Postfix's ``panic:``: something that cannot be. At start: the process aborts."""


class TableError(Exception):
    """A lookup table could not answer now (a soft error). What was to be logged has been logged already."""
