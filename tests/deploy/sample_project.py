"""A Django project made by `startproject`, with a user model, the two views at the customer's path, and settings modules that
a test adds; and what an operator does with it and the sidecar."""

import base64
import http.client
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from support import reference
from support.environments import REPOSITORY, SUITE, TESTS, binary
from support.ports import free_port

SCRIPT = REPOSITORY / "deploy" / "django-settings.py"
PASSWORD = "correct horse battery staple"
START_SECONDS = 30

MEMBERS = """
import uuid
from django.contrib.auth.models import AbstractUser
from django.db import models

class Member(AbstractUser):
    {key}
    email = models.EmailField(unique=True)
    is_tv_user = models.BooleanField(default=False)
    is_movie_user = models.BooleanField(default=False)
    {more}
"""
SETTINGS = """
INSTALLED_APPS += ["rest_framework", "people", "clients"]
AUTH_USER_MODEL = "people.Member"
ALLOWED_HOSTS = ["127.0.0.1"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
URLS = """
from django.contrib import admin
from django.urls import include, path
urlpatterns = [path("api/admin/", include("api.urls.admin_urls")), path("admin/", admin.site.urls)]
"""
SEED = f"""
from django.contrib.auth import get_user_model
from django.test import Client
boss = get_user_model()(username="boss", email="boss@example.com", is_staff=True, is_tv_user=True)
boss.set_password({PASSWORD!r})
boss.save()
client = Client()
client.force_login(boss)
open("cookie", "w").write("; ".join(f"{{name}}={{morsel.value}}" for name, morsel in client.cookies.items()))
"""


class Project:
    def __init__(self, directory, django=SUITE):
        self.directory = Path(directory)
        self.directory.mkdir()
        self.python = reference.python(django)
        self.manage("-m", "django", "startproject", "shop", ".", settings=None)
        shutil.copytree(TESTS / "django_project" / "api", self.directory / "api")
        by_email = 'USERNAME_FIELD, REQUIRED_FIELDS = "email", ["username"]\n    class Meta: db_table = "crm Kunden"'
        for app, more in (
            ("people", {"key": "", "more": ""}),
            ("clients", {"key": "id = models.UUIDField(primary_key=True, default=uuid.uuid4)", "more": by_email}),
        ):
            self.write(f"{app}/__init__.py", "")
            self.write(f"{app}/models.py", MEMBERS.format(**more))
        own = self.directory / "shop" / "settings.py"
        own.write_text(own.read_text() + SETTINGS)
        self.write("shop/urls.py", URLS)
        # Each user model in its turn, for a project has one: the other's relations would clash.
        self.settings("by_email", 'AUTH_USER_MODEL = "clients.Member"\nINSTALLED_APPS.remove("people")')
        self.settings("settings", 'INSTALLED_APPS.remove("clients")', own.read_text())
        self.manage("manage.py", "makemigrations", "people", "-v0")
        self.settings("by_email", 'INSTALLED_APPS[-1:] = ["clients"]\nAUTH_USER_MODEL = "clients.Member"')
        self.manage("manage.py", "makemigrations", "clients", "-v0", settings="by_email")

    def write(self, path, text):
        path = self.directory / path
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def settings(self, name, text, base="from shop.settings import *\n"):
        """A settings module: startproject's own, and then `text`."""
        self.write(f"shop/{name}.py", f"{base}{text}\n")

    def environment(self, settings, more=()):
        given = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
        if settings:
            given["DJANGO_SETTINGS_MODULE"] = f"shop.{settings}"
        return given | dict(more)

    def manage(self, *command, settings="settings", **how):
        done = subprocess.run(
            [self.python, *command], cwd=self.directory, env=self.environment(settings), capture_output=True, text=True, **how
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def seed(self, settings="settings"):
        """Migrates the database, and logs a member of staff in; the cookie that Django's client then has."""
        self.manage("manage.py", "migrate", "-v0", settings=settings)
        self.manage("manage.py", "shell", settings=settings, input=SEED)
        return (self.directory / "cookie").read_text()

    def write_environment(self, settings="settings", command="{python} manage.py shell < {script} > {file}", **more):
        """Runs the script as the README says; returns the process, and the file that it wrote."""
        file = self.directory / f"{settings}-{len(more)}.env"
        line = command.format(python=self.python, script=SCRIPT, file=file)
        done = subprocess.run(
            ["sh", "-c", line], cwd=self.directory, env=self.environment(settings, more), capture_output=True, text=True
        )
        return done, file


def sourced(file):
    """The variables that a POSIX shell reads from the file."""
    done = subprocess.run(
        ["sh", "-c", 'set -a; . "$0"; exec env -0', file], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    assert not done.stderr, done.stderr
    found = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    return {name: value for name, value in found.items() if name.startswith(("DJANGO_", "SIDECAR_", "DATABASE_"))}


class Sidecar:
    """The program, with the variables of the file only: `with Sidecar(file) as sidecar`."""

    def __init__(self, file):
        self.port = free_port()
        self.log = Path(f"{file}.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", 'set -a; . "$0"; exec "$1" serve', file, binary()], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={"PATH": "/usr/bin:/bin", "SIDECAR_BIND": f"127.0.0.1:{self.port}"},
            )

    def __enter__(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def get(self, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body


def assert_knows_the_boss(file, cookie, name="boss", mount="/api/admin"):
    """Both endpoints admit the user by Django's session and by Basic, and refuse a changed cookie."""
    with Sidecar(file) as sidecar:
        status, body = sidecar.get(f"{mount}/export-users/", Cookie=cookie)
        assert (status, '"username":"boss"' in body) == (200, True), (body, sidecar.log.read_text())
        credentials = base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
        assert sidecar.get(f"{mount}/export-stats/", Authorization=f"Basic {credentials}")[0] == 200
        assert sidecar.get(f"{mount}/export-stats/", Cookie=cookie.replace("=", "=x"))[0] == 403
