"""`watchtower-sidecar verify` against a live Django, as an operator runs it before the switch."""

import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from support import certificates, servers
from support.environments import binary
from support.passwords import PASSWORD
from support.servers import Variant
from support.wire import HOST

VERIFIED = Variant("verified", shared=True, settings={"ALLOWED_HOSTS": [HOST]})
WRONG_KEY = Variant(
    "wrong-key", settings={"ALLOWED_HOSTS": [HOST], "SECRET_KEY": "a-key-that-is-not-that-of-this-django"}
)


@pytest.fixture
def place():
    with tempfile.TemporaryDirectory(prefix="verify-") as directory:
        yield Path(directory)


def verify(against, port, *arguments, host=HOST):
    """The exit code, the table and what was said."""
    command = [
        binary(), "verify", "--against", against, "--sidecar", f"http://127.0.0.1:{port}", "--host", host,
        *arguments,
    ]
    done = subprocess.run(command, env={}, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def credentials(scenario, place):
    """Options that name a file with the clerk's cookie, as curl writes it, and one with the clerk's password."""
    name, key = scenario.cookie(scenario.clerk).split("=", 1)
    cookie, basic = place / "cookies.txt", place / "basic"
    line = "\t".join(["#HttpOnly_127.0.0.1", "FALSE", "/", "FALSE", "1999999999", name, key])
    cookie.write_text(f"# Netscape HTTP Cookie File\n\n{line}\n")
    basic.write_text(f"clerk:{PASSWORD}\n")
    return ["--cookie-file", str(cookie), "--basic-file", str(basic)], (key, PASSWORD)


def test_all_is_the_same_and_no_secret_is_shown(bench, place):
    scenario = bench.scenario(VERIFIED)
    try:
        options, secrets = credentials(scenario, place)
        django = f"http://127.0.0.1:{scenario.pair.django.port}"
        code, table, said = verify(django, scenario.pair.sidecar.port, *options)
        assert (code, said) == (0, ""), table
        # An older Django names no charset for one of its pages.
        intended = 3 if bench.django == "4.0" else 2
        total = f"33 requests: {33 - intended} same, {intended} different on purpose, 0 different\n"
        assert table.endswith(total), table
        assert "note:" not in table
        assert not any(secret in table for secret in secrets)
    finally:
        scenario.clear()


def test_a_wrong_key_is_different_for_the_session_alone(bench, place):
    scenario = bench.scenario(VERIFIED)
    wrong = servers.Sidecar(WRONG_KEY, scenario.databases[0].sidecar_url(*WRONG_KEY.powers), bench.directory)
    try:
        options, _ = credentials(scenario, place)
        django = f"http://127.0.0.1:{scenario.pair.django.port}"
        code, table, _ = verify(django, wrong.port, *options)
        assert code == 1
        different = [line for line in table.splitlines() if line.startswith("DIFFERENT")]
        assert different and all("cookie" in line for line in different), table
        assert "status: Django 200, sidecar 403" in table
    finally:
        wrong.stop()
        scenario.clear()


def test_a_host_that_django_does_not_allow_proves_nothing(bench):
    scenario = bench.scenario(VERIFIED)
    try:
        django = f"http://127.0.0.1:{scenario.pair.django.port}"
        code, table, _ = verify(django, scenario.pair.sidecar.port, host="elsewhere.example.com")
        assert code == 1
        assert "its ALLOWED_HOSTS may not hold elsewhere.example.com: give --host" in table
    finally:
        scenario.clear()


def test_django_may_stand_behind_https(bench, place):
    """The server's certificate is checked against the given authority."""
    scenario = bench.scenario(VERIFIED)
    authority = certificates.make(place)
    try:
        options, _ = credentials(scenario, place)
        sidecar = scenario.pair.sidecar.port
        with Tls(place, scenario.pair.django.port) as port:
            code, table, _ = verify(f"https://localhost:{port}", sidecar, "--ca-file", authority, *options)
            assert code == 0, table
            code, table, _ = verify(f"https://localhost:{port}", sidecar, *options)
            assert code == 1 and "no answer from Django" in table and "certificate" in table, table
    finally:
        scenario.clear()


class Tls:
    """Takes TLS off before Django."""

    def __init__(self, directory, target):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(directory / "server.pem", directory / "server.key")
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self.listener.getsockname()[1]

    def __exit__(self, *_):
        self.listener.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(connection, server_side=True) as client:
                    self.pass_on(client)
            except OSError:
                pass  # A client that does not trust the certificate hangs up.

    def pass_on(self, client):
        request = b""
        while b"\r\n\r\n" not in request:
            piece = client.recv(65536)
            if not piece:
                return
            request += piece
        with socket.create_connection(("127.0.0.1", self.target)) as django:
            django.sendall(request)
            while piece := django.recv(65536):
                client.sendall(piece)
