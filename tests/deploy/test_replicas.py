"""More than one machine: two sidecars behind nginx, callers authenticated on a PostgreSQL primary, exports read from
its standby."""

import signal

import pytest

from deploy.replication import BASIC, Replication
from support import wire
from support.client import SessionClient
from support.load import Load
from support.passwords import basic, pbkdf2
from support.scenario import ADMIN_COOKIE
from support.waiting import await_true
from support.wire import EXPORT, STATS, get

CALLERS = ("stats", "export", "basic", "export", "unknown session", "anonymous", "export", "stats")
# As docs/operating.md promises it.
RECOVERY_SECONDS = 5
# Where a host that hangs stands before it in the URL: libpq waits for that one first, in two attempts at the worst.
RECOVERY_BEHIND_A_HANGING_HOST = 10


@pytest.fixture(scope="module")
def databases():
    with Replication() as made:
        yield made


@pytest.fixture
def replication(databases):
    """For tests that leave both databases as they found them."""
    yield databases
    databases.stop_programs()


def load_on(port):
    return Load(port, CALLERS, pause_seconds=0.01)


def not_right(load, since=0):
    return [str(seen) for seen in load.seen if not seen.right and seen.began >= since][:10]


def test_a_sidecar_is_killed_and_no_request_fails(replication):
    sidecars = [replication.sidecar(), replication.sidecar()]
    nginx = replication.nginx(*sidecars)
    with load_on(nginx.port) as load:
        load.await_right()
        sidecars[0].stop()
        killed = load.now()
        load.await_right()
        # Until nginx tries it again, and finds it still away.
        load.last(6)
    assert not_right(load) == []
    assert sum(seen.began > killed for seen in load.seen) > 200


def test_a_sidecar_is_stopped_and_no_request_fails(replication):
    sidecars = [replication.sidecar(SIDECAR_SHUTDOWN_DELAY="1"), replication.sidecar()]
    nginx = replication.nginx(*sidecars)
    with load_on(nginx.port) as load:
        load.await_right()
        sidecars[0].process.send_signal(signal.SIGTERM)
        assert sidecars[0].process.wait(10) == 0
        load.await_right()
    assert not_right(load) == []


def test_a_lagging_standby_never_decides_who_may_export(replication):
    django = replication.django()
    nginx = replication.nginx(replication.sidecar(), replication.sidecar(), django=django)
    site, set_clerk = SessionClient(nginx), "UPDATE auth_user SET {} WHERE username = 'clerk'"

    def allowed(cookie):
        # Both sidecars have their turn.
        statuses = {site.status(cookie) for _ in range(4)}
        assert len(statuses) == 1
        return statuses == {200}

    of_clerk = "SELECT is_active, is_staff, password FROM auth_user WHERE username = 'clerk'"
    [before] = replication.execute(of_clerk)
    first = site.key_of(site.log_in())
    assert allowed(first)
    replication.catch_up()
    replication.execute("SELECT pg_wal_replay_pause()", replication.standby)
    state = "SELECT pg_get_wal_replay_pause_state()"
    await_true(lambda: replication.execute(state, replication.standby) == [("paused",)], 10, "it has paused")
    try:
        for off, on in (("is_active = false", "is_active = true"), ("is_staff = false", "is_staff = true")):
            replication.execute(set_clerk.format(off))
            assert not allowed(first)
            replication.execute(set_clerk.format(on))
            assert allowed(first)
        assert site.post("/api/logout/", first).status == 200
        assert not allowed(first)
        # A session that the standby lacks is admitted.
        second = site.key_of(site.log_in())
        assert allowed(second)
        new = pbkdf2("another password", salt="ABCDEFGHIJKLMNOPQRSTUV")
        replication.execute(set_clerk.format(f"password = '{new}'"))
        assert not allowed(second)
        for password, status in ((None, 403), ("another password", 200)):
            auth = basic("clerk", password) if password else basic("clerk")
            assert wire.ask(nginx.port, get(EXPORT, auth=auth)).status == status
        # All of it is unknown there still: the standby has the row as it was, and the session that has ended.
        assert replication.execute(of_clerk, replication.standby) == [before]
        kept = replication.execute(f"SELECT 1 FROM django_session WHERE session_key = '{first}'", replication.standby)
        assert kept == [(1,)]
        # What is exported is as old as the standby, which is what it is for.
        replication.execute("UPDATE auth_user SET first_name = 'New' WHERE username = 'u1'")
        assert b'"New"' not in wire.ask(nginx.port, get(EXPORT, auth=BASIC)).body
    finally:
        replication.execute("SELECT pg_wal_replay_resume()", replication.standby)
        replication.execute(set_clerk.format(f"password = '{before[2]}'"))
    replication.catch_up()
    assert b'"New"' in wire.ask(nginx.port, get(EXPORT, auth=BASIC)).body




