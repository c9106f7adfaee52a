"""Makes the roles under which the sidecar connects, by running `deploy/grants-*.sql` as an operator does."""

import os
import subprocess
from urllib.parse import urlsplit

from support import clusters, reference
from support.environments import REPOSITORY

PASSWORD = "of-the-role"
LOGIN = ("-- GRANT INSERT", "-- GRANT UPDATE")
DEBUG = ("-- GRANT REFERENCES",)
TOKENS = ("-- GRANT SELECT (key", "-- GRANT SELECT (`key`")


def role_url(admin_url, user_table, login, debug):
    """Makes a role for this database; returns the URL by which it connects."""
    parts = urlsplit(admin_url)
    database = parts.path[1:]
    role = f"{database}_{'login' if login else 'reads'}{'_debug' if debug else ''}"
    text = (REPOSITORY / "deploy" / f"grants-{parts.scheme}.sql").read_text()
    for comment in (LOGIN if login else ()) + (DEBUG if debug else ()):
        text = text.replace(comment, comment.removeprefix("-- "))
    text = existing(text, admin_url, database, user_table)
    names = {"sidecar": role, "watchtower": database, "auth_user": user_table}
    if parts.scheme == "mysql":
        # Django's names for the relations.
        names |= {f"auth_user_{of}": f"{user_table}_{of}" for of in ("groups", "user_permissions")}
    for placeholder, name in names.items():
        for quote in "\"`'":
            text = text.replace(f"{quote}{placeholder}{quote}", f"{quote}{name}{quote}")
    run(parts, database, text)
    connection = reference.connect(admin_url)
    cursor = connection.cursor()
    if parts.scheme == "mysql":
        cursor.execute(f"ALTER USER '{role}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' ACCOUNT UNLOCK")
    else:
        cursor.execute(f"ALTER ROLE \"{role}\" PASSWORD '{PASSWORD}'")
    connection.close()
    return parts._replace(netloc=f"{role}:{PASSWORD}@{parts.hostname}:{parts.port}").geturl()


def existing(text, admin_url, database, user_table):
    """The script without the columns and tables that this project lacks, which an operator deletes as well."""
    connection = reference.connect(admin_url)
    cursor = connection.cursor()
    cursor.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema IN ('public', %s)", [database]
    )
    found = cursor.fetchall()
    connection.close()
    columns = {column for table, column in found if table == user_table}
    for column, listed in (("is_movie_user", "is_movie_user, -- optional"), ("is_tv_user", "is_tv_user,")):
        if column not in columns:
            text = text.replace(listed, "")
    for column in {"username", "email", "first_name", "last_name", "date_joined"} - columns:
        text = text.replace(f" {column},", "")
    tables = {table for table, _ in found}
    if "authtoken_token" in tables:
        for comment in TOKENS:
            text = text.replace(comment, comment.removeprefix("-- "))
    for table in {"authtoken_token", "django_admin_log"} - tables:
        text = "".join(line for line in text.splitlines(True) if f"REFERENCES ON `watchtower`.`{table}`" not in line)
    return text


def run(parts, database, text):
    """Runs the script by psql or mariadb."""
    if parts.scheme == "mysql":
        command = [
            clusters.program("mariadb"), "--no-defaults", f"--host={parts.hostname}", f"--port={parts.port}",
            f"--user={parts.username}",
        ]
        secret = {"MYSQL_PWD": parts.password}
    else:
        command = [
            str(clusters.postgres_programs() / "psql"), "--no-psqlrc", "--quiet", f"--host={parts.hostname}",
            f"--port={parts.port}", f"--username={parts.username}", "--set=ON_ERROR_STOP=1", "--single-transaction",
            f"--dbname={database}", "--file=-",
        ]
        secret = {"PGPASSWORD": parts.password}
    done = subprocess.run(command, env={**os.environ, **secret}, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"the grants were refused: {done.stderr[-2000:]}")
