"""SASL client: credentials, the choice of a mechanism, the mechanisms themselves, and OAuth2 tokens (SASL chapter).

The way of one authentication: the session asks :class:`~postfix_smtp.sasl.authenticator.ServerAuthenticator` which of
the offered mechanisms count (`filter_mechanisms`), whether there are credentials (`has_credentials`, which asks
:mod:`~postfix_smtp.sasl.passwords`), and for a mechanism (`choose`, which asks :mod:`~postfix_smtp.sasl.choice`, the
cache of failures and, for bearer tokens, :mod:`~postfix_smtp.sasl.oauth`). The protocol engine then drives the
mechanism, which knows neither sockets nor base64.

Nothing in this package is imported unless ``smtp_sasl_auth_enable`` is on.
"""
