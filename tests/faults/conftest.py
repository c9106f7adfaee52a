"""The option of the soak, and tests that run side by side.

Most of these tests wait. Those marked `side_by_side` take no fixtures; when the first of them has its turn, all that were
selected are started, a few at a time.
"""

import concurrent.futures

import pytest

from support import clusters, scenario

AT_ONCE = 4
pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
running = {}


def pytest_addoption(parser):
    parser.addoption("--soak-seconds", type=int, default=20, help="how long the soak lasts after its warm-up")


def pytest_configure(config):
    config.addinivalue_line("markers", "side_by_side: waits more than it works, and takes no fixtures")


def arguments(item):
    return item.callspec.params if hasattr(item, "callspec") else {}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not pyfuncitem.get_closest_marker("side_by_side"):
        return None
    if not running:
        for item in pyfuncitem.session.items:
            if item.get_closest_marker("side_by_side"):
                running[item.nodeid] = pool.submit(item.obj, **arguments(item))
    running[pyfuncitem.nodeid].result()
    return True


def pytest_sessionfinish():
    pool.shutdown(cancel_futures=True)
    scenario.stop_shared_servers()


@pytest.fixture
def pgbouncer_program():
    return clusters.program("pgbouncer")
