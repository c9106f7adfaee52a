"""`watchtower-sidecar verify` against a live Django, as an operator runs it before the switch."""

import json
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from support import certificates, reference, servers
from support.environments import REPOSITORY, binary
from support.passwords import PASSWORD
from support.servers import Variant
from support.wire import HOST

VERIFIED = Variant("verified", shared=True, settings={"ALLOWED_HOSTS": [HOST]})
WRONG_KEY = Variant(
    "wrong-key", settings={"ALLOWED_HOSTS": [HOST], "SECRET_KEY": "a-key-that-is-not-that-of-this-django"}
)

STANDARD = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ADDS_HEADERS, WRAPS_STATISTICS = "reference.middleware.adds_headers", "reference.middleware.wraps_statistics"
# German is the project's language, but verify asks for English.
SITE = {
    "ALLOWED_HOSTS": [HOST], "LANGUAGE_CODE": "de", "SECURE_HSTS_SECONDS": 60, "X_FRAME_OPTIONS": "SAMEORIGIN",
    "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
    "MIDDLEWARE": ["django.middleware.http.ConditionalGetMiddleware", *STANDARD, ADDS_HEADERS],
}
WITH_MIDDLEWARE = Variant("with-middleware", shared=True, settings=SITE)
WITH_ANOTHER_BODY = Variant(
    "with-another-body", shared=True, settings=SITE | {"MIDDLEWARE": [*STANDARD, ADDS_HEADERS, WRAPS_STATISTICS]}
)
WITHOUT_SECURITY = Variant(
    "without-security", shared=True, settings={"ALLOWED_HOSTS": [HOST], "MIDDLEWARE": STANDARD[1:-1]}
)
UNTRUSTING = Variant("untrusting", shared=True, settings=SITE, sidecar={"SIDECAR_TRUSTED_PROXIES": "none"})
IN_DEBUG = Variant("in-debug", shared=True, settings={"ALLOWED_HOSTS": [HOST], "DEBUG": True})
TO_HTTPS = Variant("to-https", shared=True, settings=SITE | {"SECURE_SSL_REDIRECT": True})
GERMAN = Variant("german", shared=True, settings={"ALLOWED_HOSTS": [HOST], "LANGUAGE_CODE": "de"})
JSON_ALONE = Variant(
    "json-alone", shared=True, settings={
        "ALLOWED_HOSTS": [HOST],
        "REST_FRAMEWORK": {
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        },
    },
)
TRANSLATIONS = """
import gettext, glob, json, pathlib, rest_framework
text = "Authentication credentials were not provided."
folder = pathlib.Path(rest_framework.__file__).parent / "locale"
texts = {gettext.GNUTranslations(file.open("rb")).gettext(text) for file in folder.glob("*/LC_MESSAGES/django.mo")}
print(json.dumps(sorted(texts - {text})))
"""


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
        explained = 3 if bench.django == "4.0" else 2
        total = f"33 requests: {33 - explained} same, {explained} explained, 0 different\n"
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


def compared(bench, place, variant, *arguments):
    """Runs verify with both callers in a project of this shape."""
    scenario = bench.scenario(variant)
    try:
        options, _ = credentials(scenario, place)
        django = f"http://127.0.0.1:{scenario.pair.django.port}"
        return verify(django, scenario.pair.sidecar.port, *options, *arguments)
    finally:
        scenario.clear()


def explanations(table):
    """What was explained, with the number of answers."""
    _, found, lines = table.partition("explained, with each reason once:\n")
    assert found, table
    lines = [line.strip() for line in lines.splitlines() if line.startswith(" " * 12)]
    return {what: int(rest.split(" ")[0]) for what, rest in (line.split(" (", 1) for line in lines)}


