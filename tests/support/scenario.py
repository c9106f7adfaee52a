"""A scenario: a database with Django's tables and some users, and a sidecar over it. And the requests of each kind of caller."""

import itertools
import json
import os
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

from support import clusters, django_sessions, passwords, reference, servers
from support.environments import REPOSITORY
from support.process import Process
from support.proxy import Proxy
from support.waiting import await_true
from support.wire import EXPORT, STATS, Request, get

ADMIN, ADMIN_KEY = "admin", "faults0admin0session0key000000000"
EXPORTED_USERS = 2000
# Every limit has its default, except that on failed logins: the load fails some on purpose.
SETTINGS = {"SIDECAR_LOGIN": "on", "SIDECAR_LOGIN_RATE": "off"}

# MariaDB's error number
NO_SUCH_THREAD = 1094

serial = itertools.count()
once = threading.Lock()
shared = {}


def shared_server(kind):
    """The URL of a database server for the tests that do not stop it. It is not the server of tests/run, which a fault may crash."""
    with once:
        if kind not in shared:
            directory = Path(tempfile.mkdtemp(prefix="faults-"))
            directory.chmod(0o711)
            shared[kind] = clusters.KINDS[kind](directory / kind)
        elif shared[kind].process.poll() is not None:
            # MariaDB 10.11 has crashed when sessions were killed (in its Aria engine, below information_schema).
            print(f"{kind} has crashed, and is started again: {shared[kind].last_words()}")
            shared[kind].resume()
    return shared[kind].url


def stop_shared_servers():
    for server in shared.values():
        server.stop()
        server.directory.parent.rmdir()


class OwnServer:
    """A database server that one test may stop: `with OwnServer(kind) as server`. `how` goes to its class."""

    def __init__(self, kind, **how):
        self.directory = tempfile.TemporaryDirectory(prefix="faults-")
        Path(self.directory.name).chmod(0o711)
        self.server = clusters.KINDS[kind](Path(self.directory.name) / kind, **how)

    def __enter__(self):
        return self.server

    def __exit__(self, *_):
        if self.server.process.poll() is None:
            self.server.thaw()
        self.server.stop()
        self.directory.cleanup()


