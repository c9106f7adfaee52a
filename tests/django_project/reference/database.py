"""A database URL as Django's DATABASES entry, read as dj-database-url and django-environ read it."""

from urllib.parse import unquote, urlsplit

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
}


def from_url(url):
    parts = urlsplit(url)
    entry = {"ENGINE": ENGINES[parts.scheme], "NAME": unquote(parts.path[1:])}
    if parts.scheme != "sqlite":
        entry |= {
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            # Connections are kept, so that a test pays for a query and not for a login to the server.
            "CONN_MAX_AGE": None,
        }
    return entry
