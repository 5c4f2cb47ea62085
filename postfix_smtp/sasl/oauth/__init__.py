"""OAuth2 access tokens in place of passwords (RFC 6749; SASL chapter 7).

An account's token lives in a token file (:mod:`.token_file`). Every process reads it when it needs the token; when the
token is about to expire, one process renews it, under a lock beside the file (:mod:`.renewal`, :mod:`.storage`), by
asking the provider (:mod:`.endpoint`) from a child process that outlives its parent (:mod:`.child`), because a provider
may replace the refresh token, and an answer that nobody takes down is an account that is lost. :mod:`.accounts` puts
that behind an interface for the event loop.
"""
