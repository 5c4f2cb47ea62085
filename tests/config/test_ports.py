"""known_tcp_ports, with the warnings of Postfix 3.7.11."""

import pytest

from postfix_smtp.config.ports import known_ports


def test_names_share_a_port() -> None:
    assert known_ports("lmtp=24, smtp = 25, smtps=submissions=465") == {
        "lmtp": "24",
        "smtp": "25",
        "smtps": "465",
        "submissions": "465",
    }


@pytest.mark.parametrize(
    ("item", "trouble"),
    [
        ("foo", ' is not in "name = value" form'),
        ("a=", ': missing port value after "="'),
        ("=5", ': missing service name before "="'),
        ("a==5", ': missing service name before "="'),
        ("a b=5", ": whitespace in service name"),
        ("x=7 y", ": whitespace in port number"),
        ("a = b=d", ": non-numerical service port"),
        ("5=6", ": numerical service name"),
        (" ok=7", ": duplicate service name"),
    ],
)
def test_a_bad_item_is_told_and_the_others_count(item: str, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    assert known_ports(f"ok=1,{item},fine=2") == {"ok": "1", "fine": "2"}
    assert caplog.messages == [f'known_tcp_ports: in "{item}"{trouble}']


def test_empty_items_are_none(caplog: pytest.LogCaptureFixture) -> None:
    assert known_ports(",,ok=1,,") == {"ok": "1"}
    assert caplog.messages == []
