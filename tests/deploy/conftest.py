"""The paths of what the suites share, and the database, Django and the proxies that these tests start from."""

import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# `faults` for what waits and looks at processes; `differential` for servers and bytes on a socket.
for directory in (HERE.parent / "faults", HERE.parent / "differential", HERE.parent, HERE):
    sys.path.insert(0, str(directory))

import sites  # noqa: E402
from provide import clusters  # noqa: E402


def skipped_without_the_program():
    """Without a server's program there is nothing to test."""
    try:
        return (yield)
    except clusters.Unavailable as error:
        pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    return (yield from skipped_without_the_program())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    return (yield from skipped_without_the_program())


@pytest.fixture(scope="session")
def templates():
    """SQLite databases of the reference project: as it is seeded, and with very many users."""
    with tempfile.TemporaryDirectory(prefix="deploy-") as directory:
        yield sites.Templates(Path(directory))


@pytest.fixture
def site(templates):
    """Makes sites that are gone with the test: `site(kind, ...)`."""
    made = []

    def make(*arguments, **more):
        made.append(sites.Site(templates, *arguments, **more))
        return made[-1].start()

    yield make
    for one in made:
        one.close()
