"""The SMTP and LMTP client conversation, without I/O: octets in, actions out.

The way of one connection:

1. A driver makes an :class:`~postfix_smtp.smtp.engine.Engine` for a connection and states an intent: `handshake`,
   `transaction`, `probe` or `quit`. It gets a flow, a generator of actions.
2. The flow asks for what it needs (:mod:`.actions`): above all "send what I have, then give me what comes"; also table
   look-ups, a TLS handshake, a SASL mechanism, the content.
3. Octets become lines (:mod:`.line_reader`), lines become a :class:`~postfix_smtp.smtp.reply.Reply`
   (:mod:`.conversation`).
4. The handshake (:mod:`.handshake`, :mod:`.authentication`) learns what the server offers (:mod:`.keywords`,
   :mod:`.features`) or ends in a :class:`~postfix_smtp.smtp.failure.Failure` of the whole connection.
5. A transaction walks twice through one script (:mod:`.states`, :mod:`.transaction`): as the sender of commands
   (:mod:`.commands`) and, behind it, as the receiver of replies.
6. Every recipient's fate is an action of its own, in the order in which it becomes known; whoever drives records it
   before the conversation goes on.

Nothing here knows sockets, clocks, the TLS library or tables; time comes in as a number.
"""
