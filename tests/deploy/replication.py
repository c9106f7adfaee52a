"""A PostgreSQL primary with the reference project's tables, its streaming standby, and sidecars under the role of
`deploy/grants-postgres.sql`."""

import itertools
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from deploy import proxies
from support import clusters, django_sessions, grants, passwords, reference, servers
from support.environments import SUITE
from support.ports import free_port
from support.scenario import ADMIN_KEY
from support.waiting import await_true

# Of the seeded users.
ADMIN_ID = 1
USERS = 150

serial = itertools.count()


class Replication:
    """`with Replication() as replication`: both servers run; methods start sidecars, Django and nginx."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="deploy-"))
        self.directory.chmod(0o711)
        self.servers = []
        self.running = []

    def __enter__(self):
        try:
            self.primary = clusters.Postgres(self.directory / "primary")
            self.servers.append(self.primary)
            self.url = reference.new_database(self.primary.url, "watchtower")
            reference.prepare(self.url)
            role = urlsplit(grants.role_url(self.url, "auth_user", login=False, debug=False))
            self.role, self.credentials = role.username, f"{role.username}:{role.password}"
            password = self.execute(f"SELECT password FROM auth_user WHERE id = {ADMIN_ID}")[0][0]
            data = django_sessions.session_data(django_sessions.login_data(ADMIN_ID, password))
            self.execute(f"INSERT INTO django_session VALUES ('{ADMIN_KEY}', '{data}', '2100-01-01 00:00:00+00')")
            self.execute(
                "INSERT INTO auth_user (id, username, email, date_joined, is_staff, is_tv_user, password, first_name, "
                "last_name, is_active, is_superuser, is_movie_user) SELECT 1000 + n, 'u' || n, 'u@example.com', "
                "'2024-01-01'::timestamptz + n * interval '1 s', false, true, '!', 'Ada', 'Lovelace', "
                "true, false, false "
                f"FROM generate_series(1, {USERS}) n"
            )
            self.standby = clusters.Postgres(self.directory / "standby", self.primary)
            self.servers.append(self.standby)
            self.catch_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop_programs()
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def stop_programs(self):
        """Stops everything except the databases."""
        while self.running:
            self.running.pop().stop()

    def kept(self, server):
        self.running.append(server)
        return server

    def execute(self, statement, on=None):
        """Runs a statement as the operator, on the primary by default; returns its rows."""
        place = urlsplit(self.url)
        if on:
            place = place._replace(netloc=f"{place.username}:{place.password}@127.0.0.1:{on.port}")
        connection = reference.connect(place.geturl())
        try:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def catch_up(self):
        """Waits until the standby has what the primary has."""
        # When this returns, this record and all before it are on disk; otherwise the tests' servers do not wait for the disk.
        flushed = "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'tests', '')"
        [[there]] = self.execute(flushed)
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{there}'::pg_lsn"
        await_true(lambda: self.execute(replayed, self.standby) == [(True,)], 20, "the standby has caught up")

    def role_url(self, *places, attributes=None):
        """The URL by which a sidecar connects to one of these servers."""
        hosts = ",".join(f"127.0.0.1:{place.port}" for place in places)
        suffix = f"?target_session_attrs={attributes}" if attributes else ""
        return f"postgres://{self.credentials}@{hosts}/watchtower{suffix}"

    def sidecar(self, url=None, read_url=None, **settings):
        """Starts a sidecar that by default authenticates on the primary and exports from the standby."""
        read_url = read_url or self.role_url(self.standby)
        variant = servers.Variant(f"deploy-{next(serial)}", sidecar={"DATABASE_READ_URL": read_url, **settings})
        return self.kept(servers.Sidecar(variant, url or self.role_url(self.primary), self.directory))

    def django(self):
        return self.kept(servers.Django(servers.Variant(f"deploy-{next(serial)}"), self.url, SUITE, self.directory))

    def nginx(self, *sidecars, django=None):
        ports = [sidecar.port for sidecar in sidecars]
        return self.kept(proxies.Nginx(self.directory, django.port if django else free_port(), ports))

    def sessions(self, on):
        """The number of connections of the sidecars' role."""
        return self.execute(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{self.role}'", on)[0][0]


BASIC = passwords.basic("admin")
