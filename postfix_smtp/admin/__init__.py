"""The operator's command ``postfix-smtp``."""
