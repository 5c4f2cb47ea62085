"""How the tests are shared out among processes (pytest-xdist, ``--dist loadgroup``)."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file stay together: some files play their scenarios once. Comparisons with Postfix are alone."""
    for item in items:
        if item.get_closest_marker("sidebyside") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
