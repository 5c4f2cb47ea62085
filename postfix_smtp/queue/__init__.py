"""The queue file of a message (queue-file chapter).

:mod:`.file` finds, opens and locks it, and crosses off recipients; :mod:`.records` reads its content, a buffer at a
time; :mod:`.path` knows where it is. Only the content is read here: sender and recipients are in the delivery request.
"""
