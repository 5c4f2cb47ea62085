"""TCP ports for servers that must be told one: free, and nobody else's while they are reserved.

A port that the kernel has given out and got back may be given out again before the server that was told of it listens:
to a test beside this one, or as the near end of a connection. These ports are of a range the kernel does not give out.
"""

import random
import socket
from types import TracebackType
from typing import Self

#: Below net.ipv4.ip_local_port_range, above what well-known programs listen on.
_RANGE = range(20000, 32000)


class ReservedPort:
    """A port of 127.0.0.1, reserved among the processes of this network namespace. A context manager.

    Attributes:
        number: the port.

    Raises:
        OSError: all ports are in use.
    """

    def __init__(self) -> None:
        for number in random.sample(_RANGE, len(_RANGE)):
            # An abstract name is the network namespace's, as ports are, and goes with its process
            mark = socket.socket(socket.AF_UNIX)
            try:
                mark.bind(f"\0port reserved: {number}")
                # Without SO_REUSEADDR, which would take a port beside connections in TIME_WAIT
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
            except OSError:
                mark.close()
                continue
            self._mark = mark
            self.number = number
            return
        raise OSError("no free port")

    def release(self) -> None:
        """The server is gone."""
        self._mark.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