class Scenario:
    """A new database on `server` (None: the shared one), and a sidecar over it: `with Scenario() as scenario`.

    If `proxied`, the sidecar reaches the database through `scenario.proxy`.
    """

    def __init__(self, kind="postgres", server=None, proxied=False, settings=(), users=EXPORTED_USERS, shell=None):
        self.kind = kind
        self.server = server
        self.proxied = proxied
        self.settings = SETTINGS | dict(settings)
        self.users = users
        self.shell = shell
        self.proxy = self.sidecar = None
        self.name = f"faults_{os.getpid()}_{next(serial)}"
        self.directory = Path(tempfile.mkdtemp(prefix="faults-"))

    def __enter__(self):
        try:
            self.make_database()
            self.url = self.role_url()
            if self.proxied:
                self.proxy = Proxy(urlsplit(self.url).port)
                self.url = self.url.replace(f":{self.proxy.target}/", f":{self.proxy.port}/")
            self.before_start()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def before_start(self):
        """A hook for a fault that exists before the sidecar starts."""

    def start(self, **how):
        """Starts a sidecar, and looks at its process."""
        self.sidecar = Sidecar(self, **how)
        self.process = Process(self.sidecar.process.pid, urlsplit(self.url).port)

    def make_database(self):
        password = passwords.pbkdf2()
        users = [(ADMIN, True, False), ("plain", False, False)]
        users += [(f"user{number}", False, True) for number in range(self.users)]
        rows = ",".join(
            f"({number},'{password}',NULL,FALSE,'{name}','Ada','Lovelace','{name}@example.com',{is_staff},TRUE,"
            f"'2024-01-01 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}',{is_tv},FALSE)"
            for number, (name, is_staff, is_tv) in enumerate(users, start=1)
        )
        session = django_sessions.session_data(django_sessions.login_data(1, password))
        inserts = (
            "INSERT INTO auth_user (id, password, last_login, is_superuser, username, first_name, last_name, email, "
            f"is_staff, is_active, date_joined, is_tv_user, is_movie_user) VALUES {rows};\n"
            f"INSERT INTO django_session VALUES ('{ADMIN_KEY}', '{session}', '2100-01-01 00:00:00');"
        )
        schema = (REPOSITORY / "schema" / f"{self.kind}.sql").read_text()
        if self.kind == "sqlite":
            self.database_url = f"sqlite:///{self.directory / 'database.sqlite3'}"
            with self.connect() as connection:
                connection.executescript(schema + inserts)
            connection.close()
            return
        server_url = self.server.url if self.server else shared_server(self.kind)
        self.database_url = reference.new_database(server_url, self.name)
        for statement in (schema + inserts).split(";\n"):
            self.execute(statement)

    def role_url(self):
        """The URL of a role that may write and that only the sidecar uses."""
        if self.kind == "sqlite":
            return self.database_url
        if self.kind == "postgres":
            self.execute(f"CREATE ROLE {self.name} LOGIN PASSWORD 'throw-away'")
            self.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {self.name}")
        else:
            self.execute(f"CREATE USER {self.name}@'127.0.0.1' IDENTIFIED BY 'throw-away'")
            self.execute(f"GRANT ALL ON {self.name}.* TO {self.name}@'127.0.0.1'")
        place = urlsplit(self.database_url)
        return f"{place.scheme}://{self.name}:throw-away@127.0.0.1:{place.port}{place.path}"

    def connect(self):
        """A connection as the operator, which does not go through the proxy."""
        if self.kind == "sqlite":
            return sqlite3.connect(self.database_url.removeprefix("sqlite:///"), isolation_level=None, timeout=20)
        return reference.connect(self.database_url)

    def execute(self, statement):
        """Runs it as the operator; its rows."""
        connection = self.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def sessions(self, condition="TRUE"):
        """The sidecar's connections as the database sees them: (id, state, current or last statement)."""
        if self.kind == "sqlite":
            return []
        if self.kind == "postgres":
            return self.execute(
                "SELECT pid, state, query FROM pg_stat_activity "
                f"WHERE usename = '{self.name}' AND datname = '{self.name}' AND {condition}"
            )
        return self.execute(
            # An idle connection that got a KILL QUERY is called killed until its next statement.
            "SELECT id, IF(command IN ('Sleep', 'Killed'), 'idle', 'active'), info FROM information_schema.processlist "
            f"WHERE user = '{self.name}' AND {condition}"
        )

    def kill(self, session):
        if self.kind == "postgres":
            self.execute(f"SELECT pg_terminate_backend({session})")
            return
        try:
            self.execute(f"KILL {session}")
        except Exception as error:
            assert error.args[0] == NO_SUCH_THREAD, error

    def kill_sessions(self):
        """Has the database close all of the sidecar's connections, also those that it opens meanwhile."""

        def are_gone():
            sessions = self.sessions()
            for number, *_ in sessions:
                self.kill(number)
            return not sessions

        await_true(are_gone, 5, "the sessions end")

    def busy_sessions(self):
        return [session for session in self.sessions() if session[1] != "idle"]

    def close(self):
        if self.sidecar:
            self.sidecar.stop()
        if self.proxy:
            self.proxy.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Sidecar(servers.Sidecar):
    """The real program. `shell` is a script that starts it by `exec "$@"`, under a limit or with other streams."""

    def __init__(self, scenario, shell=None, stderr=None, settings=()):
        self.shell = shell or scenario.shell
        self.stderr = stderr
        variant = servers.Variant(f"{scenario.name}-{next(serial)}", sidecar=scenario.settings | dict(settings))
        super().__init__(variant, scenario.url, scenario.directory)

    def launch(self, command, environment, *_):
        if self.shell:
            command = ["sh", "-c", self.shell, "sh", *command]
        with open(self.log, "wb") as log:
            self.process = servers.subprocess.Popen(
                command, env=environment, stdin=servers.subprocess.DEVNULL, stdout=log,
                stderr=log if self.stderr is None else self.stderr, start_new_session=True,
            )


ADMIN_COOKIE = f"sessionid={ADMIN_KEY}"


def login_request(password=passwords.PASSWORD, username=ADMIN):
    body = json.dumps({"username": username, "password": password}).encode()
    return Request("POST", "/api/login/", [("Content-Type", "application/json")], body)


def logout_request(key):
    headers = [("Content-Type", "application/json"), ("Cookie", f"sessionid={key}")]
    return Request("POST", "/api/logout/", headers)


# Each caller's request, and the right status without a fault.
REQUESTS = {
    "stats": (get(STATS, cookie=ADMIN_COOKIE), 200),
    "export": (get(EXPORT, cookie=ADMIN_COOKIE), 200),
    "anonymous": (get(STATS), 403),
    "unknown session": (get(STATS, cookie="sessionid=abcdefghijklmnopqrstuvwxyz012345"), 403),
    "basic": (get(STATS, auth=passwords.basic(ADMIN)), 200),
    "wrong password": (get(STATS, auth=passwords.basic(ADMIN, "wrong")), 403),
    "readyz": (get("/readyz"), 200),
    "healthz": (get("/healthz"), 200),
    "login": (login_request(), 200),
}
# Answered without the database.
NEED_NO_DATABASE = {"anonymous", "healthz"}
