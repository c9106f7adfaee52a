"""A view in the place of a table that the sidecar reads."""

# Statements that read it do not end by themselves in time. SQLite is not among them: nothing in its client ends a statement
# that computes.
HANGS = {
    "postgres": "(SELECT pg_sleep(20)) IS NOT NULL",
    "mysql": "BENCHMARK(100000000, SHA2('hang', 512)) = 0",
}


def put_view(scenario, table, query):
    """Puts a view in the table's place; `query` reads `hidden`, which is the table."""
    scenario.execute(f"ALTER TABLE {table} RENAME TO hidden")
    scenario.execute(f"CREATE VIEW {table} AS {query}")
    if scenario.kind == "postgres":
        scenario.execute(f"GRANT ALL ON {table} TO {scenario.name}")


def remove_view(scenario, table):
    scenario.execute(f"DROP VIEW {table}")
    scenario.execute(f"ALTER TABLE hidden RENAME TO {table}")


def hang(scenario, table):
    """A statement that reads the table does not end by itself in time."""
    put_view(scenario, table, f"SELECT * FROM hidden WHERE {HANGS[scenario.kind]}")
