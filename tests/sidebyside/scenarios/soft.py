"""Scenarios: soft."""

from compat.sidebyside.scenario import add

add("soft/ok", srv={"on": {}}, main={"soft_bounce": "yes"})

add("soft/5xx", srv={"on": {"RCPT": "550 5.1.1 no such user"}}, main={"soft_bounce": "yes"})

add("soft/4xx", srv={"on": {"RCPT": "450 4.2.0 later"}}, main={"soft_bounce": "yes"})

add("soft/nxdomain", to=["user@nosuch.test"], main={"soft_bounce": "yes"})
