"""SIGTERM: readiness turns 503, the delay passes, and requests that run are finished."""

import signal
import socket
import time

import pytest

from support import wire
from support.client import Client
from support.load import Load
from support.scenario import REQUESTS, Scenario
from support.waiting import await_true

# Larger than what the kernel's buffers hold on the way to a client.
MANY_USERS = 60_000


class SlowExport:
    """A client that has asked for an export, and reads no more of it than its first bytes until `read_on`."""

    def __init__(self, port):
        self.connection = socket.socket()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.connection.settimeout(20)
        self.connection.connect(("127.0.0.1", port))
        self.connection.sendall(REQUESTS["export"][0].bytes())
        self.received = self.connection.recv(4096)
        assert self.received.startswith(b"HTTP/1.1 200 ")

    def read_on(self, size):
        while size > 0 and (more := self.connection.recv(min(size, 1 << 16))):
            self.received += more
            size -= len(more)

    def finish(self):
        """The answer, read to the end of the connection; it must be whole."""
        self.read_on(1 << 30)
        self.connection.close()
        answer = wire.parse(self.received)
        assert len(answer.body) == int(answer.one("Content-Length"))
        return answer


def idle_connection(port):
    """A connection that has been used once, and stays open."""
    client = Client(port, keeps=True)
    assert client.ask(REQUESTS["stats"][0]).status == 200
    assert client.connection
    return client


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return True
    return False


@pytest.mark.side_by_side
def test_it_serves_on_while_it_is_not_ready_and_finishes_what_runs():
    with Scenario(users=MANY_USERS, settings={"SIDECAR_SHUTDOWN_DELAY": "3"}) as scenario:
        port, process = scenario.sidecar.port, scenario.sidecar.process
        export = SlowExport(port)
        idle = [idle_connection(port) for _ in range(5)]
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await_true(lambda: wire.ask(port, REQUESTS["readyz"][0]).status == 503, 0.5, "not ready any more")
        answer = wire.ask(port, REQUESTS["readyz"][0])
        assert answer.one("Content-Type") == "application/json" and (answer.one("Retry-After") or "").isdigit()
        served = 0
        while time.monotonic() < told + 2.5:
            for caller in ("stats", "basic", "login", "healthz"):
                assert wire.ask(port, REQUESTS[caller][0]).status == REQUESTS[caller][1]
            assert idle[0].ask(REQUESTS["stats"][0]).status == 200
            served += 1
        assert served > 2
        await_true(lambda: is_refused(port), 3, "new connections are refused")
        assert time.monotonic() > told + 2.9
        # Slowly: the transfer goes on for two seconds after the last one was let in.
        for _ in range(20):
            export.read_on(100_000)
            time.sleep(0.1)
        assert process.poll() is None
        assert export.finish().status == 200
        # Those who keep a connection open without a request hold nothing up.
        assert process.wait(3) == 0
        await_true(lambda: not scenario.sessions(), 5, "the database's sessions end")


@pytest.mark.side_by_side
def test_connections_without_a_request_do_not_hold_the_end_up():
    with Scenario() as scenario:
        idle = [idle_connection(scenario.sidecar.port) for _ in range(5)]
        fresh = [socket.create_connection(("127.0.0.1", scenario.sidecar.port)) for _ in range(5)]
        scenario.sidecar.process.send_signal(signal.SIGTERM)
        assert scenario.sidecar.process.wait(5) == 0
        for client in idle:
            client.close()
        for connection in fresh:
            connection.close()


@pytest.mark.side_by_side
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_answer_is_wrong_while_it_stops(number):
    with Scenario(settings={"SIDECAR_SHUTDOWN_DELAY": "1"}) as scenario:
        with Load(scenario.sidecar.port, pause_seconds=0.02) as load:
            load.await_right()
            told = load.now()
            scenario.sidecar.process.send_signal(number)
            assert scenario.sidecar.process.wait(10) == 0
            gone = load.now()
        assert gone > told + 1
        # The last connections were refused; requests of half a second before had their answers by then.
        wrong = [seen for seen in load.seen if not seen.right and seen.caller != "readyz" and seen.began < told + 0.5]
        assert not wrong, [str(seen) for seen in wrong[:10]]
        statuses = {seen.status for seen in load.seen if not seen.right and seen.caller != "readyz"}
        assert statuses <= {"none"}
        ready = {seen.status for seen in load.seen if seen.caller == "readyz" and seen.began > told + 0.1}
        assert ready <= {503, "none"}


@pytest.mark.side_by_side
def test_a_client_that_never_reads_on_is_waited_for_no_longer_than_thirty_seconds():
    with Scenario(users=MANY_USERS) as scenario:
        export = SlowExport(scenario.sidecar.port)
        scenario.sidecar.process.send_signal(signal.SIGTERM)
        time.sleep(3)
        assert scenario.sidecar.process.poll() is None
        assert scenario.sidecar.process.wait(29) == 0
        # What the client has is broken visibly: less than it was promised.
        with pytest.raises((AssertionError, ConnectionError)):
            export.finish()


@pytest.mark.side_by_side
def test_a_second_signal_ends_it_at_once():
    with Scenario(users=MANY_USERS) as scenario:
        process = scenario.sidecar.process
        export = SlowExport(scenario.sidecar.port)
        process.send_signal(signal.SIGTERM)
        await_true(lambda: is_refused(scenario.sidecar.port), 3, "new connections are refused")
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.wait(1.5)
        export.connection.close()


@pytest.mark.side_by_side
def test_a_second_signal_ends_it_at_once_while_statements_hang():
    with Scenario() as scenario:
        process = scenario.sidecar.process
        connection = scenario.connect()
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE")
        with Load(scenario.sidecar.port) as load:
            await_true(lambda: len(scenario.busy_sessions()) > 3, 3, "statements hang")
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            process.wait(1.5)
            load.ending.set()
        connection.close()


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_process_that_is_stopped_while_it_connects_exits_with_0(kind):
    """The client libraries clean up behind themselves at the exit, and threads may still be within them."""
    codes = []
    with Scenario(kind, users=10) as scenario:
        for number in range(30):
            if number:
                scenario.start()
            with Load(scenario.sidecar.port, callers=["stats", "export", "basic", "readyz"] * 3, pause_seconds=0.01) as load:
                load.last(0.04 + 0.01 * (number % 10))
            scenario.sidecar.process.send_signal(signal.SIGTERM)
            codes.append(scenario.sidecar.process.wait(30))
    assert set(codes) == {0}, codes
