import pytest

from postfix_smtp.routing.names import is_address, numeric_address, to_ascii


@pytest.mark.parametrize(
    "text",
    [
        *("192.0.2.1", "0.0.0.0", "00.0.0.0", "192.0.2.0001", "09.0.0.1", "255.255.255.255"),
        *(
            "::",
            "::1",
            "1::",
            "2001:DB8:0:0::1",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6::",
            "::3:4:5:6:7:8",
            "::ffff:010.0.0.1",
        ),
        *("::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7", "1:2:3"),
        "0" * 5000 + "1.1.1.1",
    ],
)
def test_what_has_the_syntax_of_an_address(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "0.1.2.3", "00.1.2.3", "192.0.2.256", "192.0.2.1.", "192.0.2", "1..2.3", "1.2.3.4.5", "0x7f.0.0.1"),
        *(":", ":::", "1:::2", "1::2::3", "1:2", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "::12345"),
        *(
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:1.2.3.4",
            "::1.2.3.4:5",
            "::0.1.2.3",
            "::g",
            "::1:",
            "::1%lo",
            "1:1.2.3.4",
        ),
        *("192.0.2.1 ", "192.0.2.1\n", "::1\n", "١.1.1.1", "1" * 5000 + ".1.1.1"),
    ],
)
def test_what_has_not(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::FFFF:192.0.2.1", "::ffff:192.0.2.1"),
        ("0xC0.0.2.1", "192.0.2.1"),
        ("010.0.0.1", "8.0.0.1"),
        ("09.0.0.1", None),
        ("::ffff:010.0.0.1", None),
        ("1:2:3:4:5:6:7", None),
        ("mx.test", None),
    ],
)
def test_the_address_that_a_host_is(host: str, address: str | None) -> None:
    assert numeric_address(host) == address


@pytest.mark.parametrize(
    ("name", "ascii_name"),
    [
        ("mx.test", "mx.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("Straße.TEST", "xn--strae-oqa.test"),
        ("a。test", "a.test"),
        ("bü_cher.test", "xn--b_cher-3ya.test"),
        ("☃.test", "xn--n3h.test"),
        ("ab--ü.test", None),
        ("\u0301a.test", None),
        ("\u200dü.test", "xn--tda910n.test"),
        ("aא.test", "xn--a-0hc.test"),
        ("-ü.test", None),
        ("ü-.test", None),
        ("xn--a-ü.test", None),
        ("ü..test", None),
        ("ü" * 63 + ".test", None),
    ],
)
def test_the_a_label_form(name: str, ascii_name: str | None) -> None:
    assert to_ascii(name) == ascii_name
