"""nginx and Caddy with the files of deploy/, before the reference Django and the sidecar: the customer's own commands,
an importer, the way there and the way back."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import pytest

from deploy import proxies
from deploy.proxies import leaving_credentials_to_django, uncommented
from deploy.sites import ADMIN, ADMIN_PASSWORD, MANY_USERS, is_the_sidecars, large_answer
from deploy.stubs import Stub
from support import passwords, wire
from support.waiting import await_true
from support.wire import EXPORT, STATS, Request, get

IMPORTER = Path(__file__).parents[2] / "examples" / "importer.py"

PROXIES = pytest.mark.parametrize("kind", ["nginx", "caddy"])
TWO_PATHS = {
    "nginx": r"location ~ ^/api/admin/export-(users|stats)/?$ {",
    "caddy": r"@watchtower_sidecar path_regexp ^/api/admin/export-(users|stats)/?$",
}
WITH_LOGIN = {
    "nginx": r"location ~ ^/api/(admin/|login/?$|logout/?$) {",
    "caddy": "@watchtower_sidecar path /api/admin/* /api/login /api/login/ /api/logout /api/logout/",
}
SHIPPED = {"nginx": "location ~ ^/api/admin/ {\n", "caddy": "@watchtower_sidecar path /api/admin/*\n"}

# The customer's lines, word by word.
LOGIN_LINE = """curl -X POST http://your-watchtower.com/api/login/ \\
  -H "Content-Type: application/json" \\
  -d '{"username": "your_admin_username", "password": "your_password"}' \\
  -c cookies.txt
"""
EXPORT_LINE = """curl -X GET http://your-watchtower.com/api/admin/export-users/ \\
  -b cookies.txt
