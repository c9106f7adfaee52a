"""The names by which people log in: whom Django's `authenticate()` finds by each name and password, and by which backend; and
whom the sidecar logs in, with the file that the settings script writes, into a session that Django takes."""

import json
import sqlite3

import pytest

from deploy.sample_project import Sidecar
from projects import environment
from support import django_sessions
from support.passwords import pbkdf2
from support.wire import Request, ask

OTHER_PASSWORD = "another battery"
# Users whose names and addresses differ in case alone or are shared, and addresses that are verified or not.
PREPARE = """
import json, os
from django.apps import apps
from django.contrib.auth import get_user_model
User, passwords = get_user_model(), json.loads(os.environ["PASSWORDS"])
def add(name, email, password=0, **more):
    names = {} if User.username is None else {"username": name}
    return User.objects.create(email=email, password=passwords[password], **names, **more)
def user(name): return User.objects.get(email=name + "@example.com")
add("mixed", "Mixed@Example.com")
mallory = add("mallory", "boss2@example.com")
if User.username is not None:
    add("Carol", "carol@example.com"), add("carol", "carol2@example.com")
    add("Dave", "dave@example.com"), add("dave@example.com", "dave2@example.com", 1), add("under_score", "", 1), add("", "")
    add("twin1", "twin@example.com"), add("twin2", "twin@example.com", 1), add("twin3", "twin@example.com", is_active=False)
    add("ÅSA", "åsa@example.com")
if apps.is_installed("allauth.account"):
    from allauth.account.models import EmailAddress
    for name, address, verified in (
        ("boss", "boss2@example.com", True), ("boss", "boss3@example.com", False), ("viewer", "boss@example.com", False),
        ("reader", "reader@example.com", True), ("gone", "gone@example.com", True),
    ):
        EmailAddress.objects.create(user=user(name), email=address, verified=verified)
"""
AUTHENTICATE = """
import json, os
from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import RequestFactory
# axes would lock everyone after a few failures.
settings.AXES_ENABLED = False
# The cost of the stored hashes.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
PBKDF2PasswordHasher.iterations = 1000
request, field = RequestFactory().get("/"), get_user_model().USERNAME_FIELD
def found(name, password):
    user = authenticate(request, **{field: name, "password": password})
    return user and [str(user.pk), user.backend]
print(json.dumps([found(*question) for question in json.loads(os.environ["QUESTIONS"])]))
"""
OPEN_SESSIONS = """
import json, os
from importlib import import_module
from django.conf import settings
from django.contrib.auth import get_user
from django.test import RequestFactory
request, store = RequestFactory().get("/"), import_module(settings.SESSION_ENGINE).SessionStore
def owner(key):
    request.session = store(key)
    return str(get_user(request).pk)
print(json.dumps([owner(key) for key in json.loads(os.environ["KEYS"])]))
"""
NAMES = (
    "boss", "BOSS", "viewer", "gone", "reader", "nobody", "mixed", "carol", "Carol", "CAROL", "dave", "Dave", "under_score",
    "UNDER_SCORE", "underXscore", "%", "ÅSA", "åsa", "twin1", "Twin2", "twin3", "",
)
ADDRESSES = (
    "boss@example.com", "Boss@EXAMPLE.com", "boss2@example.com", "boss3@example.com", "reader@example.com", "gone@example.com",
    "mixed@example.com", "Mixed@Example.com", "dave@example.com", "DAVE@example.com", "twin@example.com", "ÅSA@example.com",
    "@example.com",
)
# The settings modules, with the backends by which someone is to get in.
MODEL, ALLAUTH = "django.contrib.auth.backends.ModelBackend", "allauth.account.auth_backends.AuthenticationBackend"
PROJECTS = {
    "email_login.settings": {ALLAUTH}, "cookiecutter.settings": {MODEL, ALLAUTH}, "cookiecutter.by_email": {MODEL, ALLAUTH},
    "guardian_first.settings": {MODEL},
}


def shell(module, url, code, **variables):
    """Runs the code in the project's shell; what it prints."""
    done = environment.manage(
        module.split(".")[0], url, "shell", "-v0", "-c", code, DJANGO_SETTINGS_MODULE=module, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=PROJECTS)
def site(request, tmp_path_factory):
    """The settings module, the database's file and URL, and the running sidecar."""
    module, directory = request.param, tmp_path_factory.mktemp("names")
    database, file = directory / "db.sqlite3", directory / "sidecar.env"
    url = f"sqlite:///{database}"
    project = module.split(".")[0]
    environment.prepare(project, url)
    shell(module, url, PREPARE, PASSWORDS=json.dumps([pbkdf2(environment.PASSWORD), pbkdf2(OTHER_PASSWORD)]))
    with environment.SCRIPT.open() as script:
        done = environment.manage(
            project, url, "shell", "-v0", stdin=script, SIDECAR_OUTPUT=str(file), DJANGO_SETTINGS_MODULE=module)
    assert done.returncode == 0, done.stderr
    with file.open("a") as more:
        # What a name without a user costs.
        more.write("SIDECAR_LOGIN=without-second-factor\nSIDECAR_LOGIN_RATE=off\nDJANGO_PBKDF2_ITERATIONS=1000\n")
    with Sidecar(file) as sidecar:
        yield module, database, url, sidecar


def logged_in(database, sidecar, name, password):
    """The key, the user and the backend of the sidecar's new session, or None."""
    body = json.dumps({"username": name, "password": password}).encode()
    answer = ask(sidecar.port, Request("POST", "/api/login/", [("Content-Type", "application/json")], body, host="127.0.0.1"))
    if answer.status == 401:
        return None
    assert answer.status == 200, (name, answer.body)
    key = answer.one("Set-Cookie").split(";")[0].split("=", 1)[1]
    connection = sqlite3.connect(database)
    [(column,)] = connection.execute("SELECT session_data FROM django_session WHERE session_key = ?", [key])
    connection.close()
    data = django_sessions.decoded(column)
    return key, data["_auth_user_id"], data["_auth_user_backend"]


def test_the_sidecar_logs_in_whom_django_finds_by_the_same_backend(site):
    module, database, url, sidecar = site
    questions = [(name, password) for name in NAMES + ADDRESSES for password in (environment.PASSWORD, OTHER_PASSWORD, "")]
    answers = [logged_in(database, sidecar, *question) for question in questions]
    opened = [answer for answer in answers if answer]
    keys = json.dumps([key for key, _, _ in opened])
    assert json.loads(shell(module, url, OPEN_SESSIONS, KEYS=keys)) == [user for _, user, _ in opened]
    assert {backend for _, _, backend in opened} == PROJECTS[module]
    found = json.loads(shell(module, url, AUTHENTICATE, QUESTIONS=json.dumps(questions)))
    for question, answer, user in zip(questions, answers, found, strict=True):
        assert (answer and list(answer[1:])) == user, question