@pytest.mark.parametrize(
    ("attributes", "where"),
    [
        ("read-write", "primary"), ("primary", "primary"), ("read-only", "standby"), ("standby", "standby"),
        ("prefer-standby", "standby"),
    ],
)
def test_libpqs_words_for_which_host_is_meant(replication, attributes, where):
    # The other one stands first.
    wanted, other = (replication.primary, replication.standby)[:: 1 if where == "primary" else -1]
    url = replication.role_url(other, wanted, attributes=attributes)
    await_true(lambda: not replication.sessions(replication.standby), 10, "nothing is left of the sidecars before")
    sidecar = replication.sidecar(read_url=url)
    assert wire.ask(sidecar.port, get(EXPORT, auth=BASIC)).status == 200
    sessions = replication.sessions(replication.standby)
    assert (sessions > 0) == (where == "standby"), sessions


def test_without_the_standby_there_are_no_exports_and_everything_else():
    with Replication() as replication:
        sidecar = replication.sidecar()
        nginx = replication.nginx(sidecar)
        with load_on(nginx.port) as load:
            load.await_right()
            replication.standby.halt()
            gone = load.now()
            for target in (EXPORT, STATS):
                answer = wire.ask(nginx.port, get(target, cookie=ADMIN_COOKIE))
                assert answer.status == 503 and answer.one("Retry-After").isdigit()
            ready = wire.ask(sidecar.port, get("/readyz"))
            assert (ready.status, ready.body) == (503, b'{"status":"unavailable","failed":"replica"}')
            load.last(1)
            replication.standby.resume()
            back = load.now()
            load.last(RECOVERY_SECONDS + 1)
        # Who is calling was decided all the same.
        refusals = {seen.status for seen in load.seen if seen.caller in ("anonymous", "unknown session")}
        assert refusals == {403}
        assert [str(seen) for seen in load.seen if seen.failed] == []
        assert not_right(load, back + RECOVERY_SECONDS) == []
        assert any(seen.status == 503 for seen in load.seen if seen.began > gone)


def test_the_standby_is_promoted_and_exports_go_on():
    with Replication() as replication:
        nginx = replication.nginx(replication.sidecar(), replication.sidecar())
        with load_on(nginx.port) as load:
            load.await_right()
            replication.standby.promote()
            load.await_right()
        assert replication.execute("SELECT pg_is_in_recovery()", replication.standby) == [(False,)]
        assert not_right(load) == []


@pytest.mark.parametrize(("how", "within"), [("killed", RECOVERY_SECONDS), ("frozen", RECOVERY_BEHIND_A_HANGING_HOST)])
def test_the_primary_is_gone_and_the_sidecars_find_the_promoted_standby(how, within):
    with Replication() as replication:
        places = replication.primary, replication.standby
        url = replication.role_url(*places, attributes="read-write")
        read_url = replication.role_url(*places, attributes="prefer-standby")
        sidecars = [replication.sidecar(url, read_url) for _ in range(2)]
        nginx = replication.nginx(*sidecars)
        with load_on(nginx.port) as load:
            load.await_right()
            # A frozen one accepts connections and says nothing: each attempt waits for it before it asks the next host.
            if how == "killed":
                replication.primary.halt(signal.SIGKILL)
            else:
                replication.primary.freeze()
            gone = load.now()
            load.last(1 if how == "killed" else 7)
            # No standby authenticates callers before there is a primary again.
            asked = [seen for seen in load.seen if seen.began > gone + 0.5 and seen.caller == "stats"]
            assert asked and {seen.status for seen in asked} == {503}
            replication.standby.promote()
            promoted = load.now()
            load.last(within + 2)
        if how == "frozen":
            replication.primary.thaw()
        assert [str(seen) for seen in load.seen if seen.failed] == []
        assert not_right(load, promoted + within) == []
        assert any(seen.right and seen.caller == "export" for seen in load.seen if seen.began > promoted + within)
        assert all(sidecar.process.poll() is None for sidecar in sidecars)


def test_with_prefer_standby_exports_go_on_from_the_primary():
    with Replication() as replication:
        read_url = replication.role_url(replication.standby, replication.primary, attributes="prefer-standby")
        nginx = replication.nginx(replication.sidecar(read_url=read_url), replication.sidecar(read_url=read_url))
        with load_on(nginx.port) as load:
            load.await_right()
            replication.standby.halt(signal.SIGKILL)
            died = load.now()
            load.last(RECOVERY_SECONDS + 1)
        assert [str(seen) for seen in load.seen if seen.failed] == []
        assert not_right(load, died + RECOVERY_SECONDS) == []
