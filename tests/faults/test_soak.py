"""The soak, for as long as --soak-seconds says; tests/faults/soak runs it for minutes."""

from faults.soak import USERS, soak
from support.scenario import Scenario


def test_a_mix_of_requests_leaves_nothing_behind(request):
    with Scenario(users=USERS) as scenario:
        seconds = request.config.getoption("--soak-seconds")
        line, failed = soak(scenario, seconds, warm_up_seconds=10 if seconds < 60 else 25)
        print(line, flush=True)
        assert not failed, failed[:20]