"""


def instead(kind, lines):
    """An edit: another line says which requests go to the sidecar."""

    def edit(text):
        assert text.count(SHIPPED[kind]) == 1
        return uncommented(text, lines[kind]).replace(SHIPPED[kind], "")

    return edit


def paste(line, directory, port):
    """Runs a line in a shell, on a machine where the name leads to the proxy."""
    (directory / ".curlrc").write_text(f'silent\nfail\nconnect-to = "your-watchtower.com:80:127.0.0.1:{port}"\n')
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory)}
    done = subprocess.run(
        ["sh", "-c", line], cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True
    )
    assert done.returncode == 0, done
    return done.stdout


@PROXIES
def test_the_customers_lines_with_djangos_login_and_the_sidecars_export(site, kind, tmp_path):
    here = site(kind)
    assert paste(LOGIN_LINE, tmp_path, here.port) == b'{"success": true}'
    [key] = re.findall(r"\tsessionid\t(\w+)", (tmp_path / "cookies.txt").read_text())
    cookie = f"sessionid={key}"
    of_django = wire.ask(here.django.port, get(EXPORT, cookie=cookie))
    assert of_django.status == 200 and not is_the_sidecars(of_django)
    # So that only the sidecar can answer.
    here.django.stop()
    body = paste(EXPORT_LINE, tmp_path, here.port)
    assert body == of_django.body and b'"count":19' in body


@PROXIES
def test_one_line_takes_it_back_and_puts_it_there_again(site, kind):
    here = site(kind)
    cookie = here.log_in()
    ask = lambda: wire.ask(here.port, get(EXPORT, cookie=cookie))  # noqa: E731
    first = ask()
    assert first.status == 200 and is_the_sidecars(first)
    here.proxy.switch(on=False)
    await_true(lambda: not is_the_sidecars(ask()), 5, "Django answers")
    answer = ask()
    assert answer.status == 200 and answer.body == first.body
    here.proxy.switch(on=True)
    await_true(lambda: is_the_sidecars(ask()), 5, "the sidecar answers")
    assert ask().body == first.body


@PROXIES
def test_only_the_mount_goes_to_the_sidecar(site, kind):
    here = site(kind)
    for target, sidecars in {
        EXPORT: True, STATS: True, "/api/admin/healthz": True, "/api/admin/other/": True,
        "/api/%61dmin/export-users/": True,
        "/api/admin": False, "/": False, "/api/administrators/": False, "/x/api/admin/export-users/": False,
        "/healthz": False, "/api/logout": False,
    }.items():
        answer = wire.ask(here.port, get(target))
        if target != "/api/admin/healthz":
            assert is_the_sidecars(answer) is sidecars, target
        # Only Django and the sidecar redirect.
        direct = wire.ask(here.sidecars[0].port if sidecars else here.django.port, get(target))
        assert (answer.status, answer.body) == (direct.status, direct.body)
        assert answer.one("Location") == direct.one("Location")


@PROXIES
def test_the_two_paths_alone_where_django_serves_more_under_the_mount(site, kind):
    here = site(kind, edit=instead(kind, TWO_PATHS))
    for target, sidecars in {
        EXPORT: True, STATS: True, EXPORT.rstrip("/"): True, f"{STATS}?format=json": True,
        "/api/admin/": False, "/api/admin/users/": False, f"{EXPORT}1/": False, "/api/admin/healthz": False,
    }.items():
        assert is_the_sidecars(wire.ask(here.port, get(target))) is sidecars, target


@PROXIES
def test_credentials_that_the_sidecar_does_not_read_go_to_django(kind):
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{}"
    with (
        tempfile.TemporaryDirectory(prefix="deploy-") as directory,
        Stub(answer.format("sidecar").encode()) as sidecar, Stub(answer.format("django!").encode()) as django,
    ):
        os.chmod(directory, 0o711)
        proxy = proxies.KINDS[kind](directory, django.port, [sidecar.port], leaving_credentials_to_django(kind))
        try:
            for is_djangos, target, *headers in (
                (False, EXPORT), (False, EXPORT, ("Cookie", "sessionid=a; jwt2=b")), (False, f"{EXPORT}?access=1"),
                (False, EXPORT, ("Authorization", "Basic YTpi")), (False, EXPORT, ("Authorization", "bAsIc")),
                (False, EXPORT, ("Authorization", "  basic YTpi")), (False, EXPORT, ("Authorization", "")),
                (True, EXPORT, ("Authorization", "Bearer eyJ.eyJ.x")), (True, EXPORT, ("Authorization", "Token 1")),
                (True, EXPORT, ("Authorization", "Basically YTpi")), (True, f"{STATS}?access_token=1"),
                (True, EXPORT, ("Authorization", "Basic YTpi"), ("X-Api-Key", "1")),
                (True, STATS, ("Cookie", "sessionid=a; jwt=b")), (True, "/", ("Authorization", "Basic YTpi")),
            ):
                body = wire.ask(proxy.port, get(target, *headers)).body
                assert body == (b"django!" if is_djangos else b"sidecar"), (target, headers)
            # Django gets such a request as the sidecar would: the target as it was sent, and the host and scheme.
            method, target, _, headers = [seen for seen in django.seen if "access_token" in seen[1]][0]
            assert (method, target, headers["X-Forwarded-Proto"]) == ("GET", f"{STATS}?access_token=1", "http")
        finally:
            proxy.stop()


@PROXIES
def test_the_sidecars_own_login_and_logout(site, kind):
    here = site(kind, settings={"SIDECAR_LOGIN": "on"}, edit=instead(kind, WITH_LOGIN))
    here.django.stop()
    cookie = here.log_in()
    assert wire.ask(here.port, get(EXPORT, cookie=cookie)).status == 200
    headers = [("Content-Type", "application/json"), ("Cookie", cookie)]
    assert wire.ask(here.port, Request("POST", "/api/logout/", headers)).status == 200
    assert wire.ask(here.port, get(EXPORT, cookie=cookie)).status == 403


@PROXIES
def test_an_answer_is_the_sidecars_own_but_for_what_belongs_to_a_connection(site, kind):
    here = site(kind)
    cookie = here.log_in()
    host = {"host": f"watchtower.example.com:{here.port}"}
    # Server and Date are each server's own; Keep-Alive and Connection are of one connection.
    ours = {"server", "date", "connection", "keep-alive", "x-request-id"}
    for request in (
        get(EXPORT, cookie=cookie, **host), get(STATS, **host),
        get(EXPORT, cookie="sessionid=unknown0session0key", **host),
        get(f"{EXPORT.rstrip('/')}?a=b&c=%2F", **host), get(STATS, ("Accept", "text/plain"), **host),
        get(STATS, ("Accept", "text/html"), cookie=cookie, **host), get(f"{STATS}?format=xml", **host),
        Request("OPTIONS", EXPORT, [("Cookie", cookie)], **host), Request("POST", STATS, [("Cookie", cookie)], **host),
        Request("HEAD", STATS, [("Cookie", cookie)], **host), Request("HEAD", STATS, **host),
        get("/api/admin/nothing/", **host), get(STATS, auth=passwords.basic(ADMIN, ADMIN_PASSWORD), **host),
    ):
        answer, direct = (wire.ask(port, request) for port in (here.port, here.sidecars[0].port))
        assert (answer.status, answer.body) == (direct.status, direct.body), request
        kept = [
            sorted((name.lower(), value) for name, value in seen.headers if name.lower() not in ours)
            for seen in (answer, direct)
        ]
        assert kept[0] == kept[1], request
        assert request.method != "HEAD" or (answer.body == b"" and answer.one("Content-Length")), request
    moved = wire.ask(here.port, get(f"{EXPORT.rstrip('/')}?a=b", **host))
    assert (moved.status, moved.one("Location")) == (301, f"{EXPORT}?a=b")


@PROXIES
def test_an_importer_waits_its_turn_and_asks_for_nothing_twice(site, kind, tmp_path):
    here = site(kind, many=True, settings={"SIDECAR_EXPORT_CONCURRENCY": "1"})
    file = tmp_path / "users.json"

    def run():
        environment = {"WATCHTOWER_PASSWORD": ADMIN_PASSWORD, "PATH": os.environ["PATH"]}
        command = [sys.executable, str(IMPORTER), here.url(), ADMIN, str(file)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    # A client that does not read holds the only export slot.
    cookie = here.log_in()
    sidecar = here.sidecars[0].port
    with SlowReader(sidecar, cookie):
        refused = wire.ask(here.port, get(EXPORT, cookie=cookie))
        assert refused.status == 503 and int(refused.one("Retry-After")) >= 1
        importer = run()
        await_true(lambda: sessions_made(here) >= 2, 10, "the importer has logged in")
        assert importer.poll() is None and not file.exists()
    words, _ = importer.communicate(timeout=30)
    assert importer.returncode == 0, words
    assert words == f"{MANY_USERS + 19} users\n"
    assert file.read_bytes() == large_answer(sidecar, get(EXPORT, cookie=cookie)).body
    again, _ = run().communicate(timeout=30)
    assert again == "nothing has changed\n"


def sessions_made(here):
    """How many sessions Django has made."""
    with sqlite3.connect(here.database) as connection:
        return connection.execute("SELECT count(*) FROM django_session").fetchone()[0]


class SlowReader:
    """Has asked for an export, and reads no more of it than its first bytes until `finish`."""

    def __init__(self, port, cookie, *headers):
        self.connection = socket.socket()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.connection.settimeout(20)
        self.connection.connect(("127.0.0.1", port))
        self.connection.sendall(get(EXPORT, *headers, cookie=cookie).bytes())
        self.received = self.connection.recv(1024)
        assert self.received.startswith(b"HTTP/1.1 200 "), self.received

    def finish(self):
        parts = [self.received]
        while more := self.connection.recv(1 << 20):
            parts.append(more)
        return b"".join(parts)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


@PROXIES
def test_a_large_export_arrives_whole_with_its_length_or_compressed(site, kind):
    here = site(kind, many=True)
    cookie = here.log_in()
    direct = large_answer(here.sidecars[0].port, get(EXPORT, cookie=cookie))
    assert len(direct.body) > 20_000_000
    plain = large_answer(here.port, get(EXPORT, cookie=cookie))
    assert plain.body == direct.body and int(plain.one("Content-Length")) == len(direct.body)
    assert plain.one("ETag") == direct.one("ETag") and not plain.one("ETag").startswith("W/")
    squeezed = large_answer(here.port, get(EXPORT, ("Accept-Encoding", "gzip"), cookie=cookie))
    assert squeezed.one("Content-Encoding") == "gzip" and squeezed.one("ETag") == f"W/{direct.one('ETag')}"
    assert zlib.decompress(squeezed.body, wbits=31) == direct.body
    for tag in (plain.one("ETag"), squeezed.one("ETag")):
        unchanged = wire.ask(here.port, get(EXPORT, ("If-None-Match", tag), cookie=cookie))
        assert (unchanged.status, unchanged.body) == (304, b"")


def test_behind_nginx_a_slow_client_takes_no_ones_place(site):
    here = site("nginx", many=True, settings={"SIDECAR_EXPORT_CONCURRENCY": "1"})
    cookie = here.log_in()
    with SlowReader(here.port, cookie) as slow:
        # nginx needs a moment to take the answer in; the place is free long before the client has read it.
        another = get(EXPORT, ("If-None-Match", "*"), cookie=cookie)
        await_true(lambda: wire.ask(here.port, another).status == 304, 10, "the place is free")
        answer = wire.parse(slow.finish())
    assert len(answer.body) == int(answer.one("Content-Length")) > 20_000_000


@PROXIES
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_an_export_that_breaks_off_is_no_whole_one(site, kind, coding):
    # As nginx.conf says: off instead. On, it may have taken all of it in before the end.
    unbuffered = lambda text: text.replace("proxy_buffering on;", "proxy_buffering off;")  # noqa: E731
    here = site(kind, many=True, edit=unbuffered)
    with SlowReader(here.port, here.log_in(), ("Accept-Encoding", coding)) as slow:
        here.sidecars[0].stop()
        received = slow.finish()
    head, _, body = received.partition(b"\r\n\r\n")
    if coding == "identity":
        assert len(body) < int(re.search(rb"Content-Length: (\d+)", head)[1])
    else:
        assert b"Transfer-Encoding: chunked" in head
        # Caddy 2.6 ends it as if it were whole: what is in it shows that it is not.
        assert kind == "caddy" or not body.endswith(b"0\r\n\r\n")
        unpacking = zlib.decompressobj(wbits=31)
        unpacking.decompress(wire.parse(received).body)
        assert not unpacking.eof


@PROXIES
def test_connections_to_the_sidecar_are_used_again(site, kind):
    here = site(kind)
    before = links(here.sidecars[0].port)
    for _ in range(30):
        assert wire.ask(here.port, get(STATS)).status == 403
    # Each is listed with both of its ends.
    assert links(here.sidecars[0].port) - before <= 4


def links(port):
    """TCP connections to or from the port, those included that have just ended."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = [[int(end.rpartition(":")[2], 16) for end in line.split()[1:3]] for line in lines]
    return sum(port in pair for pair in ends)


