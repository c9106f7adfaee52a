"""Another client holds a lock that the sidecar's statements need: briefly, or beyond every timeout."""

import socket
import threading
from contextlib import contextmanager

import pytest

from faults.endurance import endure, left_nothing_behind
from faults.lock import Lock, held
from support.load import CALLERS, Load
from support.scenario import ADMIN_KEY, REQUESTS, Scenario
from support.waiting import await_true

SERVERS = pytest.mark.parametrize("kind", ["postgres", "mysql"])
DATABASES = pytest.mark.parametrize("kind", ["postgres", "mysql", "sqlite"])


@pytest.mark.side_by_side
@DATABASES
def test_a_lock_of_three_seconds(kind):
    with Scenario(kind) as scenario:
        lock = Lock(scenario)
        judgement = endure(scenario, lock.take, lock.release, lasts=3)
    # Requests of the last seconds got the right answer in the end.
    assert [seen for seen in judgement.seen if judgement.began < seen.began and seen.right and seen.seconds > 1]


@pytest.mark.side_by_side
@DATABASES
def test_a_few_callers_wait_for_a_lock_of_three_seconds(kind):
    callers = ["stats", "export", "basic", "readyz", "login"]
    with Scenario(kind) as scenario:
        lock = Lock(scenario)
        judgement = endure(scenario, lock.take, lock.release, lasts=3, callers=callers)
    assert all(seen.right for seen in judgement.seen), [str(seen) for seen in judgement.seen if not seen.right][:10]


@pytest.mark.side_by_side
@DATABASES
def test_a_lock_of_thirty_seconds(kind):
    with Scenario(kind) as scenario:
        lock = Lock(scenario)
        endure(scenario, lock.take, lock.release, lasts=30)


@pytest.mark.side_by_side
@SERVERS
def test_what_hangs_at_a_lock_is_ended_in_the_database(kind):
    callers = ["stats", "export", "basic", "login", "wrong password", "readyz"]
    with Scenario(kind) as scenario:
        with Load(scenario.sidecar.port, callers=callers) as load:
            load.await_right()
        with held(scenario):
            with Load(scenario.sidecar.port, callers=callers) as load:
                await_true(lambda: scenario.busy_sessions(), 2, "a statement waits for the lock")
                load.last(0.5)
            # No requests run, all were answered, the lock is still held.
            assert not [str(seen) for seen in load.seen if seen.status != 503 or seen.failed or seen.seconds > 5.5]
            await_true(lambda: not scenario.busy_sessions(), 1, "no statement waits for the lock any more")
        left_nothing_behind(scenario)


@pytest.mark.side_by_side
@SERVERS
def test_a_session_row_that_another_transaction_locks(kind):
    """A logout deletes a row that another transaction has changed: it gives up in time, and is no error 500."""
    with Scenario(kind) as scenario:
        with Load(scenario.sidecar.port) as load:
            load.await_right()
        other = scenario.connect()
        cursor = other.cursor()
        cursor.execute("BEGIN")
        cursor.execute("UPDATE auth_user SET last_name = 'Held' WHERE id = 1")
        cursor.execute(f"UPDATE django_session SET expire_date = expire_date WHERE session_key = '{ADMIN_KEY}'")
        with Load(scenario.sidecar.port, callers=["login", "stats", "export", "basic"]) as load:
            load.last(1)
        other.close()
        wrong = [str(seen) for seen in load.seen if seen.failed or seen.seconds > 5.5]
        assert not wrong
        # Readers wait for no row.
        assert all(seen.right for seen in load.seen if seen.caller in ("stats", "export", "basic"))
        assert [seen for seen in load.seen if seen.caller == "login" and seen.status == 503]
        left_nothing_behind(scenario)


@pytest.mark.side_by_side
def test_a_stalled_reader_of_an_export_holds_up_no_writer_on_sqlite():
    with Scenario("sqlite", users=60_000) as scenario:
        writer = scenario.connect()
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        with stalled_export(scenario):
            writer.execute("PRAGMA busy_timeout = 0")
            for number in range(20):
                writer.execute("UPDATE auth_user SET last_name = ? WHERE id = 2", (f"Write {number}",))
        writer.close()


@contextmanager
def stalled_export(scenario):
    """A client that has had the beginning of an export, and reads no further."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", scenario.sidecar.port))
    request, _ = REQUESTS["export"]
    connection.sendall(request.bytes())
    assert connection.recv(1024).startswith(b"HTTP/1.1 200")
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.side_by_side
def test_sqlite_is_opened_read_only_without_login():
    with Scenario("sqlite", settings={"SIDECAR_LOGIN": "off"}) as scenario:
        callers = [name for name in CALLERS if name != "login"]
        with Load(scenario.sidecar.port, callers=callers) as load:
            load.await_right()
        modes = open_modes(scenario)
        assert modes and set(modes) == {0}, modes
    with Scenario("sqlite") as scenario:
        with Load(scenario.sidecar.port) as load:
            load.await_right()
        assert 2 in open_modes(scenario)


def open_modes(scenario):
    """The access modes (0: reading, 2: both) of the process's descriptors on the database file."""
    path = scenario.database_url.removeprefix("sqlite:///")
    modes = []
    for entry in (scenario.process.directory / "fd").iterdir():
        try:
            if str(entry.readlink()) == path:
                flags = (scenario.process.directory / "fdinfo" / entry.name).read_text().split("flags:")[1].split()[0]
                modes.append(int(flags, 8) & 3)
        except OSError:
            continue  # Closed meanwhile.
    return modes


@pytest.mark.side_by_side
def test_a_writer_that_comes_again_and_again_on_sqlite():
    """Django writes all the time, in short transactions: everybody is answered all the same."""
    with Scenario("sqlite") as scenario:
        ending = threading.Event()

        def write():
            writer = scenario.connect()
            while not ending.wait(0.002):
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("UPDATE auth_user SET last_name = last_name WHERE id = 2")
                ending.wait(0.01)
                writer.execute("COMMIT")
            writer.close()

        thread = threading.Thread(target=write)
        thread.start()
        try:
            with Load(scenario.sidecar.port) as load:
                load.await_right()
                load.last(3)
        finally:
            ending.set()
            thread.join()
        assert not [str(seen) for seen in load.seen if not seen.right]
