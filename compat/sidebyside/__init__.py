"""The same mail through Postfix's own smtp(8)/lmtp(8) and through this program, everything visible compared.

The way of one comparison:

1. :mod:`~compat.sidebyside.scenario`: a scenario says what the configuration, the name server, the servers and the
   messages are, and in which steps things happen.
2. :mod:`~compat.sidebyside.pool` runs it twice, each time in a worker: a process in mount, network, pid, host name
   and ipc namespaces of its own, so that Postfix's usual places (``/etc/postfix``, ``/var/spool/postfix``, port 25,
   ``/dev/log``) can be used without touching the machine, and whatever happens there ends with it.
3. :mod:`~compat.sidebyside.run`: in the worker a fresh Postfix starts (:mod:`~compat.sidebyside.instance`) with the
   one or the other delivery agent, mail is injected, scripted servers answer. They answer only when the client
   provably waits (:mod:`~compat.sidebyside.quiescence`), so that the grouping of writes does not depend on the load.
4. :mod:`~compat.sidebyside.normal_form` masks what differs from run to run (queue ids, dates, process ids, delays),
   and the observations are compared section by section.

It needs root and an installed Postfix. ``python -m compat.sidebyside --help`` runs single scenarios by hand;
``python -m compat.sidebyside.fuzz --help`` makes scenarios up (:mod:`~compat.sidebyside.random_scenarios`) and those
that differ as small as possible.
"""
