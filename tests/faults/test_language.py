"""A server whose messages are German: what is an outage stays 503, and what the server refuses stays 500, as Django's views
answer it."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from faults.lock import held
from support import wire
from support.load import judge
from support.reference import connect
from support.scenario import REQUESTS, OwnServer, Scenario
from support.waiting import await_true

DATABASES = pytest.mark.parametrize("kind", ["postgres", "mysql"])
COLUMNS = (
    "id, password, last_login, is_superuser, username, first_name, last_name, is_staff, is_active, date_joined, is_tv_user, "
    "is_movie_user"
)
# The caller is user 1: finding him takes no time, and fails for no other user's row.
HANGS = {
    "postgres": "CASE WHEN id <= 2 THEN TRUE ELSE pg_sleep(0.05) IS NOT NULL END",
    # A warning stands before the error in the server's list.
    "mysql": "CASE WHEN id <= 2 THEN TRUE WHEN id = 3 THEN 'warned' + 0 = 0 ELSE BENCHMARK(1000000, SHA2('hang', 512)) = 0 END",
}
# A value that can't be computed.
FAILS = {
    "postgres": "CASE WHEN id <= 2 THEN email ELSE (1 / (id - 5))::text END",
    "mysql": "CASE WHEN id <= 2 THEN email ELSE (SELECT email FROM hidden) END",
}

# So that users don't fit into it.
SMALL_MEMORY = {
    "postgres": "ALTER ROLE {role} SET work_mem = '64kB'",
    "mysql": "SET GLOBAL tmp_memory_table_size = 16384",
}


class German(Scenario):
    """Can change what the sidecar's role reads."""

    def ask(self, caller):
        return wire.ask(self.sidecar.port, REQUESTS[caller][0])

    def grant(self, table, columns=None):
        role = self.name if self.kind == "postgres" else f"{self.name}@'127.0.0.1'"
        self.execute(f"GRANT {f'SELECT ({columns})' if columns else 'ALL'} ON {table} TO {role}")

    def put_view_of_users(self, query):
        """The view stands in the table's place; `query` reads `hidden`, which is the table."""
        self.execute("ALTER TABLE auth_user RENAME TO hidden")
        self.execute(f"CREATE VIEW auth_user AS {query}")
        if self.kind == "postgres":
            self.grant("auth_user")

    @contextmanager
    def view_of_users(self, query):
        self.put_view_of_users(query)
        try:
            yield
        finally:
            self.execute("DROP VIEW auth_user")
            self.execute("ALTER TABLE hidden RENAME TO auth_user")

    def cancel(self):
        for number, *_ in self.busy_sessions():
            if self.kind == "postgres":
                self.execute(f"SELECT pg_cancel_backend({number})")
            else:
                self.kill(f"QUERY {number}")

    def cancelled(self, caller, is_once=False):
        """The answer to a request whose statements are cancelled, once or as long as there are any."""
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.ask, caller)
            await_true(self.busy_sessions, 5, "a statement runs")
            # Not while it is prepared or its transaction begins.
            time.sleep(0.2)
            self.cancel()
            while not answer.done():
                if not is_once:
                    self.cancel()
                time.sleep(0.05)
            return answer.result()

    def is_outage(self, caller, answer):
        assert answer.status == 503 and not judge(caller, 200, answer), (caller, answer.status, answer.body)

    def is_refused(self, caller):
        answer = self.ask(caller)
        assert answer.status == 500, (caller, answer.status, answer.body)


@contextmanager
def german(kind, **settings):
    with OwnServer(kind, language="de") as server, German(kind, server, settings=settings) as scenario:
        with pytest.raises(Exception, match="keine (Zugriffsb|B)erechtigung"):
            connect(scenario.url).cursor().execute("CREATE DATABASE theirs")
        assert scenario.ask("export").status == 200
        yield scenario, server


