"""A container that systemd boots, by systemd-nspawn over this machine's files, which it can read but not change.

/usr, /etc and /var are this machine's with an overlay that is dropped afterwards, so packages can be installed. The
network is a separate loopback. It boots in half a second, and only for root.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support import clusters
from support.environments import REPOSITORY, Unavailable, binary
from support.waiting import await_true

BOOT_SECONDS = 30
UNIT = "watchtower-sidecar.service"
DATABASE = "srv/watchtower/db/db.sqlite3"
# Answers on standard output: the status, or `refused (why)`, of as many requests as there are lines on standard input.
REQUESTS = """
import http.client, sys
for line in sys.stdin:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
        connection.request("GET", line.strip())
        print(connection.getresponse().status, flush=True)
    except OSError as error:
        print(f"refused ({error!r})", flush=True)
"""


def new_database(path):
    """An SQLite database with Django's tables, which are empty."""
    with sqlite3.connect(path) as connection:
        connection.executescript((REPOSITORY / "schema" / "sqlite.sql").read_text())
    connection.close()


def build_package(directory):
    """The .deb of the program under test, stored without compression."""
    command = [REPOSITORY / "deploy" / "build-deb", binary(), directory]
    environment = os.environ | {"DPKG_DEB_COMPRESSOR_TYPE": "none"}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [package] = Path(directory).glob("*.deb")
    return package


class Machine:
    """`with Machine() as machine`; raises Unavailable if none can boot."""

    def __init__(self):
        if os.geteuid() != 0:
            raise Unavailable("only root can boot a machine with systemd-nspawn")
        clusters.program("systemd-nspawn")
        self.name = f"sidecar-{os.getpid()}-{time.monotonic_ns()}"
        self.directory = Path(tempfile.mkdtemp(prefix="machine-"))
        self.log = self.directory / "console"
        layers = [f"--overlay=/{name}::/{name}" for name in ("usr", "etc", "var")]
        command = [
            "systemd-nspawn", "--quiet", "--directory=/", "--volatile=yes", "--register=no", "--keep-unit",
            "--private-network", f"--machine={self.name}", "--console=pipe", "--link-journal=no", *layers,
            "--boot", "systemd.unit=basic.target", "systemd.firstboot=off", "systemd.mask=systemd-udevd.service",
        ]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            await_true(self.has_booted, BOOT_SECONDS, lambda: self.log.read_text(errors="replace")[-3000:])
        except AssertionError as error:
            self.close()
            raise Unavailable(f"no machine boots here: {error}") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def has_booted(self):
        if self.process.poll() is not None:
            raise AssertionError(self.log.read_text(errors="replace")[-3000:])
        children = clusters.children(self.process.pid)
        if not children:
            return False
        self.leader = children[0]
        return self.run("systemctl", "is-active", "basic.target").returncode == 0

    def run(self, *command, **more):
        """Runs a command in the machine, as root."""
        enter = ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        more = {"stdin": subprocess.DEVNULL} | more
        return subprocess.run([*enter, *map(str, command)], capture_output=True, text=True, **more)

    def must(self, *command, **more):
        """Runs a command that has to succeed; what it printed."""
        done = self.run(*command, **more)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.journal()}"
        return done.stdout.strip()

    def path(self, name):
        """A path of the machine, seen from here."""
        return Path(f"/proc/{self.leader}/root") / name

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def install(self, package):
        """Installs a .deb, or updates to it."""
        shutil.copy(package, self.path("tmp"))
        self.must("dpkg", "--install", f"/tmp/{package.name}")

    def journal(self, unit=UNIT):
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}").stdout

    def show(self, name, unit=UNIT):
        """A property of a unit."""
        return self.must("systemctl", "show", "--value", f"--property={name}", unit)

    def client(self, port=8000):
        """A process that makes requests on the machine's network; see REQUESTS."""
        command = ["nsenter", f"--target={self.leader}", "--net", sys.executable, "-c", REQUESTS, str(port)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def get(self, path, port=8000):
        """The status of one request, or why there is none."""
        with self.client(port) as client:
            return client.communicate(f"{path}\n", timeout=20)[0].strip()

    def close(self):
        if self.process.poll() is None:
            # As by poweroff: with its first process all others end.
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
