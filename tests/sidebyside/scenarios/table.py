"""Scenarios: table."""

from compat.sidebyside.scenario import add

add(
    "table/cdb",
    main={"smtp_discard_ehlo_keyword_address_maps": "cdb:/etc/postfix/t"},
    files={"t": "192.0.2.1 pipelining, size\nsender@origin.test new@gen.test\n"},
    postmap=["cdb:/etc/postfix/t"],
)

add(
    "table/cdb-generic",
    main={"smtp_generic_maps": "cdb:/etc/postfix/t"},
    files={"t": "192.0.2.1 pipelining, size\nsender@origin.test new@gen.test\n"},
    postmap=["cdb:/etc/postfix/t"],
)

add("table/texthash-missing", main={"smtp_discard_ehlo_keyword_address_maps": "texthash:/etc/postfix/nosuch"})

add("table/regexp-missing", main={"smtp_discard_ehlo_keyword_address_maps": "regexp:/etc/postfix/nosuch"})

add(
    "table/texthash",
    main={"smtp_discard_ehlo_keyword_address_maps": "texthash:/etc/postfix/t"},
    files={"t": "192.0.2.1 pipelining, size\nsender@origin.test new@gen.test\n"},
)

add(
    "table/regexp",
    main={"smtp_discard_ehlo_keyword_address_maps": "regexp:/etc/postfix/t"},
    files={"t": "/^192\\.0\\.2\\.(.)$/ pipelining\n"},
)

add(
    "table/regexp-flags",
    main={"smtp_generic_maps": "regexp:/etc/postfix/t"},
    files={"t": "/^SENDER@(.*)$/ up@$1\n!/@/ no@at.test\n/^USER@/i user@ci.test\n"},
)

add(
    "table/regexp-if",
    main={"smtp_generic_maps": "regexp:/etc/postfix/t"},
    files={"t": "if /@origin/\n/^s(.*)@/ t${1}@if.test\nendif\nif !/@origin/\n/./ not@origin.test\nendif\n"},
)

add(
    "table/regexp-broken",
    main={"smtp_discard_ehlo_keyword_address_maps": "regexp:/etc/postfix/t"},
    files={"t": "/unbalanced(/ x\n/^192/ pipelining\nif /x/\n"},
)

add(
    "table/pcre",
    main={"smtp_discard_ehlo_keyword_address_maps": "pcre:/etc/postfix/t"},
    files={"t": "/^192\\.0\\.2\\.(?<n>\\d)$/ pipelining\n"},
)

add(
    "table/pcre-broken",
    main={"smtp_discard_ehlo_keyword_address_maps": "pcre:/etc/postfix/t"},
    files={"t": "/unbalanced(/ x\n/^192/ pipelining\n"},
)

add(
    "table/cidr-not",
    main={"smtp_discard_ehlo_keyword_address_maps": "cidr:/etc/postfix/t"},
    files={"t": "!192.0.2.0/25 dsn\nif 192.0.2.0/24\n192.0.2.1 size\nendif\n"},
)

add("table/inline-simple", main={"smtp_discard_ehlo_keyword_address_maps": "inline:{ 192.0.2.1=pipelining }"})

add("table/static", main={"smtp_discard_ehlo_keyword_address_maps": "static:pipelining"})

add(
    "table/unionmap-one-fails",
    main={"smtp_discard_ehlo_keyword_address_maps": "unionmap:{ inline:{ 192.0.2.1=pipelining }, fail:x }"},
)

add("table/fail", main={"smtp_discard_ehlo_keyword_address_maps": "fail:x"})

add("table/no-colon", main={"smtp_discard_ehlo_keyword_address_maps": "voodoo"})

add(
    "table/two-tables-first-fails", main={"smtp_discard_ehlo_keyword_address_maps": "fail:x, inline:{ 192.0.2.1=size }"}
)

add(
    "table/proxy-texthash",
    main={
        "smtp_discard_ehlo_keyword_address_maps": "proxy:texthash:/etc/postfix/t",
        "proxy_read_maps": "proxy:texthash:/etc/postfix/t",
    },
    files={"t": "192.0.2.1 pipelining, size\nsender@origin.test new@gen.test\n"},
)

add(
    "table/proxy-missing-file",
    main={
        "smtp_discard_ehlo_keyword_address_maps": "proxy:texthash:/etc/postfix/nosuch",
        "proxy_read_maps": "proxy:texthash:/etc/postfix/nosuch",
    },
)

add(
    "table/proxy-inline",
    main={
        "smtp_discard_ehlo_keyword_address_maps": "proxy:inline:{ 192.0.2.1=size }",
        "proxy_read_maps": "proxy:inline:{ 192.0.2.1=size }",
    },
)

add("table/socketmap-refused", main={"smtp_discard_ehlo_keyword_address_maps": "socketmap:inet:127.0.0.1:7001:kw"})

add(
    "table/socketmap-temp",
    main={"smtp_discard_ehlo_keyword_address_maps": "socketmap:inet:127.0.0.1:7001:kw"},
    tables=[("socketmap", "127.0.0.1:7001", {"kw": {"192.0.2.1": "TEMP later"}})],
)

