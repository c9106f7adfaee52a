"""Liveness: healthz and metrics answer at once, whatever readyz waits for, and whatever connections are open."""

import concurrent.futures
import socket
import time

import pytest

from support import wire
from support.client import Client
from support.ports import free_port
from support.scenario import REQUESTS, Scenario
from support.wire import get

# Three a second for more than the 5 seconds that each of them waits.
READYZ = 20
PROMPT_SECONDS = 1


def seconds(port, path):
    began = time.monotonic()
    assert wire.ask(port, get(path)).status == 200
    return time.monotonic() - began


@pytest.mark.side_by_side
@pytest.mark.parametrize("shell", [None, 'ulimit -n 64; exec "$@"'], ids=["many files", "few files"])
def test_healthz_and_metrics_do_not_wait_for_readyz(shell):
    operators = free_port()
    with Scenario(settings={"SIDECAR_OPS_BIND": f"127.0.0.1:{operators}"}, shell=shell) as scenario:
        connection = scenario.connect()
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE django_session IN ACCESS EXCLUSIVE MODE")
        with concurrent.futures.ThreadPoolExecutor(READYZ) as pool:
            waiting = []
            slowest = 0
            for _ in range(READYZ):
                waiting.append(pool.submit(wire.ask, operators, REQUESTS["readyz"][0]))
                slowest = max(slowest, seconds(operators, "/healthz"), seconds(operators, "/metrics"))
                time.sleep(0.3)
            answers = [answer.result() for answer in waiting]
        connection.close()
        assert slowest < PROMPT_SECONDS
        assert {answer.status for answer in answers} == {503}
        assert all(answer.one("Retry-After") for answer in answers)
        assert wire.ask(operators, REQUESTS["readyz"][0]).status == 200


@pytest.mark.side_by_side
def test_healthz_does_not_wait_for_readyz_on_the_main_listener():
    with Scenario(shell='ulimit -n 64; exec "$@"') as scenario:
        connection = scenario.connect()
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE django_session IN ACCESS EXCLUSIVE MODE")
        with concurrent.futures.ThreadPoolExecutor(READYZ) as pool:
            waiting = [pool.submit(wire.ask, scenario.sidecar.port, REQUESTS["readyz"][0]) for _ in range(READYZ)]
            time.sleep(1)
            slowest = max(seconds(scenario.sidecar.port, "/healthz") for _ in range(5))
            assert {answer.result().status for answer in waiting} == {503}
        connection.close()
        assert slowest < PROMPT_SECONDS


@pytest.mark.side_by_side
def test_connections_that_stay_open_do_not_hold_healthz_up():
    operators = free_port()
    with Scenario("sqlite", settings={"SIDECAR_OPS_BIND": f"127.0.0.1:{operators}"}, users=1) as scenario:
        used = [Client(operators, keeps=True) for _ in range(200)]
        for client in used:
            assert client.ask(get("/healthz")).status == 200
        unused = [socket.create_connection(("127.0.0.1", operators)) for _ in range(40)]
        assert max(seconds(operators, path) for path in ("/healthz", "/metrics", "/readyz")) < PROMPT_SECONDS
        for client in [*used, *unused]:
            client.close()
        assert scenario.sidecar.process.poll() is None
