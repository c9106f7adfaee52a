"""Somebody holds a lock that the sidecar's statements need: for moments, or for longer than anybody waits."""

import socket
import threading
from contextlib import contextmanager

import pytest

from endurance import endure, left_nothing_behind
from load import CALLERS, Load
from observed import await_true
from world import ADMIN_KEY, REQUESTS, World

SERVERS = pytest.mark.parametrize("kind", ["postgres", "mysql"])
DATABASES = pytest.mark.parametrize("kind", ["postgres", "mysql", "sqlite"])


class Lock:
    """Django's user table, or all of SQLite's file, held by somebody else."""

    def __init__(self, world):
        self.world = world

    def take(self):
        self.connection = self.world.connect()
        cursor = self.connection.cursor()
        for statement in {
            "postgres": ["BEGIN", "LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE"],
            "mysql": ["LOCK TABLES auth_user WRITE"],
            "sqlite": ["BEGIN EXCLUSIVE"],
        }[self.world.kind]:
            cursor.execute(statement)

    def release(self):
        self.connection.close()


@contextmanager
def held(world):
    lock = Lock(world)
    lock.take()
    try:
        yield
    finally:
        lock.release()


@pytest.mark.side_by_side
@DATABASES
def test_a_lock_of_three_seconds(kind):
    with World(kind) as world:
        lock = Lock(world)
        judgement = endure(world, lock.take, lock.release, lasts=3)
    # Whoever came within the last seconds of it got the right answer in the end.
    assert [seen for seen in judgement.seen if judgement.began < seen.began and seen.right and seen.seconds > 1]


@pytest.mark.side_by_side
@DATABASES
def test_a_few_callers_wait_for_a_lock_of_three_seconds(kind):
    callers = ["stats", "export", "basic", "readyz", "login"]
    with World(kind) as world:
        lock = Lock(world)
        judgement = endure(world, lock.take, lock.release, lasts=3, callers=callers)
    assert all(seen.right for seen in judgement.seen), [str(seen) for seen in judgement.seen if not seen.right][:10]


@pytest.mark.side_by_side
@DATABASES
def test_a_lock_of_thirty_seconds(kind):
    with World(kind) as world:
        lock = Lock(world)
        endure(world, lock.take, lock.release, lasts=30)


@pytest.mark.side_by_side
@SERVERS
def test_what_hangs_at_a_lock_is_ended_in_the_database(kind):
    callers = ["stats", "export", "basic", "login", "wrong password", "readyz"]
    with World(kind) as world:
        with Load(world.sidecar.port, callers=callers) as load:
            load.await_right()
        with held(world):
            with Load(world.sidecar.port, callers=callers) as load:
                await_true(lambda: world.busy_sessions(), 2, "a statement waits for the lock")
                load.last(0.5)
            # Nobody asks any more, those who did have their answers, and the lock is still there.
            assert not [str(seen) for seen in load.seen if seen.status != 503 or seen.failed or seen.seconds > 5.5]
            await_true(lambda: not world.busy_sessions(), 1, "no statement waits for the lock any more")
        left_nothing_behind(world)


@pytest.mark.side_by_side
@SERVERS
def test_a_session_row_that_somebody_holds(kind):
    """A logout deletes a row that another transaction has changed: it gives up in time, and is no error 500."""
    with World(kind) as world:
        with Load(world.sidecar.port) as load:
            load.await_right()
        other = world.connect()
        cursor = other.cursor()
        cursor.execute("BEGIN")
        cursor.execute("UPDATE auth_user SET last_name = 'Held' WHERE id = 1")
        cursor.execute(f"UPDATE django_session SET expire_date = expire_date WHERE session_key = '{ADMIN_KEY}'")
        with Load(world.sidecar.port, callers=["login", "stats", "export", "basic"]) as load:
            load.last(1)
        other.close()
        wrong = [str(seen) for seen in load.seen if seen.failed or seen.seconds > 5.5]
        assert not wrong
        # Readers wait for no row.
        assert all(seen.right for seen in load.seen if seen.caller in ("stats", "export", "basic"))
        assert [seen for seen in load.seen if seen.caller == "login" and seen.status == 503]
        left_nothing_behind(world)


@pytest.mark.side_by_side
def test_a_stalled_reader_of_an_export_holds_up_no_writer_on_sqlite():
    with World("sqlite", users=60_000) as world:
        writer = world.connect()
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        with stalled_export(world):
            writer.execute("PRAGMA busy_timeout = 0")
            for number in range(20):
                writer.execute("UPDATE auth_user SET last_name = ? WHERE id = 2", (f"Write {number}",))
        writer.close()


@contextmanager
def stalled_export(world):
    """A client that has had the beginning of an export, and reads no further."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", world.sidecar.port))
    request, _ = REQUESTS["export"]
    connection.sendall(request.bytes())
    assert connection.recv(1024).startswith(b"HTTP/1.1 200")
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.side_by_side
def test_sqlite_is_opened_read_only_without_login():
    with World("sqlite", settings={"SIDECAR_LOGIN": "off"}) as world:
        callers = [name for name in CALLERS if name != "login"]
        with Load(world.sidecar.port, callers=callers) as load:
            load.await_right()
        modes = open_modes(world)
        assert modes and set(modes) == {0}, modes
    with World("sqlite") as world:
        with Load(world.sidecar.port) as load:
            load.await_right()
        assert 2 in open_modes(world)


def open_modes(world):
    """The access modes (0: reading, 2: both) of the process's descriptors on the database file."""
    path = world.database_url.removeprefix("sqlite:///")
    modes = []
    for entry in (world.process.directory / "fd").iterdir():
        try:
            if str(entry.readlink()) == path:
                flags = (world.process.directory / "fdinfo" / entry.name).read_text().split("flags:")[1].split()[0]
                modes.append(int(flags, 8) & 3)
        except OSError:
            continue  # Closed meanwhile.
    return modes


@pytest.mark.side_by_side
def test_a_writer_that_comes_again_and_again_on_sqlite():
    """Django writes all the time, in short transactions: everybody is answered all the same."""
    with World("sqlite") as world:
        ending = threading.Event()

        def write():
            writer = world.connect()
            while not ending.wait(0.002):
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("UPDATE auth_user SET last_name = last_name WHERE id = 2")
                ending.wait(0.01)
                writer.execute("COMMIT")
            writer.close()

        thread = threading.Thread(target=write)
        thread.start()
        try:
            with Load(world.sidecar.port) as load:
                load.await_right()
                load.last(3)
        finally:
            ending.set()
            thread.join()
        assert not [str(seen) for seen in load.seen if not seen.right]
