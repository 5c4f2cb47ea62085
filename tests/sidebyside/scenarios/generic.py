"""Scenarios: generic."""

from compat.sidebyside.scenario import add

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
