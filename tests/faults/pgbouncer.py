"""Starts a PgBouncer in transaction mode in front of PostgreSQL, with its own configuration and port."""

import shutil
import socket
import subprocess
import time
from urllib.parse import urlsplit

from support import clusters
from support.ports import free_port

START_SECONDS = 10
SERVER_CONNECTIONS = 2


class Bouncer:
    """Stands in front of the database of `scenario`, for its role: `with Bouncer(program, scenario) as bouncer`.

    `more` are further lines of its configuration.
    """

    def __init__(self, program, scenario, more=""):
        self.program = program
        self.more = more
        self.place = urlsplit(scenario.url)
        self.port = free_port()
        self.directory = scenario.directory / "pgbouncer"
        self.account = clusters.account("postgres")

    def __enter__(self):
        self.directory.mkdir()
        # The parent directory is private to the caller.
        self.directory.parent.chmod(0o711)
        role, password = self.place.username, self.place.password
        users = self.directory / "users.txt"
        users.write_text(f'"{role}" "{password}"\n')
        configuration = self.directory / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.place.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\npool_mode = transaction\n"
            f"default_pool_size = {SERVER_CONNECTIONS}\nmax_client_conn = 200\nstats_users = {role}\n"
            f"{self.more}\n"
        )
        identity = {}
        if self.account:
            for path in (self.directory, users, configuration):
                shutil.chown(path, self.account.pw_uid, self.account.pw_gid)
            identity = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                [self.program, configuration], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, cwd=self.directory, **identity
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    words = (self.directory / "log").read_text(errors="replace")[-2000:]
                    self.__exit__()
                    raise RuntimeError(f"pgbouncer did not start: {words}") from None
                time.sleep(0.02)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def url(self, database=None):
        place = self.place
        path = f"/{database}" if database else place.path
        return f"{place.scheme}://{place.username}:{place.password}@127.0.0.1:{self.port}{path}"
