"""Scenarios: generic."""

from typing import Any

from compat.sidebyside.scenario import add, message

add(
    "generic/all",
    main={"smtp_generic_maps": "texthash:/etc/postfix/generic"},
    files={
        "generic": "sender@origin.test outside@public.test\n@dest.test @rewritten.test\nlocal@lab.test "
        + "pub@public.test\n"
    },
    messages=[
        {
            "to": ["user+ext@dest.test", "user@dest.test", "other@dest.test"],
            "data": 'From: Sender Name <sender@origin.test>\nTo: user@dest.test, "Odd, Name" '
            + "<x@dest.test>,\n third@else.test\nCc: local (comment)\nReply-To: a@dest.test\n"
            + "Resent-From: sender@origin.test\nX-Other: sender@origin.test\nSubject: "
            + "sender@origin.test\nErrors-To: sender@origin.test\n\nsender@origin.test\n",
        }
    ],
)

add(
    "generic/no-header-rewrite",
    main={"smtp_generic_maps": "texthash:/etc/postfix/generic", "local_header_rewrite_clients": ""},
    files={
        "generic": "sender@origin.test outside@public.test\n@dest.test @rewritten.test\nlocal@lab.test "
        + "pub@public.test\n"
    },
    messages=[
        {
            "to": ["user+ext@dest.test", "user@dest.test", "other@dest.test"],
            "data": 'From: Sender Name <sender@origin.test>\nTo: user@dest.test, "Odd, Name" '
            + "<x@dest.test>,\n third@else.test\nCc: local (comment)\nReply-To: a@dest.test\n"
            + "Resent-From: sender@origin.test\nX-Other: sender@origin.test\nSubject: "
            + "sender@origin.test\nErrors-To: sender@origin.test\n\nsender@origin.test\n",
        }
    ],
)

add(
    "generic/regexp",
    main={"smtp_generic_maps": "regexp:/etc/postfix/generic"},
    files={"generic": "/^(.*)@dest\\.test$/ $1@mapped.test\n"},
    messages=[
        {
            "to": ["user@dest.test"],
            "data": 'From: Sender Name <sender@origin.test>\nTo: user@dest.test, "Odd, Name" '
            + "<x@dest.test>,\n third@else.test\nCc: local (comment)\nReply-To: a@dest.test\n"
            + "Resent-From: sender@origin.test\nX-Other: sender@origin.test\nSubject: "
            + "sender@origin.test\nErrors-To: sender@origin.test\n\nsender@origin.test\n",
        }
    ],
)

add(
    "generic/error",
    main={"smtp_generic_maps": "fail:x"},
    messages=[
        {
            "to": ["user@dest.test"],
            "data": 'From: Sender Name <sender@origin.test>\nTo: user@dest.test, "Odd, Name" '
            + "<x@dest.test>,\n third@else.test\nCc: local (comment)\nReply-To: a@dest.test\n"
            + "Resent-From: sender@origin.test\nX-Other: sender@origin.test\nSubject: "
            + "sender@origin.test\nErrors-To: sender@origin.test\n\nsender@origin.test\n",
        }
    ],
)

# Content that cleanup(8) would have put right
ONE_AT_A_TIME = {"initial_destination_concurrency": "1", "smtp_destination_concurrency_limit": "1"}


def from_queue(name: str, *headers: bytes, **keywords: Any) -> None:
    """One message for each header."""
    main = keywords.pop("main", {})
    add(
        f"generic/{name}",
        main={**ONE_AT_A_TIME, "smtp_generic_maps": "inline:{ {b@y.test = q@z.test}, {z = mapped@z.test} }", **main},
        messages=[
            message(f"u{number}@dest.test", via="queue", lines=[header, b"", b"x"])
            for number, header in enumerate(headers)
        ],
        concurrent=True,
        steps=[*(("send", number) for number in range(len(headers))), ("idle",)],
        **keywords,
    )


from_queue(
    "source-routes",
    b"To: <@r1,@r2:a@x>, b@y.test",
    b"To: <@r1:a@x>, b@y.test",
    b"Cc: <@r1,@r2:a..b@x>, b@y.test",
    b'Reply-To: x <@r1;,@"r 2":"a,b"@c> (c), b@y.test',
)
from_queue(
    "empty-local-part-with-comments",
    *(b'To: "" (' + b"c" * length + b"), b@y.test" for length in (247, 248)),
    *(b"To: " + b"c" * length + b'<"">, b@y.test' for length in (248, 249)),
    *(b"To: " + b"c" * length + b"<>, b@y.test" for length in (248, 249)),
)
for number, result in enumerate(("a\\@b", '"a@b"', '"a b"@c', 'a@"b@c"', "<@r1,@r2:a@b>", '"a"@c', '""', '" "')):
    from_queue(
        f"result-{number}",
        b"To: b@x.test",
        main={"smtp_generic_maps": "texthash:/etc/postfix/generic"},
        files={"generic": f"b@x.test {result}\nu0@dest.test {result}\n"},
    )
LITERALS = (
    *("127.0.0.1", "127.0.0.01", "127.0.0.08", "::1", "1.2.3", "0.1.2.3", "a", "", "IPv6:::1", "ipv6:0:0:0:0:0:0:0:1"),
    *("IPv6:127.0.0.1", "IPv6:::ffff:127.0.0.1", "IPv6:1:2:3", "IPv6:1::2::3", "IPv6:", "IPv6:1:2:3:4:5:6:7:8:9"),
)
from_queue(
    "address-literals",
    *(f"To: z@[{literal}]".encode() for literal in LITERALS),
    main={"mydestination": "x.test"},
)
from_queue(
    "address-literals-ipv4-only",
    b"To: z@[IPv6:::ffff:127.0.0.1]",
    b"To: z@[IPv6:::1]",
    main={"mydestination": "x.test", "inet_protocols": "ipv4", "inet_interfaces": "127.0.0.1"},
)
