"""SASL client mechanisms and the choice among them (spec: sasl chapter)."""
