"""What the process writes its log to is broken in every way that a stream can be: it serves on, and stops when told."""

import contextlib
import fcntl
import os
import signal
import tempfile
from pathlib import Path

import pytest

import wire
from load import Load
from observed import await_true
from world import REQUESTS, World

# Some twenty lines for each request.
TALKATIVE = {"SIDECAR_LOG": "trace,actix_http=trace"}


class Heard(World):
    """A world whose sidecar has standard error going to `stream`, a descriptor or a path."""

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
    """The end to write to of a pipe that nobody reads, or that nobody can read any more."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    if closed:
        os.close(reading)
    yield writing
    os.close(writing)
    if not closed:
        os.close(reading)


def serves_and_stops(world):
    with Load(world.sidecar.port, pause_seconds=0) as load:
        # Twice as many lines as the queue before the stream holds.
        await_true(lambda: len(load.seen) > 500, 30, "so many answers")
    wrong = [str(seen) for seen in load.seen if not seen.right or seen.seconds > 5]
    assert not wrong, wrong[:10]
    world.sidecar.process.send_signal(signal.SIGTERM)
    assert world.sidecar.process.wait(5) == 0


@pytest.mark.side_by_side
@pytest.mark.parametrize("stream", ["/dev/full", "&-"])
def test_a_standard_error_that_takes_nothing_stops_nothing(stream):
    with Heard(stream) as world:
        serves_and_stops(world)


@pytest.mark.side_by_side
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "unread"])
def test_a_pipe_that_nobody_reads_stops_nothing(closed):
    with pipe(closed) as stream, Heard(stream) as world:
        serves_and_stops(world)


@pytest.mark.side_by_side
def test_a_second_signal_ends_it_though_nobody_reads_the_pipe():
    with pipe(closed=False) as stream, Heard(stream, SIDECAR_SHUTDOWN_DELAY="60") as world:
        with Load(world.sidecar.port, pause_seconds=0) as load:
            await_true(lambda: len(load.seen) > 500, 30, "so many answers")
        world.sidecar.process.send_signal(signal.SIGTERM)
        await_true(lambda: wire.ask(world.sidecar.port, REQUESTS["readyz"][0]).status == 503, 5, "not ready")
        world.sidecar.process.send_signal(signal.SIGTERM)
        assert world.sidecar.process.wait(5) == 1


@pytest.mark.side_by_side
def test_a_log_file_on_a_full_disk_stops_nothing():
    # Half a MiB, which is more than the database takes.
    limit = 'ulimit -S -f 1024; exec "$@"'
    with (
        tempfile.NamedTemporaryFile() as file,
        World("sqlite", settings=TALKATIVE | {"SIDECAR_LOG_FILE": file.name}, shell=limit) as world,
    ):
        serves_and_stops(world)
        log = Path(file.name).read_bytes()
        assert 450_000 < len(log) <= 512 * 1024 and log.endswith(b"\n")


@pytest.mark.side_by_side
def test_the_log_file_is_written_though_nobody_reads_standard_error():
    with (
        tempfile.NamedTemporaryFile() as file,
        pipe(closed=False) as stream,
        Heard(stream, SIDECAR_LOG_FILE=file.name) as world,
    ):
        serves_and_stops(world)
        lines = Path(file.name).read_text().splitlines()
        assert len(lines) > 8192 and any("stopping" in line for line in lines[-50:])
