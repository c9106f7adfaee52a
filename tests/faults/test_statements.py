"""Statements that hang, that somebody cancels, that a migration surprises: what becomes of them, and the answers."""

import time

import pytest

from endurance import left_nothing_behind
from load import Load
from observed import await_true
from world import World

# What asks for the session first: it hangs there.
COOKIE_CALLERS = ["stats", "export"] * 2
# SQLite is none of them: nothing in its client ends a statement that computes.
HANGS = {
    "postgres": "(SELECT pg_sleep(20)) IS NOT NULL",
    "mysql": "BENCHMARK(100000000, SHA2('hang', 512)) = 0",
}


def hang(world, table):
    """Puts a view in the table's place, and a statement that reads it does not end by itself in time."""
    world.execute(f"ALTER TABLE {table} RENAME TO hidden")
    world.execute(f"CREATE VIEW {table} AS SELECT * FROM hidden WHERE {HANGS[world.kind]}")
    if world.kind == "postgres":
        world.execute(f"GRANT ALL ON {table} TO {world.name}")


def heal(world, table):
    world.execute(f"DROP VIEW {table}")
    world.execute(f"ALTER TABLE hidden RENAME TO {table}")


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", list(HANGS))
def test_a_statement_that_hangs_is_ended_in_the_database(kind):
    with World(kind) as world:
        with Load(world.sidecar.port) as load:
            load.await_right()
        hang(world, "django_session")
        with Load(world.sidecar.port, callers=COOKIE_CALLERS) as load:
            load.last(1)
        # It would go on for a quarter of a minute.
        await_true(lambda: not world.busy_sessions(), 2, world.busy_sessions)
        wrong = [str(seen) for seen in load.seen if seen.status != 503 or seen.failed or seen.seconds > 5.5]
        assert not wrong
        heal(world, "django_session")
        with Load(world.sidecar.port) as load:
            load.await_right(5)
        left_nothing_behind(world)


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_statements_that_an_operator_cancels(kind):
    with World(kind) as world:
        with Load(world.sidecar.port, pause_seconds=0.01) as load:
            load.await_right()
            began = time.monotonic()
            connection = world.connect()
            cursor = connection.cursor()
            while time.monotonic() < began + 3:
                if kind == "postgres":
                    cursor.execute(
                        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                        f"WHERE usename = '{world.name}' AND state <> 'idle'"
                    )
                else:
                    for number, *_ in world.busy_sessions():
                        world.kill(f"QUERY {number}")
            connection.close()
            load.await_right(5)
        wrong = [str(seen) for seen in load.seen if seen.failed or seen.seconds > 5.5]
        assert not wrong, wrong[:10]
        assert [seen for seen in load.seen if not seen.right], "nobody's statement was hit"
        left_nothing_behind(world)


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", ["postgres", "mysql", "sqlite"])
def test_a_migration_under_load_is_not_noticed(kind):
    with World(kind) as world:
        with Load(world.sidecar.port) as load:
            load.await_right()
            for number in range(4):
                world.execute(f"ALTER TABLE auth_user ADD COLUMN more{number} integer NOT NULL DEFAULT 0")
                load.last(0.5)
                world.execute(f"CREATE INDEX added{number} ON auth_user (more{number})")
            for column in ("last_name", "email"):
                if kind == "postgres":
                    world.execute(f"ALTER TABLE auth_user ALTER COLUMN {column} TYPE text")
                elif kind == "mysql":
                    world.execute(f"ALTER TABLE auth_user MODIFY {column} varchar(300) NOT NULL")
                load.last(0.5)
            load.await_right(5)
        wrong = [str(seen) for seen in load.seen if not seen.right or seen.seconds > 5]
        assert not wrong, wrong[:10]
        left_nothing_behind(world)
