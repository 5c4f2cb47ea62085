"""The queue file: records, recipients, marks, locks (spec: queue-file chapter)."""
