"""A small importer like TwentyFour/Seven's: logs in, fetches the export if it has changed, and writes it to a file.

    WATCHTOWER_PASSWORD=... python3 examples/importer.py https://watchtower.example.com admin users.json

It sends the last ETag (from users.json.etag) in If-None-Match. After 503, 429 or a broken transfer it retries after
Retry-After seconds. It needs only Python.
"""

import http.client
import http.cookiejar
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

EXPORT, LOGIN = "/api/admin/export-users/", "/api/login/"
PATIENCE_SECONDS = 60
TIMEOUT_SECONDS = 180


class Importer:
    def __init__(self, url, patience_seconds=PATIENCE_SECONDS, sleep=time.sleep):
        self.url = url.rstrip("/")
        self.patience_seconds = patience_seconds
        self.sleep = sleep
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies)

    def ask(self, target, headers=(), body=None):
        """Requests a target until the service can answer; returns status, headers and body."""
        deadline = time.monotonic() + self.patience_seconds
        while True:
            request = urllib.request.Request(self.url + target, body, dict(headers))
            pause = 1
            try:
                with self.opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                    # Raises if the connection ends before Content-Length bytes.
                    return answer.status, answer.headers, answer.read()
            except urllib.error.HTTPError as answer:
                if answer.code not in (429, 502, 503, 504) or time.monotonic() > deadline:
                    return answer.code, answer.headers, answer.read()
                pause = int(answer.headers.get("Retry-After") or pause)
            except (http.client.HTTPException, OSError):
                # A login may have succeeded before its answer was lost; a second one does no harm.
                if time.monotonic() > deadline:
                    raise
            self.sleep(pause)

    def log_in(self, username, password):
        body = json.dumps({"username": username, "password": password}).encode()
        status, _, answer = self.ask(LOGIN, {"Content-Type": "application/json"}, body)
        if status != 200:
            raise SystemExit(f"login refused: {status} {answer[:200]!r}")

    def export(self, known=None):
        """Returns the body and its tag; the body is None if the tag is still `known`."""
        status, headers, body = self.ask(EXPORT, {"If-None-Match": known} if known else {})
        if status == 304:
            return None, known
        if status != 200:
            raise SystemExit(f"export refused: {status} {body[:200]!r}")
        users = json.loads(body)
        if users["count"] != len(users["users"]):
            raise SystemExit("the export says another number of users than it holds")
        return body, headers.get("ETag")


def write(path, content):
    """Replaces a file as a whole. Only its owner may read it: it holds personal data."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    os.replace(new, path)


def main(url, username, path):
    file, tag_file = Path(path), Path(f"{path}.etag")
    importer = Importer(url)
    importer.log_in(username, os.environ["WATCHTOWER_PASSWORD"])
    known = tag_file.read_text() if file.exists() and tag_file.exists() else None
    body, tag = importer.export(known)
    if body is None:
        print("nothing has changed")
        return
    write(file, body)
    write(tag_file, (tag or "").encode())
    print(f"{json.loads(body)['count']} users")


if __name__ == "__main__":
    main(*sys.argv[1:])
