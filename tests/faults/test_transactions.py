"""What the sidecar's transactions may do in the database, as the database itself sees them; and a replica that is away."""

import pytest

import wire
from load import Load, judge
from proxy import Proxy
from urllib.parse import urlsplit
from world import ADMIN_COOKIE, REQUESTS, World

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
    with World(settings=settings) as world:
        world.execute(WATCHER)
        for table in ("auth_user", "django_session"):
            world.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            world.execute(f"CREATE POLICY watched ON {table} FOR SELECT TO {world.name} USING (watched())")
        with Load(world.sidecar.port, callers=READERS * 2, pause_seconds=0.02) as load:
            load.await_right()
            load.last(1)
        assert not [str(seen) for seen in load.seen if not seen.right], load.summary()
        # The watcher does watch: what logs in writes, and is refused by it.
        if login == "on":
            assert wire.ask(world.sidecar.port, REQUESTS["login"][0]).status == 503


class WithReplica(World):
    """The same database twice: as the primary, and through a proxy as the replica."""

    def before_start(self):
        place = urlsplit(self.url)
        self.replica = Proxy(place.port)
        self.settings["DATABASE_READ_URL"] = self.url.replace(f":{place.port}/", f":{self.replica.port}/")

    def close(self):
        super().close()
        self.replica.close()


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", ["postgres", "mysql"])
@pytest.mark.parametrize("fault", ["refuse", "swallow"])
def test_a_replica_that_is_away_is_no_reason_to_refuse_or_to_admit_anybody(kind, fault):
    with WithReplica(kind) as world:
        with Load(world.sidecar.port) as load:
            load.await_right()
            began = load.now()
            getattr(world.replica, fault)()
            load.last(10)
            ended = load.now()
            world.replica.heal()
            load.await_right()
        wrong = [str(seen) for seen in load.seen if seen.failed or seen.seconds > 5.5]
        assert not wrong, wrong[:10]
        during = [seen for seen in load.seen if began + 0.1 < seen.began and seen.began + seen.seconds < ended]
        statuses = {caller: {seen.status for seen in during if seen.caller == caller} for caller in REQUESTS}
        for caller in ("stats", "export", "basic", "readyz"):
            assert statuses.pop(caller) == {503}, caller
        assert statuses == {caller: {REQUESTS[caller][1]} for caller in statuses}
        recovered = max(seen.began for seen in load.seen if not seen.right)
        assert recovered < ended + 5
