"""The state machine of one transaction, as tables (smtp-protocol chapter 10).

Theory
------

SMTP with pipelining (RFC 2920) is two readers of one script. The *sender* walks through the script and queues commands;
the *receiver* walks through the same script behind it, one step per reply. Without pipelining the receiver is never
more than one step behind; with it the sender may be a whole flight ahead. The script is linear::

    XFORWARD1 < XFORWARD2 < MAIL < RCPT(0..n-1) < DATA < DOT < ABORT < PROBE < QUIT < LAST

so a position is a pair (state, recipient), and "the receiver is behind" is a comparison. Both walk by the table
:data:`NEXT`; where the way forks, a :class:`Turn` says which branch is taken:

* the sender takes KEEP after DOT or ABORT if the connection is to be kept, so that no QUIT is sent;
* the receiver takes KEEP there if no reply to QUIT is to be waited for: the connection is kept, or
  ``smtp_skip_quit_response`` is on;
* a probe turns from RCPT straight to ABORT (target ``rcpt``), or ends at DATA (target ``data``).

There is one irregular move, *course correction*: when the receiver has caught up and it turns out that the next
command makes no sense (:func:`must_abort`), the sender drops it, and both go on at ABORT. It is possible only when the
receiver has caught up, because a command that has been sent cannot be taken back: when DATA is out already, a
transaction without recipients ends by a lone dot.

Two rules for this file: it does no I/O and keeps no state; and what is in a table is not repeated as an ``if``
elsewhere. Edit together: :class:`State`, :data:`NEXT`, :data:`PHASES`, and ``_build`` and ``_handle`` of
:mod:`postfix_smtp.smtp.transaction`.
"""

from enum import IntEnum
from typing import Final


class State(IntEnum):
    """A position in the script; the order is that of the script."""

    XFORWARD1 = 1
    XFORWARD2 = 2
    MAIL = 3
    RCPT = 4
    DATA = 5
    DOT = 6
    ABORT = 7  #: RSET that ends a transaction
    PROBE = 8  #: RSET that tests a kept connection
    QUIT = 9
    LAST = 10


class Turn(IntEnum):
    """Which way a reader of the script takes."""

    ON = 0  #: the usual next step
    STAY = 1  #: once more: the next recipient; the next end-of-data reply (LMTP)
    SHORT = 2  #: leave something out: an empty XFORWARD; the rest of a probe
    KEEP = 3  #: no QUIT


#: Where a reader goes from a state.
NEXT: Final[dict[tuple[State, Turn], State]] = {
    (State.XFORWARD1, Turn.ON): State.XFORWARD2,
    (State.XFORWARD1, Turn.SHORT): State.MAIL,
    (State.XFORWARD2, Turn.ON): State.MAIL,
    (State.MAIL, Turn.ON): State.RCPT,
    (State.RCPT, Turn.STAY): State.RCPT,
    (State.RCPT, Turn.ON): State.DATA,
    (State.RCPT, Turn.SHORT): State.ABORT,
    (State.DATA, Turn.ON): State.DOT,
    (State.DATA, Turn.SHORT): State.LAST,
    (State.DOT, Turn.STAY): State.DOT,
    (State.DOT, Turn.ON): State.QUIT,
    (State.DOT, Turn.KEEP): State.LAST,
    (State.ABORT, Turn.ON): State.QUIT,
    (State.ABORT, Turn.KEEP): State.LAST,
    (State.PROBE, Turn.ON): State.LAST,
    (State.QUIT, Turn.ON): State.LAST,
}

#: What is being waited for in a state: the field of TimeLimits that bounds it, and its name in error texts.
PHASES: Final[dict[State, tuple[str, str]]] = {
    State.XFORWARD1: ("xforward", "sending XFORWARD name/address"),
    State.XFORWARD2: ("xforward", "sending XFORWARD protocol/helo_name"),
    State.MAIL: ("mail", "sending MAIL FROM"),
    State.RCPT: ("rcpt", "sending RCPT TO"),
    State.DATA: ("data_init", "sending DATA command"),
    State.DOT: ("data_done", "sending end of data -- message may be sent more than once"),
    State.ABORT: ("rset", "sending final RSET"),
    State.PROBE: ("rset", "sending RSET probe"),
    State.QUIT: ("quit", "sending QUIT"),
}

#: Errors here concern nobody: the fate of every recipient is known.
SILENT: Final = frozenset({State.ABORT, State.PROBE, State.QUIT})

#: :func:`must_abort` for these states of the sender only.
CORRECTABLE: Final = frozenset({State.RCPT, State.DATA, State.DOT})


def must_abort(sender: State, *, sender_rejected: bool, accepted: int) -> bool:
    """Whether the sender's next command makes no sense any more, now that all replies are known.

    Args:
        sender: state whose command is about to be queued.
        sender_rejected: MAIL was refused.
        accepted: recipients accepted so far; -1: DATA was refused.
    """
    if sender is State.RCPT:
        return sender_rejected
    if sender is State.DATA:
        return accepted <= 0
    return sender is State.DOT and accepted < 0
