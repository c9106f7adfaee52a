"""Real projects with authenticators that the sidecar lacks, behind nginx and Caddy with the files of `deploy/`: requests that
carry their credentials are answered by Django, and all others go to the sidecar, for which a stub stands here."""

import contextlib
import json
import os
import tempfile
from pathlib import Path

import pytest

from deploy import proxies
from deploy.stubs import Stub
from projects import environment
from projects.django_server import HOST, django
from support import passwords
from support.wire import EXPORT, STATS, Request, ask, get

OAUTH2_TOKEN = """
import datetime
from django.utils import timezone
from oauth2_provider.models import AccessToken
AccessToken.objects.create(
    user_id={user}, token="{token}", scope="read", expires=timezone.now() + datetime.timedelta(hours={hours}))
"""


@contextlib.contextmanager
def site(kind, port, directory):
    """The proxy before Django and a stub; a function that sends a request, and returns what Django or the stub answers."""
    with Stub(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsidecar") as sidecar:
        proxy = proxies.KINDS[kind](directory, port, [sidecar.port], proxies.leaving_credentials_to_django(kind))
        try:
            yield lambda request: ask(proxy.port, request)
        finally:
            proxy.stop()


@pytest.fixture(scope="module", params=["web_tokens", "oauth2"])
def project(request):
    """A running project: its name and port, and a folder that a proxy can read."""
    with tempfile.TemporaryDirectory(prefix="projects-") as directory:
        os.chmod(directory, 0o711)
        url = f"sqlite:///{directory}/db.sqlite3"
        environment.prepare(request.param, url)
        if request.param == "oauth2":
            make_tokens(url)
        with django(request.param, url, Path(directory)) as port:
            yield request.param, port, directory


def make_tokens(url):
    tokens = [(1, "token-of-the-boss", 1), (2, "token-of-a-viewer", 1), (1, "token-that-has-expired", -1)]
    code = "".join(OAUTH2_TOKEN.format(user=user, token=token, hours=hours) for user, token, hours in tokens)
    done = environment.manage("oauth2", url, "shell", "-v0", "-c", code)
    assert done.returncode == 0, done.stderr


def credentials(project, send):
    """Values of Authorization, with the statuses that Django gives for them."""
    if project == "oauth2":
        return {
            "Bearer token-of-the-boss": 200, "bearer token-of-the-boss": 200, "Bearer token-of-a-viewer": 403,
            "Bearer token-that-has-expired": 403, "Bearer unknown": 403,
        }
    body = json.dumps({"username": "boss", "password": environment.PASSWORD}).encode()
    answer = send(Request("POST", "/api/token/", [("Content-Type", "application/json")], body, host=HOST))
    assert answer.status == 200, answer.body
    web_token = json.loads(answer.body)["access"]
    basic = passwords.basic("boss", environment.PASSWORD)
    answer = send(Request("POST", "/api/knox/", [("Authorization", basic)], host=HOST))
    assert answer.status == 200, answer.body
    knox_token = json.loads(answer.body)["token"]
    return {
        f"Bearer {web_token}": 200, f"Bearer {web_token[:-4]}AAAA": 401, "Bearer": 401, f"Token {knox_token}": 200,
        "Token unknown": 401,
    }


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_django_answers_requests_with_its_credentials_and_the_sidecar_all_others(project, kind):
    name, port, directory = project
    with site(kind, port, directory) as send:
        for value, status in credentials(name, send).items():
            for target in (EXPORT, f"{STATS}?format=json"):
                answer = send(get(target, auth=value, host=HOST))
                direct = ask(port, get(target, auth=value, host=HOST))
                assert (answer.status, answer.body) == (direct.status, direct.body) and answer.status == status, (value, answer)
                assert answer.one("WWW-Authenticate") == direct.one("WWW-Authenticate")
        if name == "oauth2":
            # oauthlib takes a token from the query, too.
            answer = send(get(f"{STATS}?access_token=token-of-the-boss", host=HOST))
            assert (answer.status, answer.body[:16]) == (200, b'{"success":true,')
        for request in (
            get(EXPORT, host=HOST), get(EXPORT, cookie="sessionid=a", host=HOST),
            get(STATS, auth=passwords.basic("boss", environment.PASSWORD), host=HOST),
        ):
            assert send(request).body == b"sidecar"
