"""TLS: policy, contexts, verification, session cache (spec: tls chapter)."""
