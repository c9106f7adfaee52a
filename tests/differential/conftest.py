"""The suite's options, and the bench: databases and pairs of servers, started when a case first needs them."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from differential import cases, databases
from support import servers

# A file's cases alternate between a few pairs. More would need too many connections of a database server.
PAIRS_AT_ONCE = 8


def pytest_addoption(parser):
    parser.addoption("--database", default="sqlite", choices=("sqlite", "postgres", "mysql"))
    parser.addoption("--django", default="5.2", help="the Django version to compare with")
    parser.addoption("--oracle-only", action="store_true", help="ask Django alone: are the expected statuses right?")


def pytest_collection_modifyitems(config, items):
    """Leaves out the cases that are not for this database or version."""
    database, django = config.getoption("database"), config.getoption("django")
    kept, left_out = [], []
    for item in items:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")
        fits = not case or (
            (not case.databases or database in case.databases) and (not case.versions or django in case.versions)
        )
        (kept if fits else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


class Bench:
    def __init__(self, database, django, oracle_only):
        self.database = database
        self.django = django
        self.oracle_only = oracle_only
        self.directory = Path(tempfile.mkdtemp(prefix="differential-"))
        server_url = os.environ.get({"postgres": "TEST_POSTGRES_URL", "mysql": "TEST_MYSQL_URL"}.get(database, ""), "")
        self.databases = databases.Databases(database, server_url, django, self.directory)
        self.pairs = {}

    def pair(self, variant):
        """The variant's servers. The pair that was used least recently is stopped when there are too many."""
        self.pairs[variant.name] = self.pairs.pop(variant.name, None) or self.started(variant)
        while len(self.pairs) > PAIRS_AT_ONCE:
            self.stop(self.pairs.pop(next(iter(self.pairs))))
        return self.pairs[variant.name]

    def started(self, variant):
        copies = self.databases.pair(variant.model)
        own = copies[0] if variant.shared else copies[1]
        django = servers.Django(variant, copies[0].url, self.django, self.directory)
        sidecar = None if self.oracle_only else servers.Sidecar(variant, own.sidecar_url(*variant.powers), self.directory)
        return cases.Pair(variant, copies, django, sidecar)

    @staticmethod
    def stop(pair):
        for server in filter(None, (pair.django, pair.sidecar)):
            server.stop()

    def check(self, case):
        cases.run(case, self.pair(case.variant), self.database, self.django)

    def scenario(self, variant):
        """For a test that sends more than one request."""
        return cases.Scenario(self.pair(variant), self.database, self.django)

    def close(self):
        for pair in self.pairs.values():
            self.stop(pair)
        self.databases.close()
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def bench(request):
    option = request.config.getoption
    made = Bench(option("database"), option("django"), option("oracle_only"))
    yield made
    made.close()
