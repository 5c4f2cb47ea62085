"""How the tests are shared out among processes (pytest-xdist, ``--dist loadgroup``)."""

from collections.abc import Generator

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file stay together: some files play their scenarios once. Comparisons with Postfix are alone."""
    for item in items:
        if item.get_closest_marker("sidebyside") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _printable(text: str) -> str:
    """Octets that are no UTF-8 travel as surrogates here; pytest-xdist cannot send those between processes."""
    return text.encode("utf-8", "backslashreplace").decode()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reports without surrogates."""
    report = yield
    report.sections = [(title, _printable(text)) for title, text in report.sections]
    if report.longrepr is not None and not isinstance(report.longrepr, tuple):
        text = str(report.longrepr)
        if text != _printable(text):
            report.longrepr = _printable(text)
    return report
