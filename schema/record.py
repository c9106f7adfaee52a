"""Records Django's own DDL of the two tables that the sidecar reads, as a live Django's `migrate` creates them.

`PYTHONPATH=tests target/python/5.2/bin/python schema/record.py` rewrites sqlite.sql,
postgres.sql and mysql.sql from throw-away databases (`tests/run` makes that environment). tests/differential/test_schema.py fails when the files and a live Django disagree.
"""

import re
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from support import clusters, reference

SCHEMA = Path(__file__).resolve().parent
TABLES = ("auth_user", "django_session")
HEAD = "-- Recorded by schema/record.py from Django {version}'s own `migrate`. Never edited by hand, never run on a live database.\n\n"


def sqlite(path):
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
    connection.close()
    return "".join(f"{sql};\n" for table, sql in rows if table in TABLES)


def postgres(url):
    dump = [str(clusters.postgres_programs() / "pg_dump"), "--schema-only", "--no-owner", "--no-privileges"]
    tables = [f"--table={table}" for table in TABLES]
    text = subprocess.run([*dump, *tables, url], check=True, capture_output=True, text=True).stdout
    # What pg_dump's own version adds around the statements: comments, session settings, psql's commands.
    text = re.sub(r"(?m)^(--|SET |SELECT pg_catalog|\\).*\n", "", text)
    return re.sub(r"\n{2,}", "\n", text).strip().replace("public.", "") + "\n"


def mysql(url):
    import MySQLdb

    parts = urlsplit(url)
    connection = MySQLdb.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password, database=parts.path[1:]
    )
    cursor = connection.cursor()
    text = ""
    for table in TABLES:
        cursor.execute(f"SHOW CREATE TABLE `{table}`")
        text += re.sub(r" AUTO_INCREMENT=\d+", "", cursor.fetchone()[1]) + ";\n"
    connection.close()
    return text


RECORDERS = {"sqlite": sqlite, "postgres": postgres, "mysql": mysql}


def recorded(backend, location):
    """The text of schema/<backend>.sql for the migrated database at the location (a path or a URL)."""
    return HEAD.format(version=reference.django_version()) + RECORDERS[backend](location)


def main():
    directory = Path(tempfile.mkdtemp(prefix="schema-"))
    directory.chmod(0o711)
    running = []
    try:
        for backend in RECORDERS:
            if backend == "sqlite":
                location = directory / "recorded.db"
                url = f"sqlite:///{location}"
            else:
                running.append(clusters.KINDS[backend](directory / backend))
                location = url = reference.new_database(running[-1].url, "recorded")
            reference.prepare(url, "--schema-only")
            (SCHEMA / f"{backend}.sql").write_text(recorded(backend, location))
    finally:
        for cluster in running:
            cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
