"""Statements that hang, are cancelled, or meet a migration: they end in time, and the answers are right or 503."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from faults.endurance import left_nothing_behind
from faults.lock import held
from faults.view import HANGS, hang, put_view, remove_view
from support import wire
from support.client import Client
from support.load import Load
from support.scenario import EXPORTED_USERS, REQUESTS, Scenario
from support.waiting import await_true

# What asks for the session first: it hangs there.
COOKIE_CALLERS = ["stats", "export"] * 2


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", list(HANGS))
def test_a_statement_that_hangs_is_ended_in_the_database(kind):
    with Scenario(kind) as scenario:
        with Load(scenario.sidecar.port) as load:
            load.await_right()
        hang(scenario, "django_session")
        with Load(scenario.sidecar.port, callers=COOKIE_CALLERS) as load:
            load.last(1)
        # It would go on for a quarter of a minute.
        await_true(lambda: not scenario.busy_sessions(), 2, scenario.busy_sessions)
        wrong = [str(seen) for seen in load.seen if seen.status != 503 or seen.failed or seen.seconds > 5.5]
        assert not wrong
        remove_view(scenario, "django_session")
        with Load(scenario.sidecar.port) as load:
            load.await_right(5)
        left_nothing_behind(scenario)


@pytest.mark.side_by_side
def test_a_long_statement_goes_on_while_short_ones_have_all_lanes_full():
    with Scenario() as scenario:
        stats = REQUESTS["stats"][0]
        assert wire.ask(scenario.sidecar.port, stats).status == 200
        # Nine seconds for the statistics, no delay for a user found by key.
        slow = f"CASE WHEN id <= 2 THEN TRUE ELSE pg_sleep(9.0 / {EXPORTED_USERS}) IS NOT NULL END"
        put_view(scenario, "auth_user", f"SELECT * FROM hidden WHERE {slow}")
        client = Client(scenario.sidecar.port, keeps=False)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.ask, stats)
            await_true(scenario.busy_sessions, 2, "the statistics are read")
            lock = scenario.connect()
            cursor = lock.cursor()
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE django_session IN ACCESS EXCLUSIVE MODE")
            with Load(scenario.sidecar.port, callers=["unknown session"] * 24, pause_seconds=0.01) as load:
                load.last(6)
                lock.close()
                load.await_right(5)
            assert answer.result().status == 200
        wrong = [str(seen) for seen in load.seen if seen.failed or seen.seconds > 5.5]
        assert not wrong, wrong[:10]


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_statements_that_an_operator_cancels(kind):
    with Scenario(kind) as scenario:
        with Load(scenario.sidecar.port, pause_seconds=0.01) as load:
            load.await_right()
            began = time.monotonic()
            while time.monotonic() < began + 3:
                # A statement that waits for the lock can't end before it is cancelled.
                with held(scenario):
                    await_true(scenario.busy_sessions, 2, "a statement waits for the lock")
                    for number, *_ in scenario.busy_sessions():
                        if kind == "postgres":
                            scenario.execute(f"SELECT pg_cancel_backend({number})")
                        else:
                            scenario.kill(f"QUERY {number}")
                load.last(0.1)
            load.await_right(5)
        wrong = [str(seen) for seen in load.seen if seen.failed or seen.seconds > 5.5]
        assert not wrong, wrong[:10]
        assert [seen for seen in load.seen if not seen.right], "no statement was hit"
        left_nothing_behind(scenario)


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", ["postgres", "mysql", "sqlite"])
def test_a_migration_under_load_is_not_noticed(kind):
    with Scenario(kind) as scenario:
        with Load(scenario.sidecar.port) as load:
            load.await_right()
            for number in range(4):
                scenario.execute(f"ALTER TABLE auth_user ADD COLUMN more{number} integer NOT NULL DEFAULT 0")
                load.last(0.5)
                scenario.execute(f"CREATE INDEX added{number} ON auth_user (more{number})")
            for column in ("last_name", "email"):
                if kind == "postgres":
                    scenario.execute(f"ALTER TABLE auth_user ALTER COLUMN {column} TYPE text")
                elif kind == "mysql":
                    scenario.execute(f"ALTER TABLE auth_user MODIFY {column} varchar(300) NOT NULL")
                load.last(0.5)
            load.await_right(5)
        wrong = [str(seen) for seen in load.seen if not seen.right or seen.seconds > 5]
        assert not wrong, wrong[:10]
        left_nothing_behind(scenario)
