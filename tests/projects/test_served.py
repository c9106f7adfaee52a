"""Each project from its settings to served answers: Django and the sidecar on one database, the sidecar with the file that the
settings script writes and with nothing else."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from deploy.sample_project import Sidecar, sourced
from projects import environment
from projects.django_server import HOST, django
from support import reference
from support.environments import binary
from support.passwords import basic
from support.wire import EXPORT, STATS, Request, ask, get

PROJECTS = (
    "cached_db", "cookiecutter", "email_login", "guardian_first", "local_time", "oauth2", "own_handler", "token_first", "web_tokens",
)
# A session of each user, as the project's login makes it.
SESSIONS = """
import json
from django.contrib.auth import get_user_model
from django.test import Client
found = {}
for user in get_user_model().objects.filter(is_active=True):
    client = Client()
    client.force_login(user)
    found[user.email.split("@")[0]] = next(iter(client.cookies.values())).OutputString([]).split(";")[0]
print(json.dumps(found))
"""
TOKENS = {"boss": "1" * 40, "viewer": "2" * 40, "gone": "3" * 40, "nobody": "4" * 40}
# What only one of the two adds, and what says nothing of the answer.
IGNORED = {"date", "server", "connection", "transfer-encoding", "content-length", "vary", "content-language", "etag",
           "cache-control", "x-request-id", "content-security-policy", "retry-after"}


def database(project, directory):
    """The URL of the project's database."""
    if project != "local_time":
        return f"sqlite:///{directory}/db.sqlite3"
    if "TEST_MYSQL_URL" not in os.environ:
        pytest.skip("TEST_MYSQL_URL is not set")
    return reference.new_database(os.environ["TEST_MYSQL_URL"], "project_local_time")


class Site:
    """A project, its Django and its sidecar."""

    def __init__(self, project, django, sidecar, variables, url):
        self.project, self.django, self.sidecar, self.variables = project, django, sidecar, variables
        done = environment.manage(project, url, "shell", "-v0", "-c", SESSIONS)
        assert done.returncode == 0, done.stderr
        self.sessions = json.loads(done.stdout)
        self.mount = variables.get("SIDECAR_MOUNT", "/api/admin")

    def ask(self, port, request):
        """The answer to a request below the project's mount. Its proxy says that it ended TLS; refusals are in English."""
        target = request.target.replace("/api/admin", self.mount, 1)
        headers = [*request.headers, ("X-Forwarded-Proto", "https"), ("Accept-Language", "en")]
        return ask(port, Request(request.method, target, headers, request.body, host=HOST))

    def same(self, request):
        """Django's answer, which the sidecar's is like."""
        answers = [self.ask(port, request) for port in (self.django, self.sidecar)]
        # The metadata of a view name the project's own renderers; the sidecar knows DRF's two.
        parts = [(answer.status, relevant(answer), answer.body.replace(b',"text/plain"', b"")) for answer in answers]
        assert parts[0] == parts[1], request
        return answers[0]


def relevant(answer):
    found = {name.lower(): value for name, value in answer.headers if name.lower() not in IGNORED}
    if "allow" in found:
        found["allow"] = sorted(found["allow"].split(", "))
    return found


@pytest.fixture(scope="module", params=PROJECTS)
def site(request, tmp_path_factory):
    project = request.param
    directory = tmp_path_factory.mktemp(project)
    url = database(project, directory)
    environment.prepare(project, url)
    file = directory / "sidecar.env"
    done = environment.write_environment(project, url, file)
    assert done.returncode == 0, done.stderr
    with file.open("a") as more:
        # Failed logins are part of the questions.
        more.write("SIDECAR_LOGIN_RATE=off\n")
        more.write(f"SIDECAR_LOGIN={'off' if project == 'cookiecutter' else 'on'}\n")
    variables = sourced(file)
    script = variables.get("SIDECAR_MOUNT", "").removesuffix("/api/admin")
    with django(project, url, Path(directory), SCRIPT_NAME=script) as port, Sidecar(file) as sidecar:
        yield Site(project, port, sidecar.port, variables, url)


def test_an_anonymous_caller_is_refused_as_by_django(site):
    for target in (EXPORT, STATS, STATS + "?format=api-of-nobody", STATS[:-1]):
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
            if method in ("GET", "HEAD") or target.endswith("/"):
                assert site.same(get(target, method=method)).status >= 300


