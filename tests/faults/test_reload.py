"""A file of the configuration that hangs, as on a file system whose server is gone: a FIFO that is not written to."""

import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest

from support import wire
from support.environments import binary
from support.scenario import REQUESTS, Scenario
from support.servers import Variant
from support.waiting import await_true


class ScenarioWithFiles(Scenario):
    """A scenario whose fallback keys and hosts are in files, and whose messages to systemd are collected."""

    def __init__(self):
        super().__init__("sqlite", users=1)
        self.keys, self.hosts = self.directory / "keys", self.directory / "hosts"
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.systemd.bind(str(self.directory / "notify"))
        self.systemd.setblocking(False)
        self.notices = []
        self.keys.write_text("[]")
        self.hosts.write_text('["testserver"]')
        self.settings |= {
            "DJANGO_SECRET_KEY_FALLBACKS_FILE": str(self.keys), "DJANGO_ALLOWED_HOSTS": "",
            "DJANGO_ALLOWED_HOSTS_FILE": str(self.hosts), "NOTIFY_SOCKET": str(self.directory / "notify"),
            "WATCHDOG_USEC": "1000000",
        }

    def start(self, **how):
        super().start(**how)
        await_true(lambda: self.told("READY=1"), 5, "it has started")

    def told(self, notice):
        """The number of these notices so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.notices += self.systemd.recv(4096).decode().splitlines()
        return self.notices.count(notice)

    def hang_up(self):
        """SIGHUP; returns when the sidecar has begun to reload."""
        before = self.told("RELOADING=1")
        self.sidecar.process.send_signal(signal.SIGHUP)
        await_true(lambda: self.told("RELOADING=1") > before, 2, "it reloads")

    def close(self):
        super().close()
        self.systemd.close()


def replaced_by_fifo(*paths):
    for path in paths:
        path.unlink()
        os.mkfifo(path)


@pytest.mark.side_by_side
@pytest.mark.parametrize("signals", [1, 2])
def test_sigterm_ends_it_at_once_while_a_file_hangs(signals):
    with ScenarioWithFiles() as scenario:
        replaced_by_fifo(scenario.keys)
        scenario.hang_up()
        assert wire.ask(scenario.sidecar.port, REQUESTS["healthz"][0]).status == 200
        for _ in range(signals):
            scenario.sidecar.process.send_signal(signal.SIGTERM)
        # The second signal may come before the first has ended it, or after it.
        assert scenario.sidecar.process.wait(2) in ([0] if signals == 1 else [0, 1])


@pytest.mark.side_by_side
def test_the_watchdog_is_fed_while_files_hang_and_a_later_reload_works():
    with ScenarioWithFiles() as scenario:
        replaced_by_fifo(scenario.keys, scenario.hosts)
        scenario.hang_up()
        ready = scenario.told("READY=1")
        began, fed = time.monotonic(), scenario.told("WATCHDOG=1")
        await_true(lambda: scenario.told("WATCHDOG=1") >= fed + 4, 4, "the watchdog is fed")
        # All files together have 5 seconds.
        await_true(lambda: scenario.told("READY=1") > ready, 7, "it gives up")
        assert 4 < time.monotonic() - began
        log = scenario.sidecar.log.read_text()
        for name in ("DJANGO_SECRET_KEY_FALLBACKS_FILE", "DJANGO_ALLOWED_HOSTS_FILE"):
            assert f"{name} can't be read: no end within 5 seconds" in log
        assert wire.ask(scenario.sidecar.port, REQUESTS["stats"][0]).status == 200
        scenario.keys.unlink()
        scenario.keys.write_text("[]")
        scenario.hosts.unlink()
        scenario.hosts.write_text('["other.example"]')
        scenario.hang_up()
        await_true(lambda: wire.ask(scenario.sidecar.port, REQUESTS["stats"][0]).status == 400, 2, "the new hosts")


@pytest.mark.side_by_side
def test_threads_that_hang_in_files_are_few():
    with ScenarioWithFiles() as scenario:
        before = scenario.process.threads()
        for _ in range(12):
            with contextlib.suppress(FileNotFoundError):
                replaced_by_fifo(scenario.keys, scenario.hosts)
            ready = scenario.told("READY=1")
            scenario.hang_up()
            await_true(lambda: scenario.told("READY=1") > ready, 7, "it gives up")
            if "too many" in scenario.sidecar.log.read_text():
                break
        assert scenario.process.threads() - before < 8


@pytest.mark.side_by_side
@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_file_that_hangs_at_the_start_is_a_mistake_in_the_configuration(command):
    with ScenarioWithFiles() as scenario:
        replaced_by_fifo(scenario.keys)
        variant = Variant("start", sidecar=scenario.settings | {"SIDECAR_BIND": "127.0.0.1:0"})
        done = subprocess.run(
            [binary(), command], env=variant.sidecar_environment(scenario.url), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=8,
        )
        assert done.returncode == 64
        assert "DJANGO_SECRET_KEY_FALLBACKS_FILE can't be read: no end within 5 seconds" in done.stdout + done.stderr
