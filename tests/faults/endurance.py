"""Runs the load over one fault, judges the answers, and checks that nothing is left behind."""

from support.load import Judgement, Load
from support.waiting import await_true

FAULT_SECONDS = 10
# Eight short queries, four exports, statistics, two for the page, readiness, a ping.
MOST_CONNECTIONS = 17
# Workers come and go between the two counts, and so do the threads that connect and ping.
MOST_MORE_THREADS = 12
# The pool may have filled meanwhile, with one descriptor for each connection, two with SQLite. `left_nothing_behind`
# counts the connections when all are idle.
MOST_MORE_DESCRIPTORS = {"postgres": MOST_CONNECTIONS, "mysql": MOST_CONNECTIONS, "sqlite": 2 * MOST_CONNECTIONS}


def endure(scenario, begin, end, lasts=FAULT_SECONDS, known_down_after=None, callers=None):
    """Runs the load over a fault, compares threads and descriptors before and after; returns the judgement."""
    with Load(scenario.sidecar.port, **({"callers": callers} if callers else {})) as load:
        load.await_right()
        load.last(1)
        before = scenario.process.threads(), scenario.process.descriptors()
        began = load.now()
        begin()
        begun = load.now()
        load.last(lasts)
        ending = load.now()
        end()
        ended = load.now()
        load.await_right()
        load.last(max(0, ended + 6.5 - load.now()))
        after = scenario.process.threads(), scenario.process.descriptors()
    judgement = Judgement(load.seen, began, begun, ending, ended)
    print(f"{scenario.name}: {judgement.figures()}; threads, descriptors {before} -> {after}", flush=True)
    violations = judgement.violations(known_down_after)
    assert not violations, "\n".join([f"{len(violations)} violations; {judgement.figures()}", *violations[:30]])
    assert after[0] <= before[0] + MOST_MORE_THREADS and after[1] <= before[1] + MOST_MORE_DESCRIPTORS[scenario.kind]
    left_nothing_behind(scenario)
    return judgement


def left_nothing_behind(scenario, some_died_unused=False):
    """Database and sidecar agree on the connections; these are idle and no more than the pool holds.

    With `some_died_unused`, the pool may hold dead connections, which it notices when it uses them.
    """

    def at_rest():
        sessions, sockets = len(scenario.sessions()), scenario.process.sockets()
        are_known = sessions <= sockets if some_died_unused else sessions == sockets
        return not scenario.busy_sessions() and are_known and sockets <= MOST_CONNECTIONS

    await_true(at_rest, 10, lambda: f"{scenario.sessions()} are {scenario.process.sockets()} and rest")
