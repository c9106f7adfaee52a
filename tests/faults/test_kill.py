"""kill -9 in the middle of exports and logins: each login's writes are all there or not at all."""

import threading
import time

import pytest

from support import django_sessions, wire
from support.django_sessions import as_time, decoded
from support.passwords import PASSWORD
from support.scenario import REQUESTS, Scenario, login_request
from support.waiting import await_true

# Each of them logs in again and again, one login at a time: so the row of the last login is the latest.
NAMES = [f"user{number}" for number in range(4)]
# How long each process lives after its first login, in seconds.
LIVES = [0.05 + 0.04 * number for number in range(12)]


class Callers:
    """Three clients that export, and four that log in, until the server is gone."""

    def __init__(self, port):
        self.port = port
        # Counted by appending, which threads may do at once.
        self.logins, self.exports = [], []
        calls = [self.export] * 3 + [self.log_in] * len(NAMES)
        names = [None] * 3 + NAMES
        self.threads = [threading.Thread(target=self.call, args=pair) for pair in zip(calls, names)]
        for thread in self.threads:
            thread.start()

    def call(self, ask, name):
        try:
            while True:
                ask(name)
        except (OSError, AssertionError):
            return  # It was killed.

    def export(self, _):
        answer = wire.ask(self.port, REQUESTS["export"][0])
        assert answer.status == 200
        # What was cut off can be seen: it is shorter than it says.
        if len(answer.body) == int(answer.one("Content-Length")):
            self.exports.append(answer.status)

    def log_in(self, name):
        answer = wire.ask(self.port, login_request(PASSWORD, name))
        assert answer.status == 200
        self.logins.append(answer.status)

    def join(self):
        for thread in self.threads:
            thread.join()


def seconds_of(timestamp):
    """The time in a signature, as `TimestampSigner` writes it."""
    seconds = 0
    for digit in timestamp:
        seconds = 62 * seconds + django_sessions.BASE62.index(digit)
    return seconds


# One statement, which sees one snapshot: a server may still end the last commit that a killed process had sent.
ROWS = """SELECT session_data, NULL, NULL FROM django_session WHERE expire_date < '2099-01-01'
UNION ALL SELECT NULL, id, last_login FROM auth_user WHERE last_login IS NOT NULL"""


def check_rows(scenario):
    """Every session row is whole, and each user's latest was signed at the user's `last_login`; how many there are."""
    latest = {}
    rows = scenario.execute(ROWS)
    sessions = [data for data, user, _ in rows if user is None]
    for data in sessions:
        value, timestamp, _ = data.rsplit(":", 2)
        assert django_sessions.sign(value, timestamp=timestamp) == data
        user = int(decoded(data)["_auth_user_id"])
        latest[user] = max(latest.get(user, 0), seconds_of(timestamp))
    assert {user: int(as_time(when).timestamp()) for _, user, when in rows if user is not None} == latest
    return len(sessions)


# Most of a login's transaction is then spent between its two writes, so that most of the kills fall there.
SLOW_UPDATE = {
    "postgres": [
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$",
        "CREATE TRIGGER slow BEFORE UPDATE ON auth_user FOR EACH ROW EXECUTE FUNCTION slow()",
    ],
    "mysql": ["CREATE TRIGGER slow BEFORE UPDATE ON auth_user FOR EACH ROW DO SLEEP(0.1)"],
    "sqlite": [],
}


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", ["postgres", "mysql", "sqlite"])
def test_a_killed_process_leaves_no_half_written_session(kind):
    with Scenario(kind, users=5000) as scenario:
        for statement in SLOW_UPDATE[kind]:
            scenario.execute(statement)
        logins = exports = 0
        for life in LIVES:
            callers = Callers(scenario.sidecar.port)
            await_true(lambda: callers.logins, 20, "the first login")
            time.sleep(life)
            scenario.sidecar.process.kill()
            scenario.sidecar.process.wait()
            callers.join()
            logins, exports = logins + len(callers.logins), exports + len(callers.exports)
            # Each confirmed login has its row; one that was cut off may have a row or not.
            found = check_rows(scenario)
            assert logins <= found <= logins + len(LIVES) * len(NAMES)
            scenario.start()
        assert logins >= 2 * len(LIVES) and exports
        if kind == "sqlite":
            assert scenario.execute("PRAGMA integrity_check") == [("ok",)]
        for caller, (request, status) in REQUESTS.items():
            assert wire.ask(scenario.sidecar.port, request).status == status, caller
