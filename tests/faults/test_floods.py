"""Floods of passwords: sessions are answered as before, and the callers beyond the queue are told when to come back."""

import threading

import pytest

from faults.endurance import left_nothing_behind
from support.client import Client
from support.load import PATIENCE_SECONDS, Load, judge
from support.scenario import REQUESTS, Scenario

CLIENTS = 32


@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", ["postgres", "mysql", "sqlite"])
def test_a_flood_of_passwords_that_honours_no_retry_after_leaves_sessions_alone(kind):
    request, right = REQUESTS["wrong password"]
    with Scenario(kind) as scenario:
        ending = threading.Event()
        statuses, wrong = set(), []

        def flood():
            client = Client(scenario.sidecar.port, keeps=True)
            while not ending.is_set():
                answer = client.ask(request)
                statuses.add(answer.status)
                wrong.extend(filter(None, [judge("wrong password", right, answer)]))
            client.close()

        threads = [threading.Thread(target=flood) for _ in range(CLIENTS)]
        with Load(scenario.sidecar.port, callers=["stats", "export", "unknown session", "readyz", "healthz"]) as load:
            load.await_right()
            began = load.now()
            for thread in threads:
                thread.start()
            load.last(5)
            ended = load.now()
            ending.set()
            for thread in threads:
                thread.join()
        assert not wrong, wrong[:5]
        assert statuses == {right, 503}
        during = [seen for seen in load.seen if began < seen.began < ended]
        assert len({seen.caller for seen in during}) == 5
        # SECURITY.md promises less; here the clients, the database and other tests compute on the same cores.
        slow = [str(seen) for seen in during if not seen.right or seen.seconds > PATIENCE_SECONDS]
        assert not slow, slow[:10]
        left_nothing_behind(scenario)
