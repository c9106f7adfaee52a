"""The databases of the benchmark: Django's own tables, filled as fast as each database takes rows, and two sessions."""

import io
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.users import ADMIN, COLUMNS, IS_ACTIVE, IS_TV_USER, PLAIN, batches, in_two_weeks, user_rows
from support import django_sessions, reference

LABELS = {"postgres": "PostgreSQL", "mysql": "MariaDB", "sqlite": "SQLite"}
# The importer reads these, and so does each database's own client.
EXPORTED_ROWS = (
    "SELECT id, username, email, first_name, last_name, is_active, date_joined, is_movie_user FROM auth_user "
    "WHERE is_active AND is_tv_user ORDER BY date_joined"
)
BATCH = 5000
# While MariaDB is filled: its default is 200 pages a second, for a disk that turns. In this order, and back in it.
WRITE_AT_ONCE = {"innodb_io_capacity_max": 50_000, "innodb_io_capacity": 50_000, "innodb_max_dirty_pages_pct": 0}
SESSION_KEYS = {ADMIN: "bench0admin0session0key000000000", PLAIN: "bench0plain0session0key000000000"}


@dataclass(frozen=True)
class Database:
    """A filled database. `url` is what reference.connect and Django read."""

    kind: str
    users: int
    exported: int
    url: str

    @property
    def label(self):
        return LABELS[self.kind]

    @property
    def sidecar_url(self):
        """The same without TLS, which the other contenders don't use on the loopback either."""
        query = {"postgres": "?sslmode=disable", "mysql": "?ssl_mode=disabled", "sqlite": ""}
        return self.url + query[self.kind]

    @property
    def path(self):
        return self.url.removeprefix("sqlite:///")

    @property
    def place(self):
        return urlsplit(self.url)


def cookie(username):
    return f"sessionid={SESSION_KEYS[username]}"


def make(kind, users, directory, server_url=None):
    """Creates the database and fills it with that many users."""
    if kind == "sqlite":
        url = f"sqlite:///{Path(directory) / f'bench_{users}.sqlite3'}"
    else:
        url = reference.new_database(server_url, f"bench_{users}")
    reference.prepare(url, "--schema-only")
    exported = {"postgres": fill_postgres, "mysql": fill_mysql, "sqlite": fill_sqlite}[kind](url, users)
    return Database(kind, users, exported, url)


class Counted:
    """The users' rows, counting the exportable ones and keeping the callers on the way through."""

    def __init__(self, users):
        self.users = users
        self.exported = 0
        self.callers = {}

    def __iter__(self):
        for row in user_rows(self.users):
            if row[0] <= 2:
                caller = dict(zip(COLUMNS, row))
                self.callers[caller["username"]] = (caller["id"], caller["password"])
            self.exported += row[IS_ACTIVE] and row[IS_TV_USER]
            yield row

    def sessions(self):
        """The rows of django_session: one for each caller."""
        for username, (key, password) in self.callers.items():
            data = django_sessions.session_data(django_sessions.login_data(key, password))
            yield SESSION_KEYS[username], data, in_two_weeks().isoformat(" ")


def insertion(mark):
    marks = ", ".join([mark] * len(COLUMNS))
    return f"INSERT INTO auth_user ({', '.join(COLUMNS)}) VALUES ({marks})"


def session_insertion(mark):
    return f"INSERT INTO django_session (session_key, session_data, expire_date) VALUES ({mark}, {mark}, {mark})"


def fill_postgres(url, users):
    connection = reference.connect(url)
    cursor = connection.cursor()
    cursor.execute("SET TIME ZONE 'UTC'")
    rows = Counted(users)
    cursor.execute("BEGIN")
    for batch in batches(rows, BATCH):
        lines = "".join("\t".join(map(copy_text, row)) + "\n" for row in batch)
        cursor.copy_expert(f"COPY auth_user ({', '.join(COLUMNS)}) FROM STDIN", io.StringIO(lines))
    cursor.execute("SELECT setval(pg_get_serial_sequence('auth_user', 'id'), %s)", [users])
    cursor.executemany(session_insertion("%s"), list(rows.sessions()))
    cursor.execute("COMMIT")
    cursor.execute("VACUUM ANALYZE")
    # Nothing is left to be written while something is measured.
    cursor.execute("CHECKPOINT")
    connection.close()
    return rows.exported


def copy_text(value):
    """A value in COPY's text format; no name holds a tab or a line break."""
    if value is None:
        return r"\N"
    return str(value).replace("\\", r"\\")


def fill_mysql(url, users):
    connection = reference.connect(url)
    connection.autocommit(False)
    cursor = connection.cursor()
    cursor.max_stmt_length = 8 * 1024 * 1024
    # An empty table's keys are then built at the end, sorted.
    cursor.execute("SET unique_checks = 0, foreign_key_checks = 0")
    before = set_globals(cursor, WRITE_AT_ONCE)
    rows = Counted(users)
    for batch in batches(rows, BATCH):
        cursor.executemany(insertion("%s"), batch)
    cursor.executemany(session_insertion("%s"), list(rows.sessions()))
    connection.commit()
    for table in ("auth_user", "django_session"):
        cursor.execute(f"ANALYZE TABLE {table}")
        cursor.fetchall()
    await_clean_pages(cursor)
    set_globals(cursor, before)
    connection.close()
    return rows.exported


def set_globals(cursor, values):
    """Sets MariaDB's global variables; what they were before."""
    before = {}
    for name, value in values.items():
        cursor.execute(f"SELECT @@GLOBAL.{name}")
        before[name] = cursor.fetchone()[0]
        cursor.execute(f"SET GLOBAL {name} = {value}")
    return before


def await_clean_pages(cursor):
    """Nothing is left to be written while something is measured."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
        if cursor.fetchone()[1] == "0":
            return
        time.sleep(0.1)


def fill_sqlite(url, users):
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    rows = Counted(users)
    for batch in batches(rows, BATCH):
        connection.executemany(insertion("?"), [tuple(map(sqlite_value, row)) for row in batch])
    connection.executemany(session_insertion("?"), rows.sessions())
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.close()
    return rows.exported


def sqlite_value(value):
    """Dates as the text that Django writes."""
    return value.isoformat(" ") if hasattr(value, "isoformat") else value
