"""Proof that every process of this pid namespace is asleep.

A scripted server must know that the client waits for it, not that the client is merely slow. Two consecutive scans of
/proc in which every thread sleeps and none was scheduled in between prove that there was a moment when all of them
slept; timers apart, only we can wake them up again.
"""

import os

#: Processes that are ours: they do not count.
OURS: set[int] = {1}
Snapshot = tuple[tuple[str, bytes], ...]


def snapshot() -> Snapshot | None:
    """The scheduling counters of all foreign threads; None when one of them is running."""
    ours = OURS | {os.getpid()}
    state = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in ours:
            continue
        try:
            threads = os.listdir(f"/proc/{name}/task")
        except OSError:
            continue
        for thread in threads:
            base = f"/proc/{name}/task/{thread}"
            try:
                stat = _read(f"{base}/stat")
                status = _read(f"{base}/status")
            except OSError:
                return None  # it came or went just now
            at = stat.rfind(b")") + 2
            if stat[at : at + 1] not in b"SZTI":
                return None
            at = status.find(b"voluntary_ctxt_switches:")
            state.append((thread, status[at : at + 80]))
    return tuple(sorted(state))


def processes() -> dict[int, tuple[str, str]]:
    """State letter and command line of every process but ours, by process id."""
    found = {}
    ours = OURS | {os.getpid()}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in ours:
            continue
        try:
            stat = _read(f"/proc/{name}/stat")
            command = _read(f"/proc/{name}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        at = stat.rfind(b")")
        found[int(name)] = (stat[at + 2 : at + 3].decode(), command or stat[stat.find(b"(") + 1 : at].decode())
    return found


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
