import pytest

from postfix_smtp.delivery.keys import KeyContext, destination_key, endpoint_key, key_form


def keys(version: tuple[int, ...], context: KeyContext, level: int = 0) -> tuple[str, str]:
    form = key_form(version)
    return (
        destination_key(form, context, "dest.example", level),
        endpoint_key(
            form, context, "dest.example", "mx1.dest.example", "127.0.0.2", 25, level, certificate_match=level > 2
        ),
    )


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 7, 11), ("smtp\ndest.example\n", "smtp\n127.0.0.2\n25\n0\n")),
        ((3, 10, 2), ("smtp\ndest.example\n", "smtp\n127.0.0.2\n25\n0\n")),
        ((3, 10, 3), ("smtp\ndest.example\n0\n", "smtp\n127.0.0.2\n25\n0\n")),
        ((3, 7, 17), ("smtp\ndest.example\n0\n0\n", "smtp\n127.0.0.2\n25\n0\n0\n")),
        ((3, 8, 12), ("smtp\ndest.example\n0\n0\n", "smtp\n127.0.0.2\n25\n0\n0\n")),
        ((3, 9, 5), ("smtp\ndest.example\n", "smtp\n127.0.0.2\n25\n0\n")),
        ((3, 10, 13), ("smtp\ndest.example\n0\n0\n", "smtp\n127.0.0.2\n25\n0\n0\n")),
        ((3, 11, 6), ("smtp\ndest.example\n0\n0\n0\n", "smtp\n127.0.0.2\n25\n0\n0\n0\n")),
    ],
)
def test_fields_by_version(version: tuple[int, ...], expected: tuple[str, str]) -> None:
    assert keys(version, KeyContext("smtp")) == expected


def test_passwords_and_the_sender_make_connections_private() -> None:
    context = KeyContext("smtp", "sender@sender.example", has_passwords=True)
    assert keys((3, 7, 11), context) == (
        "smtp\nsender@sender.example\ndest.example\n",
        "smtp\nsender@sender.example\ndest.example\nmx1.dest.example\n127.0.0.2\n25\n0\n",
    )


def test_a_certificate_that_must_match_makes_the_destination_part_of_the_key() -> None:
    assert keys((3, 7, 11), KeyContext("smtp"), 7)[1] == "smtp\ndest.example\n127.0.0.2\n25\n7\n"


def test_a_message_that_needs_smtputf8_has_connections_of_its_own() -> None:
    assert keys((3, 10, 13), KeyContext("smtp", smtputf8=True))[0] == "smtp\ndest.example\n0\n1\n"


def test_empty_and_awkward_fields() -> None:
    form = key_form((3, 7, 11))
    assert destination_key(form, KeyContext("smtp", ""), "a*b", 0) == "smtp\n*\nYSpi\n"
