"""With a limit of 64 open files and 200 clients, the process refuses some and recovers when they are gone."""

import socket
import time

import pytest

from support import wire
from support.load import Load
from support.scenario import REQUESTS, Scenario

CLIENTS = 200
FEW_FILES = 'ulimit -n 64; exec "$@"'


def processor_seconds(process):
    # The clock that clock_getcpuclockid(3) names.
    return time.clock_gettime(~process.pid << 3 | 2)


def has_recovered(scenario):
    with Load(scenario.sidecar.port) as load:
        load.await_right(5)
        load.last(1)
    wrong = [str(seen) for seen in load.seen if not seen.right]
    assert not wrong, wrong[:10]
    assert wire.ask(scenario.sidecar.port, REQUESTS["readyz"][0]).status == 200
    assert scenario.process.descriptors() < 64


@pytest.mark.side_by_side
def test_idle_connections_beyond_the_limit_are_recovered_from_and_cost_nothing():
    with Scenario(shell=FEW_FILES) as scenario:
        clients = []
        for _ in range(CLIENTS):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", scenario.sidecar.port))
            clients.append(client)
        used, since = processor_seconds(scenario.sidecar.process), time.monotonic()
        time.sleep(3)
        # A server that can't accept must not ask again and again.
        used = processor_seconds(scenario.sidecar.process) - used
        assert used < 0.5 * (time.monotonic() - since)
        for client in clients:
            client.close()
        has_recovered(scenario)


@pytest.mark.side_by_side
def test_requests_beyond_the_limit_are_answered_or_put_off():
    with Scenario(shell=FEW_FILES) as scenario:
        callers = ("stats", "export", "login", "basic") * (CLIENTS // 4)
        with Load(scenario.sidecar.port, callers=callers, pause_seconds=1) as load:
            load.last(6)
        # A refused connection got no answer; an accepted one got the right answer or 503.
        wrong = [str(seen) for seen in load.seen if seen.failed and seen.status != "none"]
        assert not wrong, wrong[:10]
        assert sum(seen.right for seen in load.seen) > CLIENTS
        has_recovered(scenario)
