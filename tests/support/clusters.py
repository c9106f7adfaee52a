"""Throw-away PostgreSQL and MariaDB servers: their own data directory, a free loopback port, TLS, gone with the run.

They run as an unprivileged user if the caller is root (neither starts as root), and never touch an installed server.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

from support import certificates
from support.environments import Unavailable
from support.ports import free_port

PASSWORD = "throw-away"
START_SECONDS = 60


class Cluster:
    """One running server. `url` is the superuser's; with it a test makes its databases."""

    def __init__(self, directory, system_user, language=None):
        self.directory = Path(directory)
        # A MariaDB that starts removes the temporary tables of others from its TMPDIR. LANGUAGE is gettext's, and needs no
        # locale of that language.
        self.environment = os.environ | {"TMPDIR": str(self.directory)} | ({"LANGUAGE": language} if language else {})
        self.directory.mkdir(mode=0o711)
        self.authority = certificates.make(self.directory)
        self.account = account(system_user)
        self.port = free_port()
        self.process = None
        self.hand_over(self.directory)
        for name in ("server.key", "server.pem"):
            self.hand_over(self.directory / name)
        (self.directory / "server.key").chmod(0o600)

    def hand_over(self, path):
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def identity(self):
        if not self.account:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def run(self, *command):
        done = subprocess.run(
            command, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment,
            **self.identity(),
        )
        if done.returncode != 0:
            raise Unavailable(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-2000:]}")

    def start(self, *command):
        self.command = command
        self.resume()

    def resume(self):
        """Starts the server on its existing data."""
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment, start_new_session=True, **self.identity()
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                words = self.last_words()
                self.stop()
                raise Unavailable(f"{Path(self.command[0]).name} did not start: {words}")
            time.sleep(0.05)

    def halt(self, number=None):
        """Stops the server by a signal, and keeps its data."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number or self.stop_signal)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def freeze(self):
        """Suspends all of the server's processes. The kernel still accepts connections for them."""
        self.signal_all(signal.SIGSTOP)

    def thaw(self):
        self.signal_all(signal.SIGCONT)

    def signal_all(self, number):
        # The first process first, so that it starts no more children.
        self.process.send_signal(number)
        for child in children(self.process.pid):
            # It may have ended meanwhile.
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    def last_words(self):
        return (self.directory / "log").read_text(errors="replace")[-2000:]

    def stop(self):
        self.halt()
        shutil.rmtree(self.directory, ignore_errors=True)


class Postgres(Cluster):
    """A server, or a streaming standby of `primary`. Its messages are in `language`: "de"."""

    stop_signal = 3  # SIGQUIT: stops at once, without a checkpoint

    def __init__(self, directory, primary=None, language=None):
        self.programs = postgres_programs()
        super().__init__(directory, "postgres", language)
        self.data = self.directory / "data"
        if primary:
            self.run(
                str(self.programs / "pg_basebackup"), "-D", str(self.data), "-d", primary.url, "-R",
                "--checkpoint=fast", "--no-sync",
            )
        else:
            self.initialise()
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.directory,
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": 200,
            "ssl": "on", "ssl_cert_file": self.directory / "server.pem", "ssl_key_file": self.directory / "server.key",
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.start(str(self.programs / "postgres"), "-D", str(self.data), *flags)
        self.url = f"postgres://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def initialise(self):
        secret = self.directory / "password"
        secret.write_text(PASSWORD)
        self.hand_over(secret)
        self.run(
            str(self.programs / "initdb"), "-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
            "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync",
        )

    def promote(self):
        """Promotes a standby; returns when it takes writes."""
        self.run(str(self.programs / "pg_ctl"), "promote", "-D", str(self.data))

    def answers(self):
        check = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(check, stdin=subprocess.DEVNULL).returncode == 0


class MariaDb(Cluster):
    stop_signal = 15

    def __init__(self, directory, language=None):
        server, install = program("mariadbd"), program("mariadb-install-db")
        super().__init__(directory, "mysql")
        data = self.directory / "data"
        data.mkdir(mode=0o700)
        self.hand_over(data)
        self.run(
            install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
            "--skip-test-db", "--skip-name-resolve",
        )
        first = self.directory / "first.sql"
        first.write_text(
            f"ALTER USER root@localhost IDENTIFIED BY '{PASSWORD}';\n"
            f"CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        self.hand_over(first)
        self.start(
            server, "--no-defaults", f"--datadir={data}", f"--socket={self.directory}/socket",
            f"--port={self.port}", "--bind-address=127.0.0.1", f"--pid-file={self.directory}/pid",
            f"--init-file={first}", "--skip-name-resolve", "--character-set-server=utf8mb4",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync",
            f"--ssl-ca={self.authority}", f"--ssl-cert={self.directory}/server.pem",
            f"--ssl-key={self.directory}/server.key",
            *([f"--lc-messages={language}_{language.upper()}"] if language else []),
        )
        self.url = f"mysql://root:{PASSWORD}@127.0.0.1:{self.port}/mysql"

    def answers(self):
        check = [
            program("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={self.port}", "--user=root",
            f"--password={PASSWORD}", "--execute=SELECT 1",
        ]
        return subprocess.run(check, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


KINDS = {"postgres": Postgres, "mysql": MariaDb}


def account(name):
    """The unprivileged account to run as, or None when the caller is unprivileged already."""
    if os.geteuid() != 0:
        return None
    for candidate in (name, "nobody"):
        try:
            return pwd.getpwnam(candidate)
        except KeyError:
            continue
    raise Unavailable(f"no account {name} to run the server as")


def children(process):
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def program(name):
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not found:
        raise Unavailable(f"{name} is not installed")
    return found


def postgres_programs():
    """The directory of the newest PostgreSQL's programs; Debian keeps them out of the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name))
    if versions:
        return versions[-1].parent
    return Path(program("initdb")).parent
