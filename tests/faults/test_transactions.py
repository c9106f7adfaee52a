"""The sidecar's transactions are read-only, as the database sees them; and a replica that cannot be reached."""

import itertools
from urllib.parse import urlsplit

import pytest

from support import wire
from support.load import CALLERS, Load
from support.proxy import Proxy
from support.scenario import REQUESTS, OwnServer, Scenario

READERS = ("stats", "export", "basic", "wrong password", "readyz")

# Called for each row that the role reads. What it finds wrong is an error, and so an answer that is not 200.
WATCHER = """
CREATE FUNCTION watched() RETURNS boolean VOLATILE LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_read_only') <> 'on' THEN RAISE 'a transaction may write'; END IF;
    IF current_setting('statement_timeout') = '0' THEN RAISE 'a statement has no limit'; END IF;
    IF current_setting('lock_timeout') = '0' THEN RAISE 'a lock has no limit'; END IF;
    RETURN TRUE;
END $$
"""


@pytest.mark.side_by_side
@pytest.mark.parametrize("prepared", ["on", "off"])
@pytest.mark.parametrize("login", ["on", "off"])
def test_every_transaction_of_a_reader_is_read_only_and_limited(prepared, login):
    settings = {"SIDECAR_PREPARED_STATEMENTS": prepared, "SIDECAR_LOGIN": login}
    with Scenario(settings=settings) as scenario:
        scenario.execute(WATCHER)
        for table in ("auth_user", "django_session"):
            scenario.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            scenario.execute(f"CREATE POLICY watched ON {table} FOR SELECT TO {scenario.name} USING (watched())")
        with Load(scenario.sidecar.port, callers=READERS * 2, pause_seconds=0.02) as load:
            load.await_right()
            load.last(1)
        assert not [str(seen) for seen in load.seen if not seen.right], load.summary()
        # The watcher does watch: what logs in writes, and is refused by it.
        if login == "on":
            assert wire.ask(scenario.sidecar.port, REQUESTS["login"][0]).status == 503


@pytest.mark.side_by_side
@pytest.mark.parametrize("login", ["on", "off"])
def test_every_session_on_mariadb_begins_read_only_and_only_a_login_writes(login):
    with OwnServer("mysql") as server, Scenario("mysql", server, settings={"SIDECAR_LOGIN": login}, users=20) as scenario:
        scenario.execute("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON")
        callers = READERS + (("login",) if login == "on" else ())
        with Load(scenario.sidecar.port, callers=callers) as load:
            load.await_right()
        said = scenario.execute(
            "SELECT thread_id, UPPER(CONVERT(argument USING utf8mb4)) FROM mysql.general_log "
            f"WHERE command_type IN ('Query', 'Execute') AND user_host LIKE '%{scenario.name}%' ORDER BY event_time"
        )
    first, writes = {}, set()
    for session, statement in said:
        first.setdefault(session, []).append(statement)
        if statement.startswith(("INSERT", "UPDATE", "DELETE", "REPLACE")) or "READ WRITE" in statement:
            writes.add(statement.split()[0])
    assert first
    for statements in first.values():
        # The client library sets names before, and init_connect is read; a session that is not used yet may have come no
        # further.
        limited = [place for place, text in enumerate(statements) if "TRANSACTION READ ONLY" in text]
        begun = limited[0] if limited else len(statements)
        assert all(text.startswith(("SET ", "SELECT @@GLOBAL.INIT_CONNECT")) for text in statements[:begun]), statements[:8]
        assert len(statements) < begun + 2 or [text for text in statements if "MAX_STATEMENT_TIME" in text]
    assert writes == ({"START", "INSERT", "UPDATE", "DELETE"} if login == "on" else set())


class WithReplica(Scenario):
    """The same database twice: as the primary, and through a proxy as the replica."""

    replica = None
    callers = CALLERS

    def before_start(self):
        place = urlsplit(self.url)
        self.replica = self.listen(place.port)
        address = f"@{self.replica.host}:{self.replica.port}/"
        self.settings["DATABASE_READ_URL"] = self.url.replace(f"@127.0.0.1:{place.port}/", address)

    def listen(self, primary_port):
        return Proxy(primary_port)

    def close(self):
        super().close()
        if self.replica:
            self.replica.close()


hosts = itertools.count(2)


class WithReplicaOnTheSamePort(WithReplica):
    """Its sockets can't be told from the primary's by the port, and all are shut down together. A read runs once more, a
    login or logout at that moment is 503."""

    callers = [caller for caller in CALLERS if caller != "login"]

    def listen(self, primary_port):
        # Each test has its own address, because all have the same primary.
        return Proxy(primary_port, f"127.0.0.{next(hosts)}", primary_port)


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", ["postgres", "mysql"])
@pytest.mark.parametrize("fault", ["refuse", "swallow"])
@pytest.mark.parametrize("databases", [WithReplica, WithReplicaOnTheSamePort])
def test_a_replica_that_is_away_changes_no_decision_about_access(kind, fault, databases):
    with databases(kind) as scenario:
        with Load(scenario.sidecar.port, callers=scenario.callers) as load:
            load.await_right()
            began = load.now()
            getattr(scenario.replica, fault)()
            load.last(10)
            ended = load.now()
            scenario.replica.heal()
            load.await_right()
        wrong = [str(seen) for seen in load.seen if seen.failed or seen.seconds > 5.5]
        assert not wrong, wrong[:10]
        during = [seen for seen in load.seen if began + 0.1 < seen.began and seen.began + seen.seconds < ended]
        need_it = ("stats", "export", "basic", "readyz")
        wrong = [str(seen) for seen in during if seen.right == (seen.caller in need_it)]
        assert not wrong, wrong[:10]
        recovered = max(seen.began for seen in load.seen if not seen.right)
        assert recovered < ended + 5
