"""The network between the sidecar and its database fails under load, in every way that the proxy offers."""

import time

import pytest

from faults.endurance import FAULT_SECONDS, endure, left_nothing_behind
from support import wire
from support.load import Load
from support.proxy import Proxy
from support.scenario import REQUESTS, Scenario

# When the database stops answering, the first requests that time out make all others fail at once.
KNOWN_AFTER_SECONDS = 6
DATABASES = pytest.mark.parametrize("kind", ["postgres", "mysql"])


@pytest.mark.side_by_side
@DATABASES
def test_a_network_that_swallows_everything(kind):
    with Scenario(kind, proxied=True) as scenario:
        endure(scenario, scenario.proxy.swallow, scenario.proxy.heal, known_down_after=KNOWN_AFTER_SECONDS)


@pytest.mark.side_by_side
@DATABASES
def test_a_network_that_answers_no_attempt_to_connect(kind):
    with Scenario(kind, proxied=True) as scenario:
        # Long enough for the kernel to try again only after a long while.
        endure(scenario, scenario.proxy.vanish, scenario.proxy.heal, lasts=25, known_down_after=KNOWN_AFTER_SECONDS)


@pytest.mark.side_by_side
@DATABASES
def test_open_connections_die_without_a_word_and_new_ones_work(kind):
    with Scenario(kind, proxied=True) as scenario:
        endure(scenario, scenario.proxy.strand, lambda: None, lasts=5.5)


@pytest.mark.side_by_side
@DATABASES
def test_a_network_that_resets_and_refuses_connections(kind):
    with Scenario(kind, proxied=True) as scenario:
        endure(scenario, scenario.proxy.refuse, scenario.proxy.heal, lasts=FAULT_SECONDS, known_down_after=0.5)


@pytest.mark.side_by_side
@DATABASES
def test_connections_that_are_reset_are_replaced_at_once(kind):
    with Scenario(kind, proxied=True) as scenario:
        judgement = endure(scenario, scenario.proxy.cut, lambda: None, lasts=1)
        # What was running is lost, and may say so; who comes afterwards notices nothing.
        late = [str(seen) for seen in judgement.seen if seen.began > judgement.began + 0.5 and not seen.right]
        assert not late


@pytest.mark.side_by_side
@DATABASES
def test_a_slow_network_is_no_outage(kind):
    with Scenario(kind, proxied=True) as scenario:
        with Load(scenario.sidecar.port, pause_seconds=0.5) as load:
            load.await_right()
            began = load.now()
            scenario.proxy.delay(0.05)
            load.last(8)
            load.await_right()
            scenario.proxy.heal()
            load.last(1)
        wrong = [str(seen) for seen in load.seen if not seen.right or seen.seconds > 5]
        assert not wrong, wrong[:10]
        assert max(seen.seconds for seen in load.seen if seen.began > began) > 0.2
        left_nothing_behind(scenario)


@pytest.mark.side_by_side
@DATABASES
def test_a_network_so_slow_that_some_are_turned_away(kind):
    with Scenario(kind, proxied=True) as scenario:

        def begin():
            scenario.proxy.delay(0.12)

        endure(scenario, begin, scenario.proxy.heal)


class Early(Scenario):
    def before_start(self):
        self.proxy.refuse()


@pytest.mark.side_by_side
@DATABASES
def test_a_database_that_is_away_at_the_start_and_comes_later(kind):
    with Early(kind, proxied=True) as scenario:
        with Load(scenario.sidecar.port) as load:
            load.last(4)
            assert any(seen.status == 503 for seen in load.seen)
            scenario.proxy.heal()
            healed = load.now()
            load.await_right(5)
            load.last(1)
        wrong = [str(seen) for seen in load.seen if seen.failed or seen.seconds > 5.5]
        assert not wrong, wrong[:10]
        # The first answer tells that it is down, and so do all others, at once.
        slow = [str(seen) for seen in load.seen if 1 < seen.began < healed - 1 and seen.seconds > 0.6]
        assert not slow, slow[:10]
        left_nothing_behind(scenario)


class TwoAddresses(Scenario):
    """The first of them is silent, the second slow."""

    def before_start(self):
        self.silent = Proxy(self.proxy.target)
        self.proxy.delay(0.04)
        hosts = f"host=127.0.0.1,127.0.0.1&port={self.silent.port},{self.proxy.port}"
        self.url += f"?{hosts}&target_session_attrs=read-write"

    def close(self):
        super().close()
        self.silent.close()


@pytest.mark.side_by_side
@pytest.mark.parametrize("fault", ["swallow", "vanish"])
def test_an_address_that_is_silent_is_followed_by_the_next(fault):
    with TwoAddresses(proxied=True) as scenario:
        getattr(scenario.silent, fault)()
        began = time.monotonic()
        assert wire.ask(scenario.sidecar.port, REQUESTS["stats"][0]).status == 200
        assert 1.5 < time.monotonic() - began < 5.5
        scenario.proxy.delay(0)
        left_nothing_behind(scenario)


@pytest.mark.side_by_side
@DATABASES
def test_idle_connections_that_the_server_kills_are_not_noticed(kind):
    with Scenario(kind) as scenario:
        with Load(scenario.sidecar.port) as load:
            load.await_right()
        for _ in range(5):
            for number, *_ in scenario.sessions():
                scenario.execute(f"KILL {number}" if kind == "mysql" else f"SELECT pg_terminate_backend({number})")
            # Logins too: what writes does not run twice, and must find a live connection all the same.
            with Load(scenario.sidecar.port, pause_seconds=0.01) as load:
                load.await_right()
                time.sleep(0.2)
            assert not [str(seen) for seen in load.seen if not seen.right]
        left_nothing_behind(scenario, some_died_unused=True)


class Tripped(Scenario):
    """The first attempt to connect is lost when the sidecar has sent this many messages."""

    def __init__(self, kind, messages):
        super().__init__(kind, proxied=True)
        self.messages = messages

    def before_start(self):
        self.proxy.trip(self.messages)


@pytest.mark.side_by_side
@DATABASES
@pytest.mark.parametrize("messages", [2, 3, 4, 5])
def test_a_new_connection_that_is_lost_at_once_is_no_outage(kind, messages):
    with Tripped(kind, messages) as scenario:
        with Load(scenario.sidecar.port, pause_seconds=0.01) as load:
            load.await_right()
        assert scenario.proxy.tripwire is None
        assert not [str(seen) for seen in load.seen if not seen.right]
        left_nothing_behind(scenario)
