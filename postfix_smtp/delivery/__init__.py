"""The agent: the host loop, sessions on a transport, the pool, outcomes and reports (spec: delivery chapter)."""
