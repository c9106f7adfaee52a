"""The unit, the socket and the drop-ins, under a systemd that really runs them; see nspawn.py.

The messages to systemd are also tested without a container, at the end of the file, which needs no root.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from deploy.nspawn import DATABASE, UNIT, Machine, build_package, new_database
from support import clusters
from support.environments import REPOSITORY, binary
from support.ports import free_port
from support.waiting import await_true

SYSTEMD = REPOSITORY / "deploy" / "systemd"
DROP_INS = f"etc/systemd/system/{UNIT}.d"
ETC = "etc/watchtower-sidecar"
SECRETS = f"/{ETC}/secrets"
KEY = "a-key-for-tests-that-is-long-enough-to-warn-nobody-0123456789"
ENVIRONMENT = {
    "DATABASE_URL": f"sqlite:////{DATABASE}",
    "DJANGO_SECRET_KEY": KEY,
    "DJANGO_ALLOWED_HOSTS": '["127.0.0.1"]',
}
FILES = {
    "DATABASE_URL": "database-url",
    "DJANGO_SECRET_KEY": "django-secret-key",
    "DJANGO_SECRET_KEY_FALLBACKS": "django-secret-key-fallbacks",
    "DJANGO_ALLOWED_HOSTS": "django-allowed-hosts",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A machine with the package installed."""
    with Machine() as machine:
        package = build_package(tmp_path_factory.mktemp("package"))
        machine.install(package)
        yield machine


@pytest.fixture
def machine(installed, tmp_path):
    """The machine with a database and nothing configured."""
    path = installed.path(DATABASE)
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o770)
    # SQLite takes no path that leads through /proc.
    new_database(tmp_path / "db.sqlite3")
    shutil.copy(tmp_path / "db.sqlite3", path)
    path.chmod(0o660)
    installed.must("chgrp", "-R", "www-data", "/srv/watchtower/db")
    drop_in(installed, "sqlite.conf")
    # A failure shall not take the minute and a half that is systemd's default.
    drop_in(installed, "limit.conf", "[Service]\nTimeoutStartSec=20\n")
    yield installed
    installed.must("systemctl", "stop", "watchtower-sidecar.socket", UNIT)
    installed.run("systemctl", "reset-failed", UNIT)
    shutil.rmtree(installed.path(DROP_INS))
    shutil.rmtree(path.parent)
    shutil.rmtree(installed.path(ETC) / "secrets", ignore_errors=True)
    (installed.path(ETC) / "sidecar.env").unlink(missing_ok=True)
    installed.must("systemctl", "daemon-reload")


def drop_in(machine, name, text=None):
    """Puts a drop-in of deploy/, or one with this text, into the machine."""
    machine.write(f"{DROP_INS}/{name}", text or (SYSTEMD / "drop-ins" / name).read_text())
    machine.must("systemctl", "daemon-reload")


def configure(machine, **more):
    lines = [f"{name}='{value}'\n" for name, value in (ENVIRONMENT | more).items()]
    machine.write(f"{ETC}/sidecar.env", "".join(lines), 0o600)


def configure_with_files(machine, mode, group, **more):
    """As deploy/django-settings.py with SIDECAR_SECRETS_DIR: secrets in files, and lines that name them."""
    values = {**ENVIRONMENT, **more}
    for variable, value in values.items():
        machine.write(f"{SECRETS[1:]}/{FILES[variable]}", f"{value}\n", mode)
    machine.must("chgrp", "-R", group, SECRETS)
    lines = [f"{variable}_FILE={SECRETS}/{FILES[variable]}\n" for variable in values]
    machine.write(f"{ETC}/sidecar.env", "".join(lines), 0o600)


def start(machine):
    """Starts the service, and waits until it is ready; its main process."""
    machine.must("systemctl", "start", UNIT)
    return await_ready(machine)


def await_ready(machine):
    await_true(lambda: machine.get("/readyz") == "200", 10, machine.journal)
    return int(machine.show("MainPID"))


def status(machine, pid):
    """The fields of /proc/PID/status."""
    text = machine.must("cat", f"/proc/{pid}/status")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_the_units_hold_no_mistake(tmp_path):
    """Under the names and with the program that they expect."""
    unit = (SYSTEMD / UNIT).read_text().replace("/usr/bin/watchtower-sidecar", "/bin/true")
    (tmp_path / UNIT).write_text(unit.replace("Documentation=man:watchtower-sidecar(8)\n", ""))
    shutil.copy(SYSTEMD / "watchtower-sidecar.socket", tmp_path)
    shutil.copytree(SYSTEMD / "drop-ins", tmp_path / f"{UNIT}.d")
    units = [tmp_path / UNIT, tmp_path / "watchtower-sidecar.socket"]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("drop_ins", [[], ["sqlite.conf", "credentials.conf"]])
