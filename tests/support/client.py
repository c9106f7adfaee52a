"""One of the two servers as a client with a cookie sees it, and what a login left in the database."""

import base64
import json
import re
import zlib
from datetime import datetime, timezone

from passwords import PASSWORD
from wire import EXPORT, Request, ask, get


class Side:
    """One of the two servers, as a client with a cookie sees it."""

    def __init__(self, server, cookie_name="sessionid"):
        self.server = server
        self.cookie_name = cookie_name

    def post(self, target, cookie=None, body=b""):
        headers = [("Content-Type", "application/json")]
        if cookie:
            headers.append(("Cookie", f"{self.cookie_name}={cookie}"))
        return ask(self.server.port, Request("POST", target, headers, body))

    def log_in(self, username="clerk", password=PASSWORD, cookie=None):
        body = json.dumps({"username": username, "password": password}).encode()
        return self.post("/api/login/", cookie, body)

    def key_of(self, answer):
        assert answer.status == 200, answer.body
        cookies = [value for value in answer.all("Set-Cookie") if value.startswith(f"{self.cookie_name}=")]
        return cookies[0].split(";")[0].split("=", 1)[1]

    def status(self, cookie, target=EXPORT):
        return ask(self.server.port, get(target, cookie=f"{self.cookie_name}={cookie}")).status


def session_row(world, key):
    store = world.stores[0]
    rows = store.execute("SELECT session_data, expire_date FROM django_session WHERE session_key = ?", [key])
    return rows[0] if rows else None


def decoded(session_data):
    text = session_data.rsplit(":", 2)[0]
    raw = base64.urlsafe_b64decode(text.lstrip(".") + "==")
    return json.loads(zlib.decompress(raw) if text.startswith(".") else raw)


def data_of(world, key):
    return decoded(session_row(world, key)[0])


def as_time(value):
    """What a driver returns for an instant; SQLite's text must be as Django writes it, PostgreSQL adds its offset."""
    if isinstance(value, str):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6}|\.\d+\+00|\+00)?", value), value
        value = datetime.fromisoformat(re.sub(r"\.\d+", lambda fraction: fraction[0].ljust(7, "0"), value))
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
