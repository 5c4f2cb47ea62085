"""Scenarios: generated. Messages made up by chance, the same octets through both programs."""

from compat.sidebyside.generated import Generator
from compat.sidebyside.scenario import add

NUMBER = 100
ONE_AT_A_TIME = {
    "initial_destination_concurrency": "1",
    "default_destination_concurrency_limit": "1",
    "smtp_connection_cache_on_demand": "no",
    "lmtp_connection_cache_on_demand": "no",
}
CHECKS = """\
/^X-Test:.*two/ REPLACE X-Test: replaced
/^Subject: one/ PREPEND X-Prepended: yes
/^Cc:/ IGNORE
/^Reply-To:/ WARN seen
/^Content-Type: text/ INFO text
/^Sender:.*(local)/ REPLACE Sender: $1@rewritten.test
"""
BODY_CHECKS = """\
/^\\.one/ IGNORE
/^From / REPLACE >From
/^two words/ PREPEND inserted
/tab.here/ WARN tab
"""
GENERIC = "sender@origin.test outside@public.test\n@dest.test @rewritten.test\nlocal@lab.test pub@public.test\n"


def generated(name: str, seed: int, eight_bit: bool = True, **keywords: object) -> None:
    main = keywords.pop("main", {})
    generator = Generator(seed, eight_bit=eight_bit)
    add(
        f"generated/{name}",
        messages=[generator.message(number) for number in range(NUMBER)],
        steps=[*(("send", number) for number in range(NUMBER)), ("idle", 100)],
        concurrent=True,
        timeout=200,
        cost=10,
        main={**ONE_AT_A_TIME, **main},
        **keywords,
    )


generated("default", 1)
generated("lmtp", 2, main={"default_transport": "lmtp:[192.0.2.1]:25"}, srv={"lmtp": True})
generated("8bit-to-7bit", 3, srv={"kw": ["PIPELINING"]})
generated("7bit", 4, eight_bit=False, srv={"kw": []})
generated(
    "checks",
    5,
    main={
        "smtp_header_checks": "regexp:/etc/postfix/checks",
        "smtp_mime_header_checks": "regexp:/etc/postfix/checks",
        "smtp_nested_header_checks": "regexp:/etc/postfix/checks",
        "smtp_body_checks": "regexp:/etc/postfix/body",
    },
    files={"checks": CHECKS, "body": BODY_CHECKS},
)
generated(
    "generic",
    6,
    main={"smtp_generic_maps": "texthash:/etc/postfix/generic"},
    files={"generic": GENERIC},
)
generated(
    "everything",
    7,
    main={
        "smtp_header_checks": "regexp:/etc/postfix/checks",
        "smtp_body_checks": "regexp:/etc/postfix/body",
        "smtp_generic_maps": "texthash:/etc/postfix/generic",
        "smtp_line_length_limit": "100",
    },
    files={"checks": CHECKS, "body": BODY_CHECKS, "generic": GENERIC},
    srv={"kw": ["PIPELINING"]},
)