def wrong_password(port, source, name, *headers):
    """The status that a client at this address gets for a wrong password."""
    request = get(STATS, *headers, auth=passwords.basic(name, "wrong"))
    with socket.create_connection(("127.0.0.1", port), 20, source_address=(source, 0)) as connection:
        connection.sendall(request.bytes())
        return wire.read_answer(connection, "GET").status


@PROXIES
def test_failed_logins_are_counted_by_client_and_no_client_can_pose_as_another(site, kind):
    here = site(kind, settings={"SIDECAR_LOGIN_RATE": "3/hour"})
    tried = [wrong_password(here.port, "127.0.0.2", f"name{number}") for number in range(4)]
    assert tried == [403, 403, 403, 429]
    assert wrong_password(here.port, "127.0.0.3", "another") == 403
    for invented in ("198.51.100.7", "127.0.0.1", "198.51.100.7, 127.0.0.1"):
        assert wrong_password(here.port, "127.0.0.2", "still", ("X-Forwarded-For", invented)) == 429


@PROXIES
def test_behind_another_balancer_its_word_is_believed(site, kind):
    lines = {
        "nginx": (
            "set_real_ip_from 10.0.0.0/8;", "real_ip_header X-Forwarded-For;", "real_ip_recursive on;",
        ),
        "caddy": ("trusted_proxies 10.0.0.0/8",),
    }[kind]
    edit = lambda text: uncommented(text, *lines).replace("10.0.0.0/8", "127.0.0.1/32")  # noqa: E731
    here = site(kind, settings={"SIDECAR_LOGIN_RATE": "3/hour"}, edit=edit)
    said = lambda address: ("X-Forwarded-For", address)  # noqa: E731
    tried = [wrong_password(here.port, "127.0.0.1", f"name{n}", said("198.51.100.7")) for n in range(4)]
    assert tried == [403, 403, 403, 429]
    assert wrong_password(here.port, "127.0.0.1", "b", said("198.51.100.8")) == 403
    # The balancer appends; what the client wrote stands before.
    assert wrong_password(here.port, "127.0.0.1", "c", said("203.0.113.9, 198.51.100.7")) == 429
    # A client that bypasses the balancer is not trusted.
    tried = [wrong_password(here.port, "127.0.0.4", f"d{n}", said(f"203.0.113.{n}")) for n in range(4)]
    assert tried == [403, 403, 403, 429]
