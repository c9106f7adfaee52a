"""The reference Django project: its Python environments, its databases, its `migrate` and seed rows.

Needs the Python environment of the tests, which has the database drivers.
"""

import json
import os
import subprocess
from urllib.parse import urlsplit

from support.environments import SUITE, TESTS, environment

PROJECT = TESTS / "django_project"


def python(django=SUITE):
    return str(environment(django))


def django_version(django=SUITE):
    code = "import django; print(django.__version__)"
    return subprocess.run([python(django), "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def project_environment(url, model=None, settings=None, **more):
    """The environment variables of the project's processes; of the caller's only PATH."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SETTINGS_MODULE": "reference.settings",
        "ORACLE_DATABASE_URL": url,
        "ORACLE_USER_MODEL": json.dumps(model or {}),
        "ORACLE_SETTINGS": json.dumps(settings or {}),
        **more,
    }


def prepare(url, *flags, django=SUITE, model=None):
    """Migrates and seeds the database at the URL."""
    command = [python(django), "-m", "reference.prepare", *flags]
    done = subprocess.run(
        command, cwd=PROJECT, env=project_environment(url, model), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"the reference project could not be prepared: {done.stderr[-3000:]}")


def connect(url):
    """An autocommitting DB-API connection to a postgres or mysql URL."""
    parts = urlsplit(url)
    place = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
    if parts.scheme == "mysql":
        import MySQLdb

        return MySQLdb.connect(**place, database=parts.path[1:], charset="utf8mb4", autocommit=True)
    import psycopg2

    connection = psycopg2.connect(**place, dbname=parts.path[1:])
    connection.autocommit = True
    return connection


def new_database(server_url, name, template=None):
    """Creates a database on the server, in place of one of that name; returns its URL."""
    connection = connect(server_url)
    cursor = connection.cursor()
    cursor.execute(f"DROP DATABASE IF EXISTS {name}")
    if server_url.startswith("mysql"):
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    else:
        cursor.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    connection.close()
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()
