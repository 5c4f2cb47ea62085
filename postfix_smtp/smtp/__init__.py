"""The SMTP and LMTP client conversation, without I/O: octets in, actions and events out."""
