"""The folder of temporary files is full, read-only or missing: large exports are answered 503, and readyz, the log and the
commands name the folder and the cause."""

import json
import os
import subprocess

import pytest

from support import environments, wire
from support.scenario import REQUESTS, Scenario
from support.waiting import await_true

# Their rows are more than an export keeps in memory.
USERS = 25_000
# What a shell does before it starts the sidecar with TMPDIR="$PWD/folder", and how the log tells the cause.
FAULTS = {
    "full": ("mkdir folder; mount -t tmpfs -o size=1m none folder", "No space left on device"),
    "read-only": ("mkdir folder; mount -t tmpfs -o ro none folder", "Read-only file system"),
    "missing": ("true", "No such file or directory"),
    "no folder": ("touch folder", "Not a directory"),
}


def shell(directory, fault):
    before = f'cd {directory}; {FAULTS[fault][0]}; TMPDIR={directory}/folder exec "$@"'
    # The mount is the process's own, and ends with it.
    options = "--mount --map-root-user" if os.geteuid() else "--mount"
    return f"exec unshare {options} sh -c '{before}' sh \"$@\""


class BrokenFolder(Scenario):
    def __init__(self, fault, kind):
        super().__init__(kind, users=USERS)
        self.shell = shell(self.directory, fault)


def command(scenario, shell, *arguments):
    environment = os.environ | {
        "DATABASE_URL": scenario.url, "DJANGO_SECRET_KEY": "reference-secret-key", "DJANGO_ALLOWED_HOSTS": '["*"]',
    }
    program = ["sh", "-c", shell, "sh", environments.binary(), *arguments]
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.side_by_side
@pytest.mark.parametrize("fault, kind", [*((fault, "sqlite") for fault in FAULTS), ("full", "postgres"), ("full", "mysql")])
def test_a_broken_temporary_folder_is_named(fault, kind):
    cause = FAULTS[fault][1]
    with BrokenFolder(fault, kind) as scenario:
        folder, port = f"{scenario.directory}/folder", scenario.sidecar.port

        def tells(text):
            named = [line for line in text.splitlines() if folder in line]
            return any(cause in line for line in named) and "database is unavailable" not in text

        answer = wire.ask(port, REQUESTS["export"][0])
        assert (answer.status, answer.one("Retry-After")) == (503, "5")
        await_true(lambda: tells(scenario.sidecar.log.read_text()), 5, "a line of the log")
        ready = wire.ask(port, REQUESTS["readyz"][0])
        assert ready.status == 503
        assert json.loads(ready.body) == {"status": "unavailable", "failed": "temporary_folder"}
        await_true(lambda: "not ready: temporary_folder" in scenario.sidecar.log.read_text(), 5, "a line of readyz")
        # All else is served.
        assert wire.ask(port, REQUESTS["stats"][0]).status == 200

        found = command(scenario, scenario.shell, "check", "--format", "json")
        [finding] = [one for one in json.loads(found.stdout)["findings"] if one["id"] == "export.temporary-folder"]
        assert finding["level"] == "error" and tells(finding["text"]) and "TMPDIR" in finding["advice"]
        assert found.returncode == 1
        export = command(scenario, scenario.shell, "export")
        assert export.returncode == 1 and tells(export.stderr), export.stderr


@pytest.mark.side_by_side
def test_an_export_on_the_command_line_reports_a_limit_of_file_sizes():
    with Scenario("sqlite", users=USERS) as scenario:
        export = command(scenario, 'ulimit -S -f 1024; exec "$@"', "export")
        assert (export.returncode, export.stdout) == (1, "") and "File too large" in export.stderr, export
