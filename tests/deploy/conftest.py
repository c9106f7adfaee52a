"""The reference project's databases, and sites: Django, sidecars and a proxy."""

import tempfile
from pathlib import Path

import pytest

from deploy import sites


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
