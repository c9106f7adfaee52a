"""A whole site on one SQLite database: the reference Django, sidecars, and a proxy in front of them."""

import itertools
import shutil
import socket
import sqlite3
import tempfile
from pathlib import Path

from deploy import proxies
from support import passwords, reference, servers, wire
from support.environments import SUITE

# As the customer's example calls them.
ADMIN, ADMIN_PASSWORD = "your_admin_username", "your_password"
MANY_USERS = 100_000

serial = itertools.count()


class Templates:
    """Databases to copy, made on first use."""

    def __init__(self, directory):
        self.directory = directory

    def path(self, many):
        path = self.directory / ("many.sqlite3" if many else "few.sqlite3")
        if not path.exists():
            self.make(path, many)
        return path

    def make(self, path, many):
        if many:
            shutil.copyfile(self.path(False), path)
            users = (
                (f"user{number}", f"user{number}@example.com", f"2024-01-01 00:00:00.{number:06}", False, True, "!")
                for number in range(MANY_USERS)
            )
        else:
            reference.prepare(f"sqlite:///{path}")
            users = [(ADMIN, "", "2018-01-01 00:00:00", True, False, passwords.pbkdf2(ADMIN_PASSWORD))]
        with sqlite3.connect(path) as connection:
            connection.executemany(
                "INSERT INTO auth_user (username, email, date_joined, is_staff, is_tv_user, password, first_name, "
                "last_name, is_active, is_superuser, is_movie_user) "
                "VALUES (?, ?, ?, ?, ?, ?, 'Ada', 'Lovelace', TRUE, FALSE, FALSE)",
                users,
            )
        connection.close()


class Site:
    """Django and `sidecars` sidecars with these `settings` behind one proxy; `stubs` are ports to use instead of sidecars."""

    def __init__(self, templates, kind, sidecars=1, many=False, settings=(), stubs=(), **edits):
        self.kind = kind
        self.template = templates.path(many)
        self.count = sidecars
        self.settings = dict(settings)
        self.stubs = stubs
        self.edits = edits
        self.directory = Path(tempfile.mkdtemp(prefix="deploy-"))
        self.directory.chmod(0o711)
        self.running = []

    def start(self):
        self.database = self.directory / "database.sqlite3"
        shutil.copyfile(self.template, self.database)
        url = f"sqlite:///{self.database}"
        try:
            self.django = self.kept(servers.Django(self.variant(), url, SUITE, self.directory))
            self.sidecars = [
                self.kept(servers.Sidecar(self.variant(), url, self.directory))
                for _ in range(0 if self.stubs else self.count)
            ]
            ports = self.stubs or [sidecar.port for sidecar in self.sidecars]
            self.proxy = self.kept(proxies.KINDS[self.kind](self.directory, self.django.port, ports, **self.edits))
        except BaseException:
            self.close()
            raise
        self.port = self.proxy.port
        return self

    def variant(self):
        return servers.Variant(f"deploy-{next(serial)}", sidecar=self.settings)

    def kept(self, server):
        self.running.append(server)
        return server

    def url(self, target=""):
        return f"http://127.0.0.1:{self.port}{target}"

    def log_in(self, port=None):
        """The cookie of a session that Django makes, asked through the proxy unless a port is given."""
        body = f'{{"username": "{ADMIN}", "password": "{ADMIN_PASSWORD}"}}'.encode()
        request = wire.Request("POST", "/api/login/", [("Content-Type", "application/json")], body)
        answer = wire.ask(port or self.port, request)
        assert answer.status == 200, answer
        [cookie] = [value.split(";")[0] for value in answer.all("Set-Cookie") if value.startswith("sessionid=")]
        return cookie

    def close(self):
        for server in reversed(self.running):
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def is_the_sidecars(answer):
    """Whether the sidecar answered: Django sends no Cache-Control."""
    return answer.one("Cache-Control") == "no-store"


def large_answer(port, request):
    """An answer of 200 that may be large, read to the end of its connection."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(request.bytes())
        parts = []
        while more := connection.recv(1 << 20):
            parts.append(more)
    answer = wire.parse(b"".join(parts))
    assert answer.status == 200, answer.status
    return answer
