"""Scenarios: greeting."""

from compat.sidebyside.scenario import FAST, add

add("greeting/4xx", srv={"greet": "450 4.3.2 not now"}, main=FAST)

add("greeting/4xx-no-enhanced", srv={"greet": "450 not now"}, main=FAST)

add("greeting/bare-220", srv={"greet": "220"}, main=FAST)

add("greeting/http", srv={"greet": "HTTP/1.1 400 Bad Request\n"}, main=FAST)

add("greeting/nul-inside", srv={"greet": b"220 mx\x00test ESMTP\r\n"}, main=FAST)

add("greeting/tabs", srv={"greet": "220\tmx.test\tESMTP"}, main=FAST)

add("greeting/no-space", srv={"greet": "220mx.test ESMTP"}, main=FAST)

add("greeting/mixed-codes", srv={"greet": "220-mx.test\n550 mixed"}, main=FAST)

add("greeting/two-digits", srv={"greet": "22 mx.test"}, main=FAST)

add("greeting/blank-line-first", srv={"greet": b"\r\n220 mx.test ESMTP\r\n"}, main=FAST)

add("greeting/esmtp-lower", srv={"greet": "220 mx.test esmtp ok"}, main=FAST)

add("greeting/stars", srv={"greet": "220 ****************************************"}, main=FAST)

add("greeting/half", srv={"greet": ("half", "220 mx.te")}, main=FAST, cost=3)

add("greeting/half-then-close", srv={"greet": (("raw", b"220 mx.te"), ("close",))})

add("greeting/slow-drip-lines", srv={"greet": ("drip", "220-a\n220-b\n220 mx.test ESMTP", 0.05)}, main=FAST, cost=3)

add("greeting/4xx-skip-no", srv={"greet": "454 4.7.1 go away"}, main={"smtp_skip_4xx_greeting": "no"})
