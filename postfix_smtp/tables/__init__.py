"""Lookup tables ``type:name``, one module a type, and match lists (spec: tables chapter)."""