@pytest.mark.side_by_side
@pytest.mark.parametrize(("kind", "prepared"), [("postgres", "on"), ("postgres", "off"), ("mysql", "on")])
def test_a_statement_that_an_operator_cancels_is_an_outage(kind, prepared):
    with german(kind, SIDECAR_PREPARED_STATEMENTS=prepared) as (scenario, _):
        with scenario.view_of_users(f"SELECT * FROM hidden WHERE {HANGS[kind]}"):
            for caller in ("export", "stats"):
                for is_once in (True, False):
                    scenario.is_outage(caller, scenario.cancelled(caller, is_once))
        with held(scenario):
            scenario.is_outage("stats", scenario.cancelled("stats"))
        assert scenario.ask("export").status == 200


@pytest.mark.side_by_side
@DATABASES
def test_what_the_server_refuses_is_no_outage(kind):
    with german(kind) as (scenario, _):
        columns = COLUMNS.replace("first_name", f"{FAILS[kind]} AS email, first_name")
        with scenario.view_of_users(f"SELECT {columns} FROM hidden"):
            # A prepared statement would be refused for the column's new type first.
            scenario.kill_sessions()
            scenario.is_refused("export")
        scenario.execute("ALTER TABLE auth_user RENAME COLUMN email TO another")
        scenario.is_refused("export")
        scenario.execute("ALTER TABLE auth_user RENAME COLUMN another TO email")
        assert scenario.ask("export").status == 200
        if kind == "postgres":
            scenario.execute(f"REVOKE ALL ON auth_user FROM {scenario.name}")
        else:
            scenario.execute(f"REVOKE ALL ON {scenario.name}.* FROM {scenario.name}@'127.0.0.1'")
            scenario.grant("django_session")
        scenario.grant("auth_user", COLUMNS)
        scenario.kill_sessions()
        scenario.is_refused("export")
        assert scenario.ask("stats").status == 200


@pytest.mark.side_by_side
@DATABASES
def test_a_disk_that_takes_no_more_is_an_outage(kind):
    """The server sorts or collects users in a temporary file that may not grow."""
    query = {
        "postgres": "SELECT * FROM hidden ORDER BY md5(email || password)",
        # Not to find the caller.
        "mysql": "SELECT * FROM hidden WHERE id <= 2 OR (SELECT COUNT(*) FROM (SELECT DISTINCT * FROM hidden) d) > 0",
    }
    with german(kind) as (scenario, server):
        scenario.execute(SMALL_MEMORY[kind].format(role=scenario.name))
        scenario.kill_sessions()
        with scenario.view_of_users(query[kind]):
            assert scenario.ask("export").status == 200
            sessions = scenario.sessions()
            if kind == "mysql":
                scenario.execute("SET GLOBAL tmp_disk_table_size = 16384")
            for number, *_ in sessions:
                if kind == "postgres":
                    server.run("prlimit", f"--pid={number}", "--fsize=8192")
                else:
                    scenario.kill(number)
            scenario.is_outage("export", scenario.ask("export"))
            if kind == "mysql":
                scenario.execute("SET GLOBAL tmp_disk_table_size = DEFAULT")
            scenario.kill_sessions()
            assert scenario.ask("export").status == 200


class WithStandby(German):
    """Exports from a standby that never lets a query delay what it has to replay. Each export lasts."""

    standby = None

    def before_start(self):
        self.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
        self.put_view_of_users(f"SELECT * FROM hidden WHERE {HANGS[self.kind]}")
        self.standby = OwnServer(self.kind, primary=self.server, language="de")
        place = urlsplit(self.url)
        self.settings["DATABASE_READ_URL"] = self.url.replace(f":{place.port}/", f":{self.standby.server.port}/")

    def is_exporting(self):
        connection = connect(self.settings["DATABASE_READ_URL"])
        cursor = connection.cursor()
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()")
        connection.close()
        return cursor.rowcount

    def close(self):
        super().close()
        if self.standby:
            self.standby.__exit__()


@pytest.mark.side_by_side
def test_a_statement_that_a_standby_cancels_to_catch_up_is_an_outage():
    with OwnServer("postgres", language="de") as primary, WithStandby("postgres", primary) as scenario:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(scenario.ask, "export")
            await_true(scenario.is_exporting, 5, "the export runs")
            scenario.execute("BEGIN; LOCK TABLE hidden IN ACCESS EXCLUSIVE MODE; COMMIT")
            scenario.is_outage("export", answer.result())
