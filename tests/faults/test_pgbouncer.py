"""PgBouncer in transaction mode: twenty callers share two server connections, and leave no state on them."""

import collections
import contextlib
import itertools
import re
import threading

import pytest

from faults.pgbouncer import SERVER_CONNECTIONS, Bouncer
from support import reference, servers, wire
from support.client import Client
from support.scenario import REQUESTS, Scenario, logout_request
from support.waiting import await_true

REQUESTS_IN_ALL = 10_000
CLIENTS = 20
MIX = (
    "stats", "unknown session", "export", "stats", "login", "unknown session", "readyz", "stats", "anonymous", "basic",
    "stats", "unknown session", "export", "stats", "healthz", "unknown session", "stats", "wrong password", "readyz",
    "stats",
)
# More exports or passwords at a time would be turned away, as they should be.
HASHING = threading.Semaphore(2)
AT_ONCE = {"export": threading.Semaphore(3), "basic": HASHING, "login": HASHING, "wrong password": HASHING}
# What a transaction of the sidecar's sets; none of it may be there for the next.
SETTINGS = (
    "statement_timeout", "lock_timeout", "default_transaction_read_only", "transaction_read_only",
    "idle_in_transaction_session_timeout", "max_parallel_workers_per_gather", "synchronize_seqscans", "search_path",
    "TimeZone", "DateStyle", "client_encoding", "standard_conforming_strings",
)


@pytest.fixture
def scenario():
    with Scenario(settings={"SIDECAR_PREPARED_STATEMENTS": "off"}) as made:
        yield made


def test_ten_thousand_requests_over_two_server_connections(pgbouncer_program, scenario):
    as_new = settings_of(reference.connect(scenario.url))
    direct = {name: contents(wire.ask(scenario.sidecar.port, request)) for name, (request, _) in REQUESTS.items()}
    scenario.sidecar.stop()
    with Bouncer(pgbouncer_program, scenario) as bouncer:
        await_true(lambda: not scenario.sessions(), 5, "the first sidecar's sessions end")
        scenario.url = bouncer.url()
        scenario.start()
        rows_before = scenario.execute("SELECT count(*) FROM django_session")
        numbers = itertools.count()
        wrong, most, answered = [], [], collections.Counter()

        def call():
            client = Client(scenario.sidecar.port, keeps=True)
            while (number := next(numbers)) < REQUESTS_IN_ALL:
                name = MIX[number % len(MIX)]
                with AT_ONCE.get(name, contextlib.nullcontext()):
                    answer = ask(client, name, *REQUESTS[name])
                if name == "login" and answer:
                    key = re.search(r"sessionid=([a-z0-9]+)", answer.one("Set-Cookie"))[1]
                    ask(client, "logout", logout_request(key), 200)
            client.close()

        def ask(client, name, request, right_status):
            try:
                answer = client.ask(request)
            except (OSError, AssertionError) as error:
                wrong.append(f"{name}: {error!r}")
                return None
            answered[name] += 1
            if answer.status != right_status or contents(answer) != direct.setdefault(name, contents(answer)):
                wrong.append(f"{name}: {answer.status} {answer.body[:200]!r}")
                return None
            return answer

        threads = [threading.Thread(target=call) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most.append(len(scenario.sessions()))
            threads[0].join(0.2)
        for thread in threads:
            thread.join()
        print(f"answered: {dict(answered)}", flush=True)
        assert not wrong, f"{len(wrong)}: {wrong[:20]}"
        assert all(answered[name] >= REQUESTS_IN_ALL // len(MIX) for name in REQUESTS), answered
        assert 0 < max(most) <= SERVER_CONNECTIONS
        # What the sidecar left on the server's connections is nothing: each is what a new one is.
        assert scenario.execute("SELECT count(*) FROM django_session") == rows_before
        assert left_on_them(bouncer.url()) == [as_new] * SERVER_CONNECTIONS


@pytest.mark.parametrize(
    ("configuration", "prepares", "level", "words"),
    [
        ("", "on", "error", "it refuses the limits that the sidecar sends"),
        ("", "off", "ok", "SIDECAR_PREPARED_STATEMENTS=off is right for it"),
        ("ignore_startup_parameters = options", "on", "error", "do not arrive"),
        ("ignore_startup_parameters = options", "off", "ok", "right for a pooler in transaction mode"),
    ],
)
def test_check_sees_it(pgbouncer_program, scenario, configuration, prepares, level, words):
    with Bouncer(pgbouncer_program, scenario, configuration) as bouncer:
        code, findings = servers.check(bouncer.url(), SIDECAR_PREPARED_STATEMENTS=prepares)
    [pooler] = findings["database.pooler"]
    assert pooler["level"] == level and words in pooler["text"]
    assert level == "ok" or pooler["advice"] == "set SIDECAR_PREPARED_STATEMENTS=off"
    # Everything else is looked at all the same.
    assert findings["session.users"][0]["level"] == "ok"
    assert code == (1 if level == "error" else 0)


def test_check_sees_none_where_there_is_none(scenario):
    _, findings = servers.check(scenario.url, SIDECAR_PREPARED_STATEMENTS="on")
    assert findings["database.pooler"][0]["text"] == "no pooler is seen between"


def contents(answer):
    """What an answer says: neither its date, nor its request's id, nor a session's key."""
    names = {"date", "set-cookie", "connection", "x-request-id"}
    headers = sorted((name, value) for name, value in answer.headers if name.lower() not in names)
    return answer.status, headers, answer.body


def settings_of(connection):
    cursor = connection.cursor()
    found = {}
    for name in SETTINGS:
        cursor.execute(f"SHOW {name}")
        found[name] = cursor.fetchone()[0]
    cursor.execute("SELECT count(*) FROM pg_prepared_statements")
    found["prepared statements"] = cursor.fetchone()[0]
    cursor.execute("SELECT count(*) FROM pg_cursors WHERE is_holdable")
    found["held cursors"] = cursor.fetchone()[0]
    return found


def left_on_them(url):
    """The settings of both server connections: a transaction on each at the same time."""
    connections = [reference.connect(url) for _ in range(SERVER_CONNECTIONS)]
    processes = set()
    for connection in connections:
        connection.autocommit = False
        cursor = connection.cursor()
        cursor.execute("SELECT pg_backend_pid()")
        processes.add(cursor.fetchone()[0])
    assert len(processes) == SERVER_CONNECTIONS
    found = [settings_of(connection) for connection in connections]
    for connection in connections:
        connection.close()
    return found
