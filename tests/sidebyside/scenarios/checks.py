"""Scenarios: checks."""

from compat.sidebyside.scenario import HEADER, add

add(
    "checks/header-prepend",
    main={"smtp_header_checks": "pcre:/etc/postfix/hc"},
    files={"hc": "/^X-Test:/ PREPEND X-Before: yes\n"},
    messages=[
        {"to": ["user@dest.test"], "data": HEADER + "X-Test: something\n folded\nX-After: 1\n\nX-Test: in the body\n"}
    ],
)

add(
    "checks/header-warn",
    main={"smtp_header_checks": "pcre:/etc/postfix/hc"},
    files={"hc": "/^X-Test:/ WARN seen\n"},
    messages=[
        {"to": ["user@dest.test"], "data": HEADER + "X-Test: something\n folded\nX-After: 1\n\nX-Test: in the body\n"}
    ],
)

add(
    "checks/header-dunno",
    main={"smtp_header_checks": "pcre:/etc/postfix/hc"},
    files={"hc": "/^X-Test:/ DUNNO\n"},
    messages=[
        {"to": ["user@dest.test"], "data": HEADER + "X-Test: something\n folded\nX-After: 1\n\nX-Test: in the body\n"}
    ],
)

add(
    "checks/header-reject",
    main={"smtp_header_checks": "pcre:/etc/postfix/hc"},
    files={"hc": "/^X-Test:/ REJECT no\n"},
    messages=[
        {"to": ["user@dest.test"], "data": HEADER + "X-Test: something\n folded\nX-After: 1\n\nX-Test: in the body\n"}
    ],
)

add(
    "checks/header-filter",
    main={"smtp_header_checks": "pcre:/etc/postfix/hc"},
    files={"hc": "/^X-Test:/ FILTER smtp:x\n"},
    messages=[
        {"to": ["user@dest.test"], "data": HEADER + "X-Test: something\n folded\nX-After: 1\n\nX-Test: in the body\n"}
    ],
)

add(
    "checks/header-hold",
    main={"smtp_header_checks": "pcre:/etc/postfix/hc"},
    files={"hc": "/^X-Test:/ HOLD\n"},
    messages=[
        {"to": ["user@dest.test"], "data": HEADER + "X-Test: something\n folded\nX-After: 1\n\nX-Test: in the body\n"}
    ],
)

add(
    "checks/header-discard",
    main={"smtp_header_checks": "pcre:/etc/postfix/hc"},
    files={"hc": "/^X-Test:/ DISCARD\n"},
    messages=[
        {"to": ["user@dest.test"], "data": HEADER + "X-Test: something\n folded\nX-After: 1\n\nX-Test: in the body\n"}
    ],
)

add(
    "checks/header-redirect",
    main={"smtp_header_checks": "pcre:/etc/postfix/hc"},
    files={"hc": "/^X-Test:/ REDIRECT x@y.test\n"},
    messages=[
        {"to": ["user@dest.test"], "data": HEADER + "X-Test: something\n folded\nX-After: 1\n\nX-Test: in the body\n"}
    ],
)

add(
    "checks/body-replace",
    main={"smtp_body_checks": "pcre:/etc/postfix/hc"},
    files={"hc": "/^X-Test:/ REPLACE X-New: replaced\n"},
    messages=[{"to": ["user@dest.test"], "data": HEADER + "X-Test: header\n\nfirst\nX-Test: in the body\nlast\n"}],
)

add(
    "checks/mime-header",
    main={"smtp_mime_header_checks": "regexp:/etc/postfix/hc"},
    files={"hc": "/^Content-Type:/ REPLACE Content-Type: x/y\n"},
    messages=[
        {
            "to": ["user@dest.test"],
            "data": HEADER.encode()
            + b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b1"\n'
            + b"Content-Transfer-Encoding: 8bit\n\npreamble \xc3\xa4\n--b1\nContent-Type: text/plain\n"
            + b"Content-Transfer-Encoding: 8bit\n\nGr\xc3\xbc\xc3\x9fe \xc3\xa4.\n--b1\nContent-Type: "
            + b"multipart/alternative; boundary=b2\n\n--b2\nContent-Type: text/html; charset=iso-8859-1\n"
            + b"Content-Transfer-Encoding: 8bit\n\n<p>\xc3\xb6</p>\n--b2\nContent-Transfer-Encoding: base64\n\n"
            + b"AAAA\n--b2--\n--b1\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n"
            + b"Subject: inner \xc3\xa4\n\ninner \xc3\x9f\n--b1\nContent-Type: text/plain\nContent-Transfer-Encoding: "
            + b"binary\n\nbin \xc3\xa4\n--b1--\nepilogue \xc3\xa4\n",
        }
    ],
)

