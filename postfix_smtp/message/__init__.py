"""What happens to the message on its way out, between the queue file and the socket (message chapter).

:mod:`.content` is the door: one object a delivery request, which gives the octets for one DATA transaction after the
other. Behind it records become lines (:mod:`.lines`) directly, or, where something is configured that looks at them, by
way of the MIME processor (:mod:`.mime`), header and body checks (:mod:`.checks`) and address mapping (:mod:`.generic`,
:mod:`.addresses`). :mod:`.added` makes the headers that master.cf asks for. Nothing here knows SMTP or sockets.
"""
