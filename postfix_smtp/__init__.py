"""postfix_smtp: Postfix's delivery agent smtp(8)/lmtp(8), in Python.

The way of one delivery::

    master(8) --fd 6--> daemon -- accept --> ipc: delivery request
                                              |
                        delivery: the agent --+ queue: open and lock the message file
                                              | routing: nexthop -> hosts in order
                                              | per host: a pooled session, or connect and shake hands
                                              |     smtp: the transaction (an engine without I/O)
                                              |     message: records -> bytes on the wire
                                              v
                        delivery: report -- log line, queue file mark, bounce/defer/trace/verify
                                              v
                                             ipc: reply to qmgr(8)

Data goes down once and results come up once. Text that came from outside as octets (addresses, configuration
values, attribute values) is ``str`` decoded by :mod:`postfix_smtp.text`, which loses nothing; message content is
``bytes`` from end to end.
"""

__version__ = "0.1.0"
