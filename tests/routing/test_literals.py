"""Address literals: what Postfix logs about them is recorded from the real program."""

import pytest

from postfix_smtp.routing.literals import literal_address


@pytest.mark.parametrize(
    ("domain", "address"),
    [
        ("[192.0.2.1]", bytes([192, 0, 2, 1])),
        ("[0.0.0.0]", bytes(4)),
        ("[127.0.0.010]", bytes([127, 0, 0, 8])),
        ("[IPv6:::1]", bytes(15) + b"\1"),
        ("[ipv6:2001:db8:0:0:0:0:0:00Ab]", b"\x20\1\x0d\xb8" + bytes(11) + b"\xab"),
        ("[IPv6:::ffff:127.0.0.1]", bytes(10) + b"\xff\xff\x7f\0\0\1"),
        # silently none
        ("192.0.2.1", None),
        ("[192.0.2.1", None),
        ("[127.0.0.08]", None),
        ("[IPv6:1:2:3]", None),
        ("[IPv6:1:2:3:1.2.3.4]", None),
    ],
)
def test_literals_mean_addresses(domain: str, address: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    assert literal_address(domain) == address
    assert not caplog.messages


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "invalid octet count"),
        ("1.2.3", "invalid octet count"),
        ("1.2.3.4.5", "invalid octet count"),
        ("0.0", "invalid octet count"),
        ("1.2.3.256", "invalid octet value"),
        ("256.x", "invalid octet value"),
        (".1.2.3", "misplaced dot"),
        ("1..2.3", "misplaced dot"),
        ("0.0.0.", "misplaced dot"),
        ("0.0.0.1", "bad initial octet value"),
        ("00.x", "bad initial octet value"),
        ("::1", "invalid character 58(decimal)"),
        ("1.2.3.4 ", "invalid character 32(decimal)"),
        ("ä", "invalid character 195(decimal)"),
        ("[1.2.3.4]", "invalid character 91(decimal)"),
    ],
)
def test_bad_ipv4_literals_are_logged(text: str, problem: str, caplog: pytest.LogCaptureFixture) -> None:
    assert literal_address(f"[{text}]") is None
    assert caplog.messages == [f"valid_ipv4_hostaddr: {problem}: {text}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "too few `:' in IPv6"),
        ("1:2", "too few `:' in IPv6"),
        ("1:", "too few `:' in IPv6"),
        (":1::", "bad null first field in IPv6"),
        ("1:2:3:", "bad null last field in IPv6"),
        ("1::2:", "bad null last field in IPv6"),
        ("1:2:3:4:5:6:7:8:g", "too many `:' in IPv6"),
        ("1:2:3:4:5:6:7::", "too many `:' in IPv6"),
        ("::1:2:3:4:5:6:1.2.3.4", "too many `:' in IPv6"),
        ("1::2::3", "too many `::' in IPv6"),
        (":::", "too many `::' in IPv6"),
        ("::00001", "malformed IPv6"),
        ("12345:g", "malformed IPv6"),
        ("fe80::1%eth0", "invalid character 37(decimal) in IPv6"),
        ("1.2.3.4", "malformed IPv4-in-IPv6"),
        ("1::2:3:4:5:6:1.2.3.4", "malformed IPv4-in-IPv6"),
    ],
)
def test_bad_ipv6_literals_are_logged(text: str, problem: str, caplog: pytest.LogCaptureFixture) -> None:
    assert literal_address(f"[IPv6:{text}]") is None
    assert caplog.messages == [f"valid_ipv6_hostaddr: {problem} address: {text}"]


def test_an_embedded_ipv4_address_is_judged_as_one(caplog: pytest.LogCaptureFixture) -> None:
    assert literal_address("[IPv6:::1:a.2.3.4]") is None
    assert literal_address("[IPv6:::0.1.2.3]") is None
    assert caplog.messages == [
        "valid_ipv4_hostaddr: invalid character 97(decimal): a.2.3.4",
        "valid_ipv4_hostaddr: bad initial octet value: 0.1.2.3",
    ]


def test_the_log_shows_100_octets(caplog: pytest.LogCaptureFixture) -> None:
    literal_address("[" + "x" * 200 + "]")
    assert caplog.messages == ["valid_ipv4_hostaddr: invalid character 120(decimal): " + "x" * 100]
