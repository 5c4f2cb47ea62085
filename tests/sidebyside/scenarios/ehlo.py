"""Scenarios: ehlo."""

from compat.sidebyside.scenario import FAST, add

add("ehlo/not-always-banner", main={"smtp_always_send_ehlo": "no"})

add("ehlo/close", srv={"on": {"EHLO": ("close",)}})

add("ehlo/close-then-helo-next-mx", srv={"on": {"EHLO": (("raw", b"500 what?\r\n"), ("close",))}})

add("ehlo/helo-hang", srv={"on": {"EHLO": "500 no", "HELO": ("hang",)}}, main=FAST, cost=3)

add("ehlo/3xx", srv={"on": {"EHLO": "354 hm"}})

add("ehlo/single-line", srv={"kw": []})

add("ehlo/helo-name", main={"smtp_helo_name": "other.name.test"})

add("ehlo/helo-name-literal", main={"smtp_helo_name": "[192.0.2.1]"})

add(
    "ehlo/discard-dsn",
    main={"smtp_discard_ehlo_keywords": "dsn"},
    srv={"tls": {}, "auth": {}},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "success", "-V", "env"]}],
)

add(
    "ehlo/discard-size",
    main={"smtp_discard_ehlo_keywords": "size"},
    srv={"tls": {}, "auth": {}},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "success", "-V", "env"]}],
)

add(
    "ehlo/discard-pipelining-dsn-silent-discard",
    main={"smtp_discard_ehlo_keywords": "pipelining, dsn, silent-discard"},
    srv={"tls": {}, "auth": {}},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "success", "-V", "env"]}],
)

add(
    "ehlo/discard-address-map",
    main={"smtp_discard_ehlo_keyword_address_maps": "inline:{ {192.0.2.1 = pipelining, size} }"},
)

add("ehlo/size-10", srv={"kw": ["SIZE 10", "PIPELINING"]})

add("ehlo/size-empty", srv={"kw": ["SIZE", "PIPELINING"]})

add(
    "ehlo/pix-banner",
    srv={"greet": "220 **************************************************2********************", "kw": []},
    main={"smtp_pix_workaround_threshold_time": "0s", "smtp_pix_workaround_delay_time": "1s"},
    cost=2,
)

add("ehlo/pix-banner-young", srv={"greet": "220 **************************************************"})

add("ehlo/pix-bug-greeting", srv={"greet": "220 ****************"}, main={"smtp_pix_workaround_delay_time": "0s"})

add("ehlo/size-is-not-a-number", srv={"kw": ["SIZE many", "PIPELINING"]})

add("ehlo/keywords-in-lower-case", srv={"kw": ["pipelining", "size 1000000", "8bitmime", "dsn"]})

add("ehlo/discard-by-address", main={"smtp_discard_ehlo_keyword_address_maps": "inline:{ 192.0.2.1=pipelining }"})

for number, keyword in enumerate(("SIZE 1000=2", "SIZE 5=", "SIZE==5", "SIZE =5", "SIZE= 5"), 1):
    add(f"ehlo/size-with-equals-sign-{number}", srv={"on": {"EHLO": f"250-mx.test\n250 {keyword}"}})

for number, words in enumerate(("nonsense", ",", ""), 1):
    add(
        f"ehlo/pix-no-known-workaround-{number}",
        main={"smtp_pix_workarounds": words},
        srv={"greet": "220 ***2*0*"},
    )
