"""Jobs whose callers have left, queries that break their connection, and attempts to connect that take long or hang."""

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from faults.endurance import left_nothing_behind
from faults.test_statements import heal, hang
from support import wire
from support.load import Load
from support.name_server import NameServer
from support.scenario import REQUESTS, Scenario, login_request
from support.waiting import await_true

SERVERS = pytest.mark.parametrize("kind", ["postgres", "mysql"])
CALLERS = 11
# A caller waits for the database for 5 s. The database ends a statement after 4 s.
PATIENCE_SECONDS, STATEMENT_SECONDS = 5, 4


@pytest.mark.side_by_side
@SERVERS
def test_no_statement_begins_when_its_callers_have_left(kind):
    with Scenario(kind) as scenario:
        with Load(scenario.sidecar.port) as load:
            load.await_right()
        hang(scenario, "django_session")
        began = time.monotonic()
        with ThreadPoolExecutor(CALLERS) as pool:
            answers = list(pool.map(lambda _: wire.ask(scenario.sidecar.port, REQUESTS["stats"][0]), range(CALLERS)))
        assert {answer.status for answer in answers} == {503}
        assert time.monotonic() < began + PATIENCE_SECONDS + 0.5
        left = time.monotonic()
        while time.monotonic() < left + STATEMENT_SECONDS:
            seconds = time.monotonic() - left - 0.5
            new = {
                "postgres": f"state = 'active' AND query_start > now() - interval '{seconds} s'",
                "mysql": f"info LIKE '%django_session%' AND time_ms < {seconds * 1000}",
            }
            assert seconds < 0 or not scenario.sessions(new[kind])
            time.sleep(0.2)
        assert not scenario.busy_sessions()
        heal(scenario, "django_session")
        with Load(scenario.sidecar.port) as load:
            load.await_right(5)
        left_nothing_behind(scenario)


@pytest.mark.side_by_side
def test_a_query_that_ends_its_backend_runs_twice_at_most():
    with Scenario() as scenario:
        with Load(scenario.sidecar.port) as load:
            load.await_right()
        scenario.execute("ALTER TABLE django_session RENAME TO hidden")
        scenario.execute(
            "CREATE VIEW django_session AS SELECT * FROM hidden WHERE pg_terminate_backend(pg_backend_pid())"
        )
        scenario.execute(f"GRANT ALL ON django_session TO {scenario.name}")

        def killed():
            return scenario.execute(
                f"SELECT sessions_killed FROM pg_stat_database WHERE datname = '{scenario.name}'"
            )[0][0]

        before = killed()
        answer = wire.ask(scenario.sidecar.port, REQUESTS["stats"][0])
        assert answer.status == 503 and answer.one("Retry-After")
        await_true(lambda: killed() > before, 2, "the server counts them")
        assert killed() - before <= 2
        heal(scenario, "django_session")
        with Load(scenario.sidecar.port) as load:
            load.await_right(5)
        left_nothing_behind(scenario, some_died_unused=True)


class Slow(Scenario):
    """Each packet takes 0.3 s, in both directions."""

    def before_start(self):
        self.proxy.delay(0.3)


@pytest.mark.side_by_side
@SERVERS
def test_on_a_slow_link_the_first_connection_takes_long_and_then_all_is_served(kind):
    with Slow(kind, proxied=True) as scenario:
        began = time.monotonic()
        while wire.ask(scenario.sidecar.port, REQUESTS["readyz"][0]).status != 200:
            assert time.monotonic() < began + 20
            time.sleep(0.5)
        with Load(scenario.sidecar.port, callers=["unknown session", "readyz"], pause_seconds=0.5) as load:
            load.last(10)
        # New connections may be needed at first.
        wrong = [str(seen) for seen in load.seen if seen.failed or (not seen.right and seen.began > 5)]
        assert not wrong, wrong
        assert [seen for seen in load.seen if seen.right and seen.began > 5]
        scenario.proxy.heal()
        left_nothing_behind(scenario)


class Silent(Scenario):
    """The database's host has a name, and the name server is silent."""

    def before_start(self):
        folder = self.directory
        (folder / "resolv.conf").write_text(f"nameserver {ADDRESS}\n")
        (folder / "nsswitch.conf").write_text("hosts: dns\n")
        mounts = " && ".join(f"mount --bind {folder}/{name} /etc/{name}" for name in ("resolv.conf", "nsswitch.conf"))
        self.shell = f"""exec unshare --mount sh -c '{mounts} && exec "$@"' sh "$@" """
        self.url = self.url.replace("127.0.0.1", "database.test")


ADDRESS = "127.0.0.99"


@pytest.mark.side_by_side
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a resolv.conf, which root alone may do")
def test_behind_a_silent_name_server_the_database_is_known_to_be_down():
    with NameServer(ADDRESS) as name_server, Silent() as scenario:
        with Load(scenario.sidecar.port) as load:
            load.last(9)
            name_server.answers = True
            answered = load.now()
            # The system's resolver asks again after 5 s.
            load.await_right(8)
        wrong = [str(seen) for seen in load.seen if seen.failed or seen.seconds > 5.5]
        assert not wrong, wrong[:10]
        slow = [str(seen) for seen in load.seen if 6 < seen.began < answered - 1 and seen.seconds > 0.6]
        assert not slow, slow[:10]


@pytest.mark.side_by_side
def test_an_sqlite_file_that_is_writable_again_takes_logins_at_once():
    # Root may write to any file, so the sidecar runs as another user.
    shell = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"' if os.geteuid() == 0 else None
    with Scenario("sqlite", shell=shell) as scenario:
        file = scenario.database_url.removeprefix("sqlite:///")
        scenario.directory.chmod(0o777)
        os.chmod(file, 0o444)
        with Load(scenario.sidecar.port, callers=["stats", "unknown session"] * 4) as load:
            load.await_right()
        assert wire.ask(scenario.sidecar.port, login_request()).status == 503
        os.chmod(file, 0o666)
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o666
        for _ in range(3):
            assert wire.ask(scenario.sidecar.port, login_request()).status == 200
