"""Postfix's internal attribute protocol: a pure codec, and a small client or server per service (spec: ipc chapter)."""
