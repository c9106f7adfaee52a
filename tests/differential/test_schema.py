"""schema/*.sql is Django's own DDL: what a live Django's `migrate` creates today must be what was recorded."""

import pytest

from schema import record
from support import reference


def test_the_recorded_schema_is_what_migrate_creates(bench):
    if bench.django != reference.SUITE:
        pytest.skip(f"recorded from Django {reference.SUITE}")
    if bench.database == "sqlite":
        location = bench.directory / "recorded.db"
        url = f"sqlite:///{location}"
    else:
        location = url = reference.new_database(bench.databases.server_url, "recorded_schema")
    reference.prepare(url, "--schema-only")
    on_file = (record.SCHEMA / f"{bench.database}.sql").read_text()
    assert record.recorded(bench.database, location) == on_file