add(
    "table/missing-smtp_tls_policy_maps",
    main={
        "smtp_tls_policy_maps": "hash:/etc/postfix/nosuch",
        "smtp_sasl_auth_enable": "no",
        "smtp_tls_security_level": "may",
    },
    srv={"auth": {"a": "b"}, "kw": ["AUTH PLAIN"]},
)

add(
    "table/missing-smtp_delivery_status_filter",
    main={
        "smtp_delivery_status_filter": "hash:/etc/postfix/nosuch",
        "smtp_sasl_auth_enable": "no",
        "smtp_tls_security_level": "may",
    },
    srv={"auth": {"a": "b"}, "kw": ["AUTH PLAIN"]},
)

add(
    "table/missing-smtp_sasl_mechanism_filter",
    main={
        "smtp_sasl_mechanism_filter": "hash:/etc/postfix/nosuch",
        "smtp_sasl_auth_enable": "yes",
        "smtp_tls_security_level": "may",
        "smtp_sasl_password_maps": "static:a:b",
    },
    srv={"auth": {"a": "b"}, "kw": ["AUTH PLAIN"]},
)

add(
    "table/debug-peer",
    main={
        "smtp_discard_ehlo_keyword_address_maps": "static:pipelining",
        "debug_peer_list": "192.0.2.1",
        "debug_peer_level": "2",
    },
    drop_log="postfix/(smtp|lmtp): |^(?!<M1>: to=)",
)

add(
    "table/changes-hash",
    main={"smtp_discard_ehlo_keyword_address_maps": "hash:/etc/postfix/t"},
    files={"t": "192.0.2.1 pipelining\n"},
    postmap=["hash:/etc/postfix/t"],
    messages=[{"to": ["user@dest.test"]}, {"to": ["user@dest.test"]}],
    steps=[
        ("send", 0),
        ("idle",),
        ("file", "t", "192.0.2.1 size\n"),
        ("silent", "postmap", "hash:/etc/postfix/t"),
        ("silent", "touch", "-d", "50 seconds ago", "/etc/postfix/t.db"),
        ("send", 1),
        ("idle",),
    ],
)

add(
    "table/changes-btree",
    main={"smtp_discard_ehlo_keyword_address_maps": "btree:/etc/postfix/t"},
    files={"t": "192.0.2.1 pipelining\n"},
    postmap=["btree:/etc/postfix/t"],
    messages=[{"to": ["user@dest.test"]}, {"to": ["user@dest.test"]}],
    steps=[
        ("send", 0),
        ("idle",),
        ("file", "t", "192.0.2.1 size\n"),
        ("silent", "postmap", "btree:/etc/postfix/t"),
        ("silent", "touch", "-d", "50 seconds ago", "/etc/postfix/t.db"),
        ("send", 1),
        ("idle",),
    ],
)

add(
    "table/changes-lmdb",
    main={"smtp_discard_ehlo_keyword_address_maps": "lmdb:/etc/postfix/t"},
    files={"t": "192.0.2.1 pipelining\n"},
    postmap=["lmdb:/etc/postfix/t"],
    messages=[{"to": ["user@dest.test"]}, {"to": ["user@dest.test"]}],
    steps=[
        ("send", 0),
        ("idle",),
        ("file", "t", "192.0.2.1 size\n"),
        ("silent", "postmap", "lmdb:/etc/postfix/t"),
        ("silent", "touch", "-d", "50 seconds ago", "/etc/postfix/t.lmdb"),
        ("send", 1),
        ("idle",),
    ],
)

add(
    "table/changes-cdb",
    main={"smtp_discard_ehlo_keyword_address_maps": "cdb:/etc/postfix/t"},
    files={"t": "192.0.2.1 pipelining\n"},
    postmap=["cdb:/etc/postfix/t"],
    messages=[{"to": ["user@dest.test"]}, {"to": ["user@dest.test"]}],
    steps=[
        ("send", 0),
        ("idle",),
        ("file", "t", "192.0.2.1 size\n"),
        ("silent", "postmap", "cdb:/etc/postfix/t"),
        ("silent", "touch", "-d", "50 seconds ago", "/etc/postfix/t.cdb"),
        ("send", 1),
        ("idle",),
    ],
)

add(
    "table/changes-pcre",
    main={"smtp_discard_ehlo_keyword_address_maps": "pcre:/etc/postfix/t"},
    files={"t": "/1$/ pipelining\n"},
    postmap=[],
    messages=[{"to": ["user@dest.test"]}, {"to": ["user@dest.test"]}],
    steps=[
        ("send", 0),
        ("idle",),
        ("file", "t", "/1$/ size\n"),
        ("silent", "touch", "-d", "50 seconds ago", "/etc/postfix/t"),
        ("send", 1),
        ("idle",),
    ],
)

add(
    "table/changes-cidr",
    main={"smtp_discard_ehlo_keyword_address_maps": "cidr:/etc/postfix/t"},
    files={"t": "192.0.2.1 pipelining\n"},
    postmap=[],
    messages=[{"to": ["user@dest.test"]}, {"to": ["user@dest.test"]}],
    steps=[
        ("send", 0),
        ("idle",),
        ("file", "t", "192.0.2.1 size\n"),
        ("silent", "touch", "-d", "50 seconds ago", "/etc/postfix/t"),
        ("send", 1),
        ("idle",),
    ],
)
