"""The database server itself fails under load: stopped, killed, frozen, out of connections, started late."""

import signal

import pytest

from faults.endurance import endure
from support.scenario import OwnServer, Scenario
from support.waiting import await_true

# When the database stops answering, the first requests that time out make all others fail at once.
KNOWN_AFTER_SECONDS = 6
DATABASES = pytest.mark.parametrize("kind", ["postgres", "mysql"])


# PostgreSQL's fast and immediate shutdown; for MariaDB its only one, and none at all.
@pytest.mark.side_by_side
@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("postgres", signal.SIGINT), ("postgres", signal.SIGQUIT), ("mysql", signal.SIGTERM),
        ("mysql", signal.SIGKILL),
    ],
)
def test_a_server_that_is_stopped_and_started(kind, number):
    with OwnServer(kind) as server, Scenario(kind, server) as scenario:
        endure(scenario, lambda: server.halt(number), server.resume, known_down_after=1.5)


@pytest.mark.side_by_side
@DATABASES
def test_a_server_that_freezes(kind):
    with OwnServer(kind) as server, Scenario(kind, server) as scenario:
        endure(scenario, server.freeze, server.thaw, known_down_after=KNOWN_AFTER_SECONDS)


@pytest.mark.side_by_side
@DATABASES
def test_a_server_that_gives_out_three_connections(kind):
    with Scenario(kind) as scenario:

        def begin():
            limit(scenario, 3)

        judgement = endure(scenario, begin, lambda: limit(scenario, None), lasts=8)
    # The callers share the three connections; only requests that were cut off get 503.
    during = [seen for seen in judgement.seen if judgement.begun + 1 < seen.began < judgement.ending]
    refused = [str(seen) for seen in during if not seen.right]
    assert not refused, refused[:10]


@pytest.mark.side_by_side
@DATABASES
def test_a_server_that_gives_out_no_connections_for_a_while(kind):
    with Scenario(kind) as scenario:

        def begin():
            limit(scenario, 0)

        endure(scenario, begin, lambda: limit(scenario, None), lasts=5, known_down_after=1)


def limit(scenario, most):
    """Limits the role to `most` connections and closes the open ones; `None` removes the limit."""
    if scenario.kind == "postgres":
        scenario.execute(f"ALTER ROLE {scenario.name} CONNECTION LIMIT {-1 if most is None else most}")
    else:
        # No limit is 0 there, so that none at all has to be said in another way.
        scenario.execute(f"ALTER USER {scenario.name}@'127.0.0.1' WITH MAX_USER_CONNECTIONS {most or 0}")
        scenario.execute(f"ALTER USER {scenario.name}@'127.0.0.1' ACCOUNT {'LOCK' if most == 0 else 'UNLOCK'}")
    if most is not None:
        for number, *_ in scenario.sessions():
            scenario.kill(number)
        await_true(lambda: len(scenario.sessions()) <= most, 5, "the sessions end")
