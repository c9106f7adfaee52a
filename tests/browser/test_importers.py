"""The three importers of examples/: first export, unchanged, changed, after a 503, and refused."""

import json
import os
import sqlite3
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from browser.site import PASSWORD
from support import clusters
from support.environments import REPOSITORY

EXAMPLES = REPOSITORY / "examples"
IMPORTERS = {"sh": ["bash"], "py": ["python3"], "mjs": ["node"]}
EACH = pytest.mark.parametrize("kind", IMPORTERS)


def run(kind, url, file, password=PASSWORD, name="admin"):
    program = clusters.program(IMPORTERS[kind][0])
    return subprocess.run(
        [program, EXAMPLES / f"importer.{kind}", url, name, file], capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "WATCHTOWER_PASSWORD": password},
    )


@EACH
def test_it_fetches_what_has_changed(sidecar, tmp_path, kind):
    here, file = sidecar(), tmp_path / "users.json"
    done = run(kind, here.url, file)
    assert (done.returncode, done.stdout) == (0, "50 users\n"), done.stderr
    assert json.loads(file.read_text())["count"] == 50
    # Personal data, whatever the umask.
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    again = run(kind, here.url, file)
    assert (again.returncode, again.stdout) == (0, "nothing has changed\n"), again.stderr
    database = sqlite3.connect(here.database)
    database.execute("UPDATE auth_user SET is_tv_user = 0 WHERE username = 'user01'")
    database.commit()
    database.close()
    changed = run(kind, here.url, file)
    assert (changed.returncode, changed.stdout) == (0, "49 users\n"), changed.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["users.json", "users.json.etag"]


@EACH
def test_it_says_why_it_is_refused(sidecar, tmp_path, kind):
    here, file = sidecar(), tmp_path / "users.json"
    file.write_text("old")
    wrong = run(kind, here.url, file, password='wr"o\\ng')
    assert wrong.returncode == 1 and "401" in wrong.stderr and "Invalid credentials" in wrong.stderr
    assert 'wr"o' not in wrong.stdout + wrong.stderr
    clerk = run(kind, here.url, file, name="clerk")
    assert clerk.returncode == 1 and "403" in clerk.stderr
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


@EACH
def test_it_asks_again_as_late_as_it_is_told(tmp_path, kind):
    asked = []

    class Busy(BaseHTTPRequestHandler):
        """Busy for the first two times of each request."""

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(self.path)
            is_busy = asked.count(self.path) < 3
            self.send_response(503 if is_busy else 200)
            body = b'{"success":true,"count":0,"users":[],"message":""}'
            for name, value in {
                "Content-Length": len(body), "Retry-After": 1 if is_busy else None, "ETag": '"x"',
                "Set-Cookie": "sessionid=abcdefgh; Path=/",
            }.items():
                if value is not None:
                    self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = run(kind, f"http://127.0.0.1:{server.server_port}", tmp_path / "users.json")
        server.shutdown()
    assert (done.returncode, done.stdout) == (0, "0 users\n"), done.stderr
    assert asked == ["/api/login/"] * 3 + ["/api/admin/export-users/"] * 3
    assert (tmp_path / "users.json.etag").read_text() == '"x"'
