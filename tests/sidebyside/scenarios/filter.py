"""Scenarios: filter."""

from compat.sidebyside.scenario import add

add(
    "filter/2xx-ok",
    srv={"on": {}},
    main={"smtp_delivery_status_filter": "pcre:/etc/postfix/df"},
    files={"df": "/^2(.*)/ 5$1\n"},
)

add(
    "filter/2xx-4xx",
    srv={"on": {"RCPT": "450 4.2.0 later"}},
    main={"smtp_delivery_status_filter": "pcre:/etc/postfix/df"},
    files={"df": "/^2(.*)/ 5$1\n"},
)

add(
    "filter/malformed-5xx",
    srv={"on": {"RCPT": "550 5.1.1 no such user"}},
    main={"smtp_delivery_status_filter": "pcre:/etc/postfix/df"},
    files={"df": "/./ voodoo\n"},
)

add(
    "filter/malformed-4xx",
    srv={"on": {"RCPT": "450 4.2.0 later"}},
    main={"smtp_delivery_status_filter": "pcre:/etc/postfix/df"},
    files={"df": "/./ voodoo\n"},
)

add(
    "filter/4-to-5-code-5xx",
    srv={"on": {"RCPT": "550 5.1.1 no such user"}},
    main={"smtp_delivery_status_filter": "pcre:/etc/postfix/df"},
    files={"df": "/^4(\\.\\S+) (.*)/ 5$1 changed $2\n"},
)

add(
    "filter/4-to-5-code-4xx",
    srv={"on": {"RCPT": "450 4.2.0 later"}},
    main={"smtp_delivery_status_filter": "pcre:/etc/postfix/df"},
    files={"df": "/^4(\\.\\S+) (.*)/ 5$1 changed $2\n"},
)

add(
    "filter/2-text-5xx",
    srv={"on": {"RCPT": "550 5.1.1 no such user"}},
    main={"smtp_delivery_status_filter": "pcre:/etc/postfix/df"},
    files={"df": "/^2(\\.\\S+) (.*)/ 2$1 changed $2\n"},
)

add(
    "filter/2-text-4xx",
    srv={"on": {"RCPT": "450 4.2.0 later"}},
    main={"smtp_delivery_status_filter": "pcre:/etc/postfix/df"},
    files={"df": "/^2(\\.\\S+) (.*)/ 2$1 changed $2\n"},
)

add(
    "filter/status-soft",
    main={"smtp_delivery_status_filter": "regexp:/etc/postfix/status"},
    files={"status": "/^5\\.1\\.1(.*)/ 4.1.1$1\n"},
    srv={"on": {"RCPT": "550 5.1.1 no"}},
)

add(
    "filter/reply-turned-round",
    main={"smtp_reply_filter": "regexp:/etc/postfix/reply"},
    files={"reply": "/^550 5.1.1(.*)/ 450 4.1.1$1\n"},
    srv={"on": {"RCPT": "550 5.1.1 no"}},
)
