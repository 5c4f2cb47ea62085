"""Scenarios: dest."""

from compat.sidebyside.scenario import add

add("dest/plain")

add("dest/relay-ip", main={"relayhost": "[192.0.2.1]"})

add("dest/relay-service-name", main={"relayhost": "[mx1.dest.test]:smtp"})

add("dest/relay-port-zero", main={"relayhost": "[192.0.2.1]:0"})

add("dest/relay-port-huge", main={"relayhost": "[192.0.2.1]:99999"})

add("dest/relay-bare-ip-port", main={"relayhost": "192.0.2.1:2525"}, servers=[{"at": "192.0.2.1:2525"}])

add("dest/relay-v6", main={"relayhost": "[2001:db8::1]"}, servers=[{"at": "[2001:db8::1]:25", "host": "six"}])

add("dest/relay-empty-brackets", main={"relayhost": "[]"})

add("dest/relay-list-blank", main={"relayhost": "[192.0.2.9] [192.0.2.1]:25"})

add("dest/user-literal", to=["user@[192.0.2.1]"])

add("dest/user-bare-ip", to=["user@192.0.2.1"], main={"resolve_numeric_domain": "yes"})

add("dest/relay-literal-bad", main={"relayhost": "[192.0.2.1.5]"})

add(
    "dest/default-transport-nexthop",
    main={"default_transport": "smtp:[192.0.2.2]"},
    servers=[{"at": "192.0.2.2:25", "host": "mx2"}],
)

add("dest/native-missing", main={"smtp_host_lookup": "native", "relayhost": "[inhosts.test]"})

add(
    "dest/dns-then-native",
    main={"smtp_host_lookup": "dns, native", "relayhost": "[inhosts.test]"},
    hosts="192.0.2.1 inhosts.test\n",
)

add("dest/host-lookup-bad-word", main={"smtp_host_lookup": "dns, voodoo"})

add(
    "dest/literal-in-odd-spelling",
    main={
        "relayhost": "[2001:DB8:0:0::1]",
        "smtp_discard_ehlo_keyword_address_maps": "inline:{ {2001:db8::1 = pipelining} }",
    },
    servers=[{"at": "[2001:db8::1]:25"}],
)

add(
    "dest/own-address-in-odd-spelling",
    main={"relayhost": "[2001:DB8:0:0::1]", "proxy_interfaces": "2001:db8::1"},
    servers=[],
)

add("dest/hexadecimal-address", main={"relayhost": "[0xC0.0.2.1]"})

for number, host in enumerate(("192.0.2.0001", "0.1.2.3", "::ffff:010.0.0.1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7::"), 1):
    add(f"dest/odd-address-{number}", main={"relayhost": f"[{host}]"})

for _what, _text in (("short", "1:2:3"), ("seven", "1:2:3:4:5:6:7")):
    # the syntax of an address, which is none
    add(f"dest/ipv6-without-gap-{_what}", main={"transport_maps": f"inline:{{{{dest.test=smtp:[{_text}]}}}}"}, srv={})
