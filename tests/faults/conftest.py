"""The paths of what the suites share, and tests that run side by side.

Most of these tests wait for a clock: those marked `side_by_side` take no fixtures, and all that were selected are
started, a few at a time, when the first of them has its turn.
"""

import concurrent.futures
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for directory in (HERE, HERE.parent / "differential", HERE.parent):
    sys.path.insert(0, str(directory))

import world  # noqa: E402
from provide import clusters  # noqa: E402

AT_ONCE = 4
pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
running = {}


def pytest_addoption(parser):
    parser.addoption("--soak-seconds", type=int, default=20, help="how long the soak lasts after its warm-up")


def pytest_configure(config):
    config.addinivalue_line("markers", "side_by_side: waits more than it works, and takes no fixtures")


def arguments(item):
    return item.callspec.params if hasattr(item, "callspec") else {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Without a database server there is nothing to test."""
    try:
        return (yield)
    except clusters.Unavailable as error:
        pytest.skip(str(error))


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
    world.stop_shared_servers()


@pytest.fixture
def pgbouncer_program():
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if not found:
        pytest.skip("pgbouncer is not installed")
    return found