def test_what_middleware_adds_is_explained_once(bench, place):
    code, table, said = compared(bench, place, WITH_MIDDLEWARE, "--forwarded-proto", "https")
    assert (code, said) == (0, ""), table
    assert table.endswith("33 requests: 0 same, 33 explained, 0 different\n"), table
    found = explanations(table)
    # The page for text/html is compared by its status alone. CommonMiddleware refuses an unknown host and adds a slash, before
    # the project's middleware sees the request.
    everywhere = ("Content-Language", "Vary: Accept-Language", "Strict-Transport-Security")
    assert {name: found.pop(name) for name in everywhere} == dict.fromkeys(everywhere, 31)
    own = ("Content-Security-Policy", "Cache-Control", "Vary: Origin", "X-Site", "X-Elapsed", "X-Frame-Options")
    assert {name: found.pop(name) for name in own} == dict.fromkeys(own, 29)
    assert found.pop("Page for text/html") == 2 and found.pop("ETag") > 10
    # An older Django names no charset for one of its pages.
    assert found == ({"Content-Type": 1} if bench.django == "4.0" else {}), found
    assert "note:" not in table


def test_another_body_is_different_beside_what_is_explained(bench, place):
    code, table, _ = compared(bench, place, WITH_ANOTHER_BODY)
    assert code == 1, table
    different = [line for line in table.splitlines() if line.startswith("DIFFERENT")]
    assert len(different) == 8 and all("cookie" in line or "password" in line for line in different), table
    assert 'body: byte 2 (of 111 and 102): Django "{\\"data\\":{' in table, table
    assert table.endswith("33 requests: 0 same, 25 explained, 8 different\n"), table


def test_headers_of_djangos_middleware_that_a_project_lacks_are_explained(bench, place):
    code, table, _ = compared(bench, place, WITHOUT_SECURITY)
    assert code == 0, table
    names = {"X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy"}
    assert names <= explanations(table).keys(), table


def test_a_redirect_to_https_is_said_once_and_gone_with_the_proxys_header(bench, place):
    code, table, said = compared(bench, place, TO_HTTPS)
    assert code == 64 and "DIFFERENT" not in table, table
    assert said.count("\n") == 1 and "Django redirects to https" in said and "give --forwarded-proto https" in said
    code, table, said = compared(bench, place, TO_HTTPS, "--forwarded-proto", "https")
    assert (code, said) == (0, ""), table


def test_a_sidecar_that_does_not_trust_this_machine_is_noted(bench, place):
    """Django's CSRF check asks for a Referer only over https, so that its text tells whether the header was taken."""
    code, table, _ = compared(bench, place, UNTRUSTING, "--forwarded-proto", "https")
    assert code == 1 and table.endswith(" 1 different\n"), table
    assert table.count("note: Django and the sidecar do not both take X-Forwarded-Proto from this machine") == 1, table


def test_debugs_technical_page_is_explained(bench, place):
    code, table, _ = compared(bench, place, IN_DEBUG)
    assert code == 0 and explanations(table)["Page of an error"] == 1, table
    assert "SECRET_KEY" not in table


def test_refusals_in_another_language_are_explained(bench, place):
    code, table, _ = compared(bench, place, GERMAN)
    assert code == 0, table
    assert 'Django\'s are in the language "de"' in table and explanations(table)["Texts of refusals"] >= 15, table


def test_every_language_of_drf_is_known(bench):
    done = subprocess.run([reference.python(bench.django), "-c", TRANSLATIONS], capture_output=True, text=True, check=True)
    texts = json.loads(done.stdout)
    known = (REPOSITORY / "src" / "verify" / "languages.rs").read_text()
    assert len(texts) > 30
    assert [text for text in texts if json.dumps(text, ensure_ascii=False) not in known] == []


def test_one_renderer_and_one_parser_are_explained(bench, place):
    code, table, _ = compared(bench, place, JSON_ALONE)
    assert code == 0, table
    found = explanations(table)
    assert found["Body of OPTIONS"] == 4 and found["Vary: Accept"] > 20, table
    assert "the sidecar has a page where Django has none (406)" in table


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
