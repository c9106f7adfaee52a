"""Who is compared: the sidecar at its defaults, the reference project under gunicorn, the databases' own clients."""

import http.client
import os
import socket
import time
from itertools import count
from pathlib import Path

from bench import data
from support import clusters, reference, servers
from support.django_sessions import SECRET_KEY
from support.environments import SUITE
from support.ports import free_port

EXPORT = "/api/admin/export-users/"
STATS = "/api/admin/export-stats/"
START_SECONDS = 60
# The reference project takes some twenty seconds for a million users.
ANSWER_SECONDS = 600
# As the customer's project runs.
WORKERS = 2

serial = count(1)


class WrongAnswer(Exception):
    """A contender answered something else than it must; its figures would mean nothing."""


class WebServer(servers.Server):
    """A server that answers the two endpoints, within a `with`; `start_seconds` is from launch to first answer."""

    def __init__(self, database, directory):
        super().__init__(f"{self.name}-{next(serial)}", directory)
        self.database = database

    def __enter__(self):
        try:
            started = time.perf_counter()
            self.start()
            self.start_seconds = time.perf_counter() - started
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def url(self, target):
        return f"http://127.0.0.1:{self.port}{target}"

    def request(self, target, cookie=None):
        """Status and body of one request, read to its end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", target, headers={"Cookie": cookie} if cookie else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def expect(self, status, target, cookie=None):
        """The body of a request that must be answered with that status."""
        found, body = self.request(target, cookie)
        if found != status:
            raise WrongAnswer(f"{self.name} answered {target} with {found}, not {status}: {self.last_words()}")
        return body

    def processes(self):
        """The ids of the server's processes: those of the group that it leads."""
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if group(path) == self.process.pid]


def group(path):
    """The process group of a directory in /proc; None if the process is gone."""
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[2])
    except OSError:
        return None


class Sidecar(WebServer):
    name = "sidecar"

    def __init__(self, database, directory, binary):
        super().__init__(database, directory)
        self.binary = binary

    def start(self):
        self.port = free_port()
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "DATABASE_URL": self.database.sidecar_url,
            "DJANGO_SECRET_KEY": SECRET_KEY,
            "DJANGO_ALLOWED_HOSTS": '["*"]',
            "SIDECAR_BIND": f"127.0.0.1:{self.port}",
            # As the unit and the image set it.
            "MALLOC_ARENA_MAX": "2",
        }
        deadline = time.perf_counter() + START_SECONDS
        self.launch([str(self.binary), "serve"], environment)
        while not self.is_alive():
            if self.process.poll() is not None or time.perf_counter() > deadline:
                raise RuntimeError(f"the sidecar did not start: {self.last_words()}")
            # Leaves the core to the server that starts on it, and is short beside what is measured.
            time.sleep(0.0002)

    def is_alive(self):
        try:
            return self.request("/healthz")[0] == 200
        except OSError:
            return False


class Django(WebServer):
    name = "Django"

    def start(self):
        # The socket listens before gunicorn is up: a first request waits in its queue, nothing has to be polled.
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(2048)
            self.port = listener.getsockname()[1]
            command = [
                reference.python(SUITE), "-m", "gunicorn", "reference.wsgi", f"--workers={WORKERS}",
                f"--bind=fd://{listener.fileno()}", "--no-control-socket", f"--timeout={ANSWER_SECONDS}",
            ]
            environment = reference.project_environment(self.database.url, PGSSLMODE="disable")
            self.launch(command, environment, [listener.fileno()], reference.PROJECT)
        self.expect(403, STATS)


def client(database):
    """The database's own client writing the exported rows: its name, command and environment."""
    place = database.place
    environment = {"PATH": os.environ.get("PATH", "")}
    if database.kind == "postgres":
        environment |= {"PGPASSWORD": place.password, "PGSSLMODE": "disable"}
        # Debian's /usr/bin/psql is a Perl script around this one, and costs some 20 ms.
        psql = str(clusters.postgres_programs() / "psql")
        command = [psql, "-qAtX", "-h", place.hostname, "-p", str(place.port), "-U", place.username]
        return "COPY", command + ["-d", place.path[1:], "-c", f"COPY ({data.EXPORTED_ROWS}) TO STDOUT"], environment
    if database.kind == "mysql":
        environment["MYSQL_PWD"] = place.password
        command = ["mariadb", "--no-defaults", "--skip-ssl", "--default-character-set=utf8mb4"]
        command += [f"--host={place.hostname}", f"--port={place.port}", f"--user={place.username}", place.path[1:]]
        return "mariadb --quick", command + ["--quick", "--batch", "-e", data.EXPORTED_ROWS], environment
    return "sqlite3 -json", ["sqlite3", "-json", "-readonly", database.path, data.EXPORTED_ROWS], environment

