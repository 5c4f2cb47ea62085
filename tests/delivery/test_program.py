"""The delivery program's start: what is opened and checked, and in which order."""

import subprocess

import pytest

from compat.world import World

NO_SLEEP = "import time\ntime.sleep = lambda _: None\n"


def start(*settings: str) -> tuple[int, list[str]]:
    """Start with these settings and no client: exit status, and what was logged."""
    with World(prepare=NO_SLEEP) as world:
        options = [word for setting in settings for word in ("-o", setting)]
        done = subprocess.run(
            [*world.command("smtp"), "-S", *options],
            env=world.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            cwd="/",
            check=False,
        )
        return done.returncode, list(world.log.texts)


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        (["mydestination=!"], ["fatal: mydestination: no pattern after '!'"]),
        (
            ["parent_domain_matches_subdomains=!", "mydestination=!"],
            ["fatal: parent_domain_matches_subdomains: no pattern after '!'"],
        ),
        (
            ["propagate_unmatched_extensions=foo", "smtp_generic_maps=foo:bar"],
            ['fatal: unknown propagate_unmatched_extensions value "foo" in "foo"'],
        ),
        (
            ["smtp_header_checks=foo:bar", "mydestination=!"],
            ["error: unsupported dictionary type: foo", "fatal: mydestination: no pattern after '!'"],
        ),
    ],
)
def test_parameters_that_nothing_uses_are_checked_as_by_postfix(settings: list[str], texts: list[str]) -> None:
    assert start(*settings) == (1, texts)


def test_a_table_of_an_unused_list_that_cannot_be_opened_is_an_error_only() -> None:
    assert start("mydestination=foo:bar") == (0, ["error: unsupported dictionary type: foo"])
