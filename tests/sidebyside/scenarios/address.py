"""Scenarios: address."""

from compat.sidebyside.scenario import add

add(
    "address/plus",
    messages=[{"to": ["a+b@dest.test"], "via": "smtp"}],
    main={"allow_percent_hack": "no", "swap_bangpath": "no", "allow_min_user": "yes"},
)

add(
    "address/quote-inside",
    messages=[{"to": ['"a\\"b"@dest.test'], "via": "smtp"}],
    main={"allow_percent_hack": "no", "swap_bangpath": "no", "allow_min_user": "yes"},
)

add(
    "address/leading-hyphen",
    messages=[{"to": ["-x@dest.test"], "via": "smtp"}],
    main={"allow_percent_hack": "no", "swap_bangpath": "no", "allow_min_user": "yes"},
)

add("address/null-sender", messages=[{"to": ["user@dest.test"], "sender": ""}])

add(
    "address/virtual-alias-orcpt-bounce",
    main={"virtual_alias_maps": "inline:{ {alias@origin.test = user@dest.test} }"},
    to=["alias@origin.test"],
    srv={"on": {"RCPT": "550 5.1.1 no"}},
)

add("address/duplicate-recipients", to=["user@dest.test", "user@dest.test", "USER@dest.test"])

add("address/canonical", main={"canonical_maps": "inline:{ {sender@origin.test = new@origin.test} }"})