def test_the_exposure_is_at_most_two(tmp_path, drop_ins):
    unit = (SYSTEMD / UNIT).read_text() + "".join((SYSTEMD / "drop-ins" / name).read_text() for name in drop_ins)
    (tmp_path / UNIT).write_text(unit)
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", tmp_path / UNIT]
    done = subprocess.run(command, capture_output=True, text=True)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert exposure, done.stdout + done.stderr
    assert float(exposure[1]) <= 2.0


def test_it_does_not_start_unconfigured(machine):
    done = machine.run("systemctl", "start", UNIT)
    assert done.returncode != 0 and "Assertion failed" in done.stderr


def test_it_serves_and_can_do_nothing_else(machine):
    configure(machine)
    drop_in(machine, "test.conf", "[Service]\nLimitNOFILE=1000:2000\n")
    pid = start(machine)
    its = status(machine, pid)
    assert its["CapEff"] == its["CapBnd"] == "0" * 16
    assert (its["NoNewPrivs"], its["Seccomp"]) == ("1", "2")
    assert its["Uid"].split()[0] == machine.must("id", "-u", "watchtower-sidecar") != "0"
    # It may still ask for all the descriptors there are for it, which decide how many connections it takes.
    assert re.search(r"Max open files +2000 +2000", machine.must("cat", f"/proc/{pid}/limits"))
    assert (machine.show("Type"), machine.show("WatchdogUSec")) == ("notify", "30s")
    assert "warn" not in machine.journal().lower()


def test_it_runs_as_a_user_that_systemd_makes_up(machine):
    """Where the unit was copied without the package's user."""
    machine.must("userdel", "watchtower-sidecar")
    try:
        configure(machine)
        pid = start(machine)
        assert int(status(machine, pid)["Uid"].split()[0]) >= 61184
    finally:
        machine.must("systemctl", "stop", UNIT)
        machine.must("systemd-sysusers", "watchtower-sidecar.conf")


def test_a_bad_configuration_is_not_tried_again(machine):
    configure(machine, SIDECAR_LOGIN="perhaps")
    assert machine.run("systemctl", "start", UNIT).returncode != 0
    assert (machine.show("ActiveState"), machine.show("NRestarts")) == ("failed", "0")
    assert machine.show("ExecMainStatus") == "64"
    assert "SIDECAR_LOGIN" in machine.journal()


def test_it_comes_back_after_a_crash(machine):
    configure(machine)
    drop_in(machine, "test.conf", "[Service]\nRestartSec=100ms\n")
    pid = start(machine)
    machine.must("kill", "-KILL", pid)
    await_true(lambda: machine.show("NRestarts") == "1", 10, machine.journal)
    assert await_ready(machine) != pid


def test_the_watchdog_ends_a_process_that_hangs(machine):
    configure(machine)
    drop_in(machine, "test.conf", "[Service]\nRestartSec=100ms\nWatchdogSec=1\n")
    pid = start(machine)
    # It has told in time before it is stopped: longer than the watchdog waits.
    time.sleep(2.5)
    assert (machine.show("MainPID"), machine.show("NRestarts")) == (str(pid), "0")
    machine.must("kill", "-STOP", pid)
    await_true(lambda: machine.show("NRestarts") == "1", 10, machine.journal)
    assert await_ready(machine) != pid
    assert "watchdog" in machine.journal().lower()


def test_a_reload_reads_the_files_again(machine):
    """With the files for the service's group: the simplest way in which a reload has something to read."""
    configure_with_files(machine, 0o640, "watchtower-sidecar")
    pid = start(machine)
    assert machine.get("/api/admin/export-stats/") == "403"
    hosts = machine.path(SECRETS[1:]) / FILES["DJANGO_ALLOWED_HOSTS"]
    hosts.write_text('["another.example.com"]\n')
    machine.must("systemctl", "reload", UNIT)
    await_true(lambda: machine.get("/api/admin/export-stats/") == "400", 10, machine.journal)
    assert (machine.show("ActiveState"), int(machine.show("MainPID"))) == ("active", pid)


def test_a_reload_with_a_mistake_changes_nothing(machine):
    configure_with_files(machine, 0o640, "watchtower-sidecar")
    pid = start(machine)
    said = len(machine.journal())
    (machine.path(SECRETS[1:]) / FILES["DJANGO_ALLOWED_HOSTS"]).write_text("nonsense\n")
    machine.must("systemctl", "reload", UNIT)
    await_true(lambda: "DJANGO_ALLOWED_HOSTS" in machine.journal()[said:], 10, machine.journal)
    assert machine.get("/api/admin/export-stats/") == "403"
    assert (machine.show("ActiveState"), int(machine.show("MainPID"))) == ("active", pid)


