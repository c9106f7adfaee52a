"""No input costs more processor time or memory than SECURITY.md says."""

import os
import time

import pytest

from faults.costs import INPUTS, PLAIN, PLAIN_KEY, Costs, all_costs, get

# A debug build takes about ten times as long.
MOST_MILLISECONDS = 3 if os.environ.get("SIDECAR_BINARY") else 30
MOST_MEBIBYTES = 48
# These are no refusals: the API description needs no authentication.
WELL = {"of the description", "codings, of the description"}


@pytest.mark.side_by_side
def test_no_refused_request_takes_more_processor_or_memory_than_promised():
    with Costs() as scenario:
        costs = list(all_costs(scenario, times=8))
    print(*costs, sep="\n")
    assert len(costs) == 1 + len(INPUTS)
    served = [(what, how, status) for what, how, status, *_ in costs if how not in WELL and status and status < 400]
    assert served == [("path", "without its last slash, and a query that is escaped", 301)]
    dear = [cost for cost in costs if cost[3] > MOST_MILLISECONDS or cost[4] > MOST_MEBIBYTES]
    assert not dear, dear


@pytest.mark.side_by_side
def test_a_request_that_waits_takes_no_processor_whatever_stands_behind_it():
    with Costs() as scenario:
        waiting = get(f"Cookie: sessionid={PLAIN_KEY}")
        locked = scenario.connect()
        locked.execute("BEGIN EXCLUSIVE")
        with scenario.connected() as connection:
            connection.setblocking(False)
            # More than Actix would buffer, and all that the kernel takes.
            for data in (waiting, PLAIN * 10_000):
                connection.send(data)
            time.sleep(0.5)
            used = scenario.processor_seconds()
            time.sleep(1)
            used = scenario.processor_seconds() - used
        locked.execute("ROLLBACK")
        locked.close()
        assert used < 0.1, f"{used} seconds of processor in a second"
