"""For every suite: a test whose server, program or Python environment is missing is skipped, with the reason."""

import pytest

from support.environments import Unavailable


def skip_if_unavailable():
    try:
        return (yield)
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    return (yield from skip_if_unavailable())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    return (yield from skip_if_unavailable())
