"""TLS: what is demanded of a server, how it is talked to, and whether it is the right one (TLS chapter).

The way of one connection: :mod:`planner` finds the policy of the server (:mod:`policy`, with :mod:`policy_entry`,
:mod:`per_site`, :mod:`dane`); :mod:`starter` runs the handshake with a context of the :mod:`engine`, judged by a
:mod:`verifier`, with sessions from tlsmgr(8) (:mod:`session_id`); :mod:`summary` says how it went.

Nothing here is imported unless TLS is configured, and only :mod:`library`, :mod:`engine`, :mod:`layer` and
:mod:`credentials` touch pyOpenSSL.
"""
