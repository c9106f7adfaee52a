"""Standard error is broken in every way that a stream can be: the process goes on serving, and stops on SIGTERM."""

import contextlib
import fcntl
import os
import signal
import tempfile
from pathlib import Path

import pytest

from support import wire
from support.load import Load
from support.scenario import REQUESTS, Scenario
from support.waiting import await_true

# Some twenty lines for each request.
TALKATIVE = {"SIDECAR_LOG": "trace,actix_http=trace"}


class ScenarioWithStderr(Scenario):
    """A scenario whose sidecar has standard error going to `stream`, a descriptor or a path."""

    def __init__(self, stream, **settings):
        super().__init__("sqlite", settings=TALKATIVE | settings)
        self.stream = stream

    def start(self):
        if isinstance(self.stream, int):
            super().start(stderr=self.stream)
        else:
            super().start(shell=f'exec "$@" 2>{self.stream}')


@contextlib.contextmanager
def pipe(closed):
    """The writing end of a pipe that is not read, or whose reading end is closed."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    if closed:
        os.close(reading)
    yield writing
    os.close(writing)
    if not closed:
        os.close(reading)


def serves_and_stops(scenario):
    with Load(scenario.sidecar.port, pause_seconds=0) as load:
        # Twice as many lines as the queue before the stream holds.
        await_true(lambda: len(load.seen) > 500, 30, "500 answers")
    wrong = [str(seen) for seen in load.seen if not seen.right or seen.seconds > 5]
    assert not wrong, wrong[:10]
    scenario.sidecar.process.send_signal(signal.SIGTERM)
    assert scenario.sidecar.process.wait(5) == 0


@pytest.mark.side_by_side
@pytest.mark.parametrize("stream", ["/dev/full", "&-"])
def test_a_standard_error_that_takes_nothing_stops_nothing(stream):
    with ScenarioWithStderr(stream) as scenario:
        serves_and_stops(scenario)


@pytest.mark.side_by_side
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "unread"])
def test_an_unread_pipe_stops_nothing(closed):
    with pipe(closed) as stream, ScenarioWithStderr(stream) as scenario:
        serves_and_stops(scenario)


@pytest.mark.side_by_side
def test_a_second_signal_ends_it_while_the_pipe_is_unread():
    with pipe(closed=False) as stream, ScenarioWithStderr(stream, SIDECAR_SHUTDOWN_DELAY="60") as scenario:
        with Load(scenario.sidecar.port, pause_seconds=0) as load:
            await_true(lambda: len(load.seen) > 500, 30, "500 answers")
        scenario.sidecar.process.send_signal(signal.SIGTERM)
        await_true(lambda: wire.ask(scenario.sidecar.port, REQUESTS["readyz"][0]).status == 503, 5, "not ready")
        scenario.sidecar.process.send_signal(signal.SIGTERM)
        assert scenario.sidecar.process.wait(5) == 1


@pytest.mark.side_by_side
def test_a_log_file_on_a_full_disk_stops_nothing():
    # Half a MiB, which is more than the database takes.
    limit = 'ulimit -S -f 1024; exec "$@"'
    with (
        tempfile.NamedTemporaryFile() as file,
        Scenario("sqlite", settings=TALKATIVE | {"SIDECAR_LOG_FILE": file.name}, shell=limit) as scenario,
    ):
        serves_and_stops(scenario)
        log = Path(file.name).read_bytes()
        assert 450_000 < len(log) <= 512 * 1024 and log.endswith(b"\n")


@pytest.mark.side_by_side
def test_the_log_file_is_written_while_standard_error_is_unread():
    with (
        tempfile.NamedTemporaryFile() as file,
        pipe(closed=False) as stream,
        ScenarioWithStderr(stream, SIDECAR_LOG_FILE=file.name) as scenario,
    ):
        serves_and_stops(scenario)
        lines = Path(file.name).read_text().splitlines()
        assert len(lines) > 8192 and any("stopping" in line for line in lines[-50:])