@pytest.mark.parametrize("optional", [{}, {"DJANGO_SECRET_KEY_FALLBACKS": '["an-older-key"]'}])
def test_credentials_that_root_alone_can_read(machine, optional):
    """The drop-in makes copies for the service, where the lines in sidecar.env look for them."""
    configure_with_files(machine, 0o600, "root", **optional)
    machine.path(SECRETS[1:]).chmod(0o700)
    refused = machine.run("systemctl", "start", UNIT)
    assert refused.returncode != 0 and machine.show("ExecMainStatus") == "64"
    drop_in(machine, "credentials.conf")
    pid = start(machine)
    assert machine.get("/api/admin/export-stats/") == "403"
    assert KEY not in machine.must("cat", f"/proc/{pid}/environ")


def test_no_connection_is_refused_while_it_restarts(machine):
    configure(machine)
    machine.must("systemctl", "start", "watchtower-sidecar.socket")
    with machine.client() as client:
        def request():
            client.stdin.write("/healthz\n")
            return client.stdout.readline().strip()

        # The first starts the service.
        assert request() == "200"
        before = machine.show("MainPID")
        restart = subprocess.Popen(["nsenter", "-a", f"-t{machine.leader}", "systemctl", "restart", UNIT])
        answers = []
        while restart.poll() is None:
            answers.append(request())
        answers += [request() for _ in range(20)]
        client.stdin.close()
    assert restart.returncode == 0 and set(answers) == {"200"}, machine.journal()
    assert machine.show("MainPID") not in (before, "0")


def test_postgresql_knows_it_by_its_user(machine):
    """Peer authentication over the unix socket, which no password can leak from."""
    programs = clusters.postgres_programs()
    machine.must("install", "--directory", "--owner=postgres", "/run/postgresql", "/run/cluster")
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    machine.must(*as_postgres, programs / "initdb", "--no-sync", "--auth=peer", "--pgdata=/run/cluster")
    machine.must(
        "systemd-run", "--unit=cluster", "--uid=postgres", "--service-type=notify", programs / "postgres",
        "-D", "/run/cluster", "-c", "unix_socket_directories=/run/postgresql", "-c", "listen_addresses=",
    )
    try:
        psql = [*as_postgres, programs / "psql", "-qv", "ON_ERROR_STOP=1", "--host=/run/postgresql"]
        tables = (REPOSITORY / "schema" / "postgres.sql").read_text()
        role = '"watchtower-sidecar"'
        grants = f"CREATE ROLE {role} LOGIN; GRANT SELECT ON auth_user, django_session TO {role};"
        machine.must(*psql, stdin=None, input=tables + grants)
        configure(machine, DATABASE_URL="postgres://watchtower-sidecar@%2Frun%2Fpostgresql/postgres")
        start(machine)
        machine.must("systemctl", "stop", UNIT)
    finally:
        machine.must("systemctl", "stop", "cluster.service")


class Systemd:
    """What stands where systemd would: a socket for the service's words, as sd_notify(3) has them."""

    def __init__(self, directory):
        self.path = directory / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(10)
        self.words = []

    def await_word(self, word):
        """Reads until this word comes; those before it."""
        before = []
        while True:
            for line in self.socket.recv(4096).decode().splitlines():
                if line == word:
                    return before
                before.append(line)


@pytest.fixture
def systemd(tmp_path):
    listener = Systemd(tmp_path)
    yield listener
    listener.socket.close()


def environment(tmp_path, systemd, **more):
    new_database(tmp_path / "db.sqlite3")
    return {
        **ENVIRONMENT, "PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "SIDECAR_BIND": "127.0.0.1:0", "NOTIFY_SOCKET": str(systemd.path), **more,
    }


def test_it_tells_systemd_what_it_does(tmp_path, systemd):
    process = subprocess.Popen([binary(), "serve"], env=environment(tmp_path, systemd, WATCHDOG_USEC="400000"))
    try:
        assert "WATCHDOG=1" not in systemd.await_word("READY=1")
        for _ in range(3):
            systemd.await_word("WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        systemd.await_word("RELOADING=1")
        systemd.await_word("READY=1")
        process.send_signal(signal.SIGTERM)
        systemd.await_word("STOPPING=1")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_it_takes_the_listener_that_it_is_given(tmp_path, systemd):
    port = free_port()
    more = environment(tmp_path, systemd, SIDECAR_BIND="127.0.0.1:1")
    pairs = [f"--setenv={name}={value}" for name, value in more.items()]
    command = ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", "--fdname=main", *pairs, binary(), "serve"]
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        # Connecting is what starts it.
        await_true(lambda: listens(port), 10, (tmp_path / "log").read_text)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        systemd.await_word("READY=1")
    finally:
        process.terminate()
        assert process.wait(20) == 0


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
