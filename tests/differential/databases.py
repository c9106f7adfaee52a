"""The test databases: two equal copies of each, one for Django and one for the sidecar, and what a request changed in one."""

import shutil
import sqlite3
from datetime import datetime, timezone
from pathlib import Path

from support import grants, reference


class Database:
    """One database: its URL, statements on it, and the rows of the two tables that a request may change."""

    def __init__(self, url, table):
        self.url = url
        self.table = table
        self.backend = url.split(":", 1)[0]
        self.connection = self.connect()
        self.role_urls = {}

    def sidecar_url(self, login, debug):
        """How the sidecar connects: where there are roles, under one that may do only what the sidecar does."""
        if self.backend == "sqlite":
            return self.url
        if (login, debug) not in self.role_urls:
            self.role_urls[login, debug] = grants.role_url(self.url, self.table, login, debug)
        return self.role_urls[login, debug]

    def connect(self):
        if self.backend == "mysql":
            return reference.connect(self.url)
        if self.backend == "postgres":
            import psycopg2.extensions as psycopg2

            connection = reference.connect(self.url)
            # As text: a case may database what is no date in Python.
            psycopg2.register_type(psycopg2.new_type((1184,), "TIMESTAMPTZ", lambda text, _: text), connection)
            return connection
        connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None, timeout=20)
        # A case's rows need not survive a crash, and hundreds of them must not wait for the disk.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")
        # A case may database what is no UTF-8.
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        return connection

    def execute(self, statement, values=()):
        """Runs a statement with `?` placeholders; all rows of its answer, if it has rows."""
        cursor = self.connection.cursor()
        if not values:
            cursor.execute(statement)
        elif self.backend == "sqlite":
            cursor.execute(statement, values)
        else:
            cursor.execute(statement.replace("%", "%%").replace("?", "%s"), values)
        rows = cursor.fetchall() if cursor.description else []
        self.columns = [column[0] for column in cursor.description or []]
        cursor.close()
        return rows

    def quoted(self, name):
        return f"`{name}`" if self.backend == "mysql" else f'"{name}"'

    def insert(self, table, row):
        names = ", ".join(self.quoted(name) for name in row)
        marks = ", ".join("?" for _ in row)
        values = [self.stored(value) for value in row.values()]
        self.execute(f"INSERT INTO {self.quoted(table)} ({names}) VALUES ({marks})", values)

    def stored(self, value):
        """A Python value as Django's backend stores it: aware times are UTC, without an offset but on PostgreSQL."""
        if isinstance(value, datetime) and self.backend != "postgres":
            return value.astimezone(timezone.utc).replace(tzinfo=None).isoformat(" ")
        return value

    def rows(self):
        """{("user" or "session", key): {column: value}} of now."""
        found = {}
        for kind, table, key in (("user", self.table, "id"), ("session", "django_session", "session_key")):
            for row in self.execute(f"SELECT * FROM {self.quoted(table)}"):
                row = dict(zip(self.columns, row))
                found[kind, row[key]] = row
        return found

    def close(self):
        self.connection.close()


def changes(before, after):
    """What differs: {row key: "added" | "deleted" | {column: (before, after)}}."""
    found = {key: "deleted" for key in before.keys() - after.keys()}
    found |= {key: "added" for key in after.keys() - before.keys()}
    for key in before.keys() & after.keys():
        columns = {name: (old, after[key][name]) for name, old in before[key].items() if old != after[key][name]}
        if columns:
            found[key] = columns
    return found


class Databases:
    """Makes the databases of a run: one migrated and seeded template for each shape of the user model, copied twice."""

    def __init__(self, database, server_url, django, directory):
        self.database = database
        self.server_url = server_url
        self.django = django
        self.directory = Path(directory)
        self.made = {}

    def pair(self, model):
        """Two equal databases with the seed rows, Django's and the sidecar's; the same two for the same model."""
        key = repr(sorted(model.items()))
        if key not in self.made:
            self.made[key] = self.make(model, len(self.made))
        return self.made[key]

    def make(self, model, number):
        table = model.get("table", "auth_user")
        names = [f"d{self.django.replace('.', '')}_{number}_{side}" for side in ("template", "django", "sidecar")]
        if self.database == "sqlite":
            paths = [self.directory / f"{name}.sqlite3" for name in names]
            reference.prepare(f"sqlite:///{paths[0]}", django=self.django, model=model)
            for path in paths[1:]:
                shutil.copyfile(paths[0], path)
            return [Database(f"sqlite:///{path}", table) for path in paths[1:]]
        template = reference.new_database(self.server_url, names[0])
        reference.prepare(template, django=self.django, model=model)
        urls = [reference.new_database(self.server_url, name, names[0]) for name in names[1:]]
        if self.database == "mysql":
            for name in names[1:]:
                self.copy_tables(template, names[0], name)
        return [Database(url, table) for url in urls]

    @staticmethod
    def copy_tables(url, source, target):
        """MySQL has no template databases."""
        connection = reference.connect(url)
        cursor = connection.cursor()
        cursor.execute("SHOW TABLES")
        for (table,) in cursor.fetchall():
            cursor.execute(f"CREATE TABLE `{target}`.`{table}` LIKE `{source}`.`{table}`")
            cursor.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
                "AND extra NOT LIKE '%%GENERATED'", [source, table],
            )
            names = ", ".join(f"`{name}`" for (name,) in cursor.fetchall())
            cursor.execute(f"INSERT INTO `{target}`.`{table}` ({names}) SELECT {names} FROM `{source}`.`{table}`")
        connection.close()

    def close(self):
        for databases in self.made.values():
            for database in databases:
                database.close()