def test_sessions_open_what_they_open_in_django(site):
    assert sorted(site.sessions) == ["boss", "reader", "viewer"]
    for name, cookie in site.sessions.items():
        for target in (EXPORT, STATS):
            assert site.same(get(target, cookie=cookie)).status == (200 if name == "boss" else 403), name
    for method in ("POST", "OPTIONS", "DELETE"):
        site.same(get(EXPORT, method=method, cookie=site.sessions["boss"]))
    assert b"boss" in site.same(get(EXPORT, cookie=site.sessions["boss"])).body


def test_passwords_open_what_they_open_in_django(site):
    field = site.variables["DJANGO_USERNAME_FIELD"]
    # Few: without the right password, Django's answer takes a second.
    for user, word in (
        ("boss", "wrong"), ("BOSS", environment.PASSWORD), ("boss@EXAMPLE.com", environment.PASSWORD), ("nobody", "word"),
        ("gone" if field == "username" else "gone@example.com", environment.PASSWORD),
        ("viewer" if field == "username" else "viewer@example.com", environment.PASSWORD),
    ):
        site.same(get(STATS, auth=basic(user, word)))
    takes_basic = "basic" in site.variables["DJANGO_REST_AUTHENTICATION"]
    user = "boss" if field == "username" else "boss@example.com"
    assert (site.same(get(STATS, auth=basic(user, environment.PASSWORD))).status == 200) == takes_basic


def test_tokens_open_what_they_open_in_django(site):
    authenticators = site.variables["DJANGO_REST_AUTHENTICATION"]
    entries = json.loads(authenticators) if authenticators.startswith("[") else []
    keywords = [entry["keyword"] for entry in entries if entry["kind"] == "token"]
    assert bool(keywords) == (site.project in ("cookiecutter", "token_first"))
    for keyword in keywords:
        for name, key in TOKENS.items():
            answer = site.same(get(EXPORT, auth=f"{keyword} {key}"))
            assert (answer.status == 200) == (name == "boss"), (keyword, name)


def test_verify_finds_no_difference_that_it_does_not_explain(site, tmp_path):
    field = site.variables["DJANGO_USERNAME_FIELD"]
    (tmp_path / "cookie").write_text(site.sessions["boss"])
    (tmp_path / "basic").write_text(f"{'boss' if field == 'username' else 'boss@example.com'}:{environment.PASSWORD}")
    (tmp_path / "token").write_text(f"{TOKENS['boss']}\n")
    takes_tokens = '"token"' in site.variables["DJANGO_REST_AUTHENTICATION"]
    token = ["--token-file", tmp_path / "token"] if takes_tokens else []
    done = subprocess.run(
        [
            binary(), "verify", "--against", f"http://{HOST}:{site.django}", "--sidecar", f"http://{HOST}:{site.sidecar}",
            "--cookie-file", tmp_path / "cookie", "--basic-file", tmp_path / "basic", "--forwarded-proto", "https", *token,
        ],
        env=site.variables, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert f"{43 if takes_tokens else 33} requests: " in done.stdout and " 0 different" in done.stdout


@contextlib.contextmanager
def logged_in(site, user):
    """The cookie of a login at the sidecar."""
    mount = site.variables.get("SIDECAR_LOGIN_MOUNT", "/api")
    body = json.dumps({"username": user, "password": environment.PASSWORD}).encode()
    headers = [("Content-Type", "application/json"), ("X-Forwarded-Proto", "https")]
    answer = ask(site.sidecar, Request("POST", f"{mount}/login/", headers, body, host=HOST))
    assert answer.status == 200, answer.body
    cookie = answer.one("Set-Cookie")
    assert f"SameSite={site.variables['DJANGO_SESSION_COOKIE_SAMESITE']}" in cookie
    yield cookie.split(";")[0]
    out = ask(site.sidecar, Request("POST", f"{mount}/logout/", [("Cookie", cookie.split(";")[0]), *headers], host=HOST))
    assert out.status == 200, out.body


def test_a_login_at_the_sidecar_is_one_to_django(site):
    if site.project == "cookiecutter":
        # Its second factor is not asked for here, so there is no login.
        assert ask(site.sidecar, Request("POST", "/api/login/", host=HOST)).status == 404
        return
    users = {"email_login": ["boss@example.com", "BOSS@example.com"]}.get(site.project, ["boss"])
    for user in users:
        with logged_in(site, user) as cookie:
            for port in (site.django, site.sidecar):
                assert site.ask(port, get(STATS, cookie=cookie)).status == 200
        # With cached_db the session lives on in the cache of Django's process.
        servers = [site.sidecar] if site.project == "cached_db" else [site.sidecar, site.django]
        refused = {site.ask(port, get(STATS, cookie=cookie)).status for port in servers}
        assert refused <= {401, 403} and len(refused) == 1