add(
    "checks/nested-header",
    main={"smtp_nested_header_checks": "regexp:/etc/postfix/hc"},
    files={"hc": "/^Subject:/ PREPEND X-Nested: yes\n"},
    messages=[
        {
            "to": ["user@dest.test"],
            "data": HEADER.encode()
            + b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b1"\n'
            + b"Content-Transfer-Encoding: 8bit\n\npreamble \xc3\xa4\n--b1\nContent-Type: text/plain\n"
            + b"Content-Transfer-Encoding: 8bit\n\nGr\xc3\xbc\xc3\x9fe \xc3\xa4.\n--b1\nContent-Type: "
            + b"multipart/alternative; boundary=b2\n\n--b2\nContent-Type: text/html; charset=iso-8859-1\n"
            + b"Content-Transfer-Encoding: 8bit\n\n<p>\xc3\xb6</p>\n--b2\nContent-Transfer-Encoding: base64\n\n"
            + b"AAAA\n--b2--\n--b1\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n"
            + b"Subject: inner \xc3\xa4\n\ninner \xc3\x9f\n--b1\nContent-Type: text/plain\nContent-Transfer-Encoding: "
            + b"binary\n\nbin \xc3\xa4\n--b1--\nepilogue \xc3\xa4\n",
        }
    ],
)

add(
    "checks/all-three-fallthrough",
    main={"smtp_header_checks": "regexp:/etc/postfix/hc"},
    files={"hc": "/^(Subject|Content-Type):/ PREPEND X-Any: $1\n"},
    messages=[
        {
            "to": ["user@dest.test"],
            "data": HEADER.encode()
            + b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b1"\n'
            + b"Content-Transfer-Encoding: 8bit\n\npreamble \xc3\xa4\n--b1\nContent-Type: text/plain\n"
            + b"Content-Transfer-Encoding: 8bit\n\nGr\xc3\xbc\xc3\x9fe \xc3\xa4.\n--b1\nContent-Type: "
            + b"multipart/alternative; boundary=b2\n\n--b2\nContent-Type: text/html; charset=iso-8859-1\n"
            + b"Content-Transfer-Encoding: 8bit\n\n<p>\xc3\xb6</p>\n--b2\nContent-Transfer-Encoding: base64\n\n"
            + b"AAAA\n--b2--\n--b1\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n"
            + b"Subject: inner \xc3\xa4\n\ninner \xc3\x9f\n--b1\nContent-Type: text/plain\nContent-Transfer-Encoding: "
            + b"binary\n\nbin \xc3\xa4\n--b1--\nepilogue \xc3\xa4\n",
        }
    ],
)

add(
    "checks/body-size-limit",
    main={"smtp_body_checks": "pcre:/etc/postfix/hc", "body_checks_size_limit": "100"},
    files={"hc": "/^match/ REPLACE done\n"},
    messages=[
        {
            "to": ["user@dest.test"],
            "data": HEADER
            + "\nmatch this line\nmatch this line\nmatch this line\nmatch this line\nmatch this line\n"
            + "match this line\nmatch this line\nmatch this line\nmatch this line\nmatch this line\n"
            + "match this line\nmatch this line\nmatch this line\nmatch this line\nmatch this line\n"
            + "match this line\nmatch this line\nmatch this line\nmatch this line\nmatch this line\n"
            + "match this line\nmatch this line\nmatch this line\nmatch this line\nmatch this line\n"
            + "match this line\nmatch this line\nmatch this line\nmatch this line\nmatch this line\n",
        }
    ],
)

add(
    "checks/replace-long",
    main={"smtp_header_checks": "pcre:/etc/postfix/hc"},
    files={
        "hc": "/^Subject:/ REPLACE X-Long: w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
        + "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w \n"
    },
)

add(
    "checks/received-hidden",
    main={"smtp_header_checks": "regexp:/etc/postfix/hc"},
    files={"hc": "/^Received:/ IGNORE\n"},
)
