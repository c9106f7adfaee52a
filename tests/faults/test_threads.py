"""The system gives no more threads (TasksMax of systemd, pids of a container): each request is answered, with 503 at worst."""

import itertools
import os
import subprocess

import pytest

from support import wire
from support.environments import binary
from support.load import Load
from support.scenario import ADMIN_COOKIE, REQUESTS, Scenario
from support.servers import Variant
from support.waiting import await_true
from support.wire import EXPORT, get

# The limit counts a user's threads, and not root's: each process gets a user of its own.
users = itertools.count(3_000_000_000 + os.getpid() * 100)
# More than 256 KiB, which is sent in pieces.
MANY_USERS = 5_000
COMPRESSED = get(EXPORT, ("Accept-Encoding", "gzip"), cookie=ADMIN_COOKIE)


def limited(threads, user):
    return f'exec prlimit --nproc={threads}: setpriv --reuid={user} --clear-groups "$@"'


def raise_limit(process, user):
    command = ["setpriv", f"--reuid={user}", "--clear-groups", "prlimit", f"--pid={process.pid}", "--nproc=1000:"]
    subprocess.run(command, check=True)


def idle_threads():
    with Scenario("sqlite", users=1) as scenario:
        assert wire.ask(scenario.sidecar.port, REQUESTS["healthz"][0]).status == 200
        return scenario.process.threads()


@pytest.mark.side_by_side
@pytest.mark.parametrize("spare", [0, 1, 5])
def test_every_request_is_answered(spare):
    most, user = idle_threads() + spare, next(users)
    with Scenario(users=MANY_USERS, shell=limited(most, user)) as scenario:
        port, process = scenario.sidecar.port, scenario.sidecar.process
        with Load(port, callers=["export", "stats", "basic", "login", "export"] * 4) as load:
            compressed = [wire.ask(port, COMPRESSED) for _ in range(20)]
            load.last(4)
        assert not [str(seen) for seen in load.seen if seen.failed][:10]
        assert {answer.status for answer in compressed} <= {200, 503}
        assert 503 in {seen.status for seen in load.seen}
        assert scenario.process.threads() <= most
        raise_limit(process, user)
        for caller in ("export", "stats", "basic"):
            await_true(lambda caller=caller: wire.ask(port, REQUESTS[caller][0]).status == 200, 5, caller)
        assert wire.ask(port, COMPRESSED).status == 200


@pytest.mark.side_by_side
def test_a_start_without_threads_fails_and_says_so():
    with Scenario("sqlite", users=1) as scenario:
        variant = Variant("start", sidecar=scenario.settings | {"SIDECAR_BIND": "127.0.0.1:0"})
        for threads in range(1, idle_threads()):
            command = ["sh", "-c", limited(threads, next(users)), "sh", binary(), "serve"]
            done = subprocess.run(
                command, env=variant.sidecar_environment(scenario.url), stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=10,
            )
            assert done.returncode == 1, (threads, done)
            assert "Resource temporarily unavailable" in done.stderr, (threads, done)
