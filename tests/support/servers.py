"""Starts and stops the reference project under gunicorn, and the sidecar."""

import collections
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from support import reference
from support.django_sessions import SECRET_KEY
from support.environments import binary
from support.ports import free_port

START_SECONDS = 30


@dataclass(frozen=True)
class Variant:
    """One configuration of both servers, in Django's own settings."""

    name: str
    settings: dict = field(default_factory=dict)
    model: dict = field(default_factory=dict)
    # The sidecar's own variables.
    sidecar: dict = field(default_factory=dict)
    # Further variables of the reference project.
    oracle: dict = field(default_factory=dict)
    # Both servers use one database.
    shared: bool = False

    @property
    def table(self):
        return self.model.get("table", "auth_user")

    @property
    def powers(self):
        """What the sidecar's database role may do: (login's writes, reading what DEBUG shows)."""
        return self.sidecar.get("SIDECAR_LOGIN") == "on", bool(self.settings.get("DEBUG"))

    def sidecar_environment(self, url):
        """The sidecar's environment variables for these settings."""
        names = {
            "SESSION_COOKIE_NAME", "SESSION_COOKIE_AGE", "SESSION_COOKIE_DOMAIN", "SESSION_COOKIE_PATH",
            "SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_SAMESITE", "SECRET_KEY",
            "SECRET_KEY_FALLBACKS", "AUTHENTICATION_BACKENDS", "ALLOWED_HOSTS", "DEBUG", "USE_TZ", "TIME_ZONE",
            "APPEND_SLASH",
        }
        settings = {"SECRET_KEY": SECRET_KEY, "ALLOWED_HOSTS": ["*"]} | self.settings
        environment = {f"DJANGO_{name}": spelled(value) for name, value in settings.items() if name in names}
        classes = self.settings.get("REST_FRAMEWORK", {}).get("DEFAULT_AUTHENTICATION_CLASSES")
        if classes and "DJANGO_REST_AUTHENTICATION" not in self.sidecar:
            short = ["session" if "Session" in path else "basic" for path in classes]
            environment["DJANGO_REST_AUTHENTICATION"] = ",".join(short)
        if "username_field" in self.model:
            environment["DJANGO_USERNAME_FIELD"] = self.model["username_field"]
        if "none" in self.model:
            environment["DJANGO_USER_FIELDS_NONE"] = json.dumps(self.model["none"])
        return environment | {
            "PATH": os.environ.get("PATH", ""),
            "DATABASE_URL": url,
            "DJANGO_USER_TABLE": self.table,
            "DJANGO_PBKDF2_ITERATIONS": "1000",
            # Django does not limit failed logins, and the suite makes thousands.
            "SIDECAR_LOGIN_RATE": "off",
            **self.sidecar,
        }


def spelled(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, list) else str(value)


class Server:
    """A running server process; its log is in `log`."""

    def __init__(self, name, directory):
        self.log = Path(directory) / f"{name}.log"
        self.process = None
        self.port = None

    def launch(self, command, environment, descriptors=(), cwd=None):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=descriptors, start_new_session=True,
            )

    def last_words(self):
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self):
        """Kills the process and its children."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Django(Server):
    def __init__(self, variant, url, django, directory):
        super().__init__(f"django-{variant.name}", directory)
        # The socket listens before gunicorn runs, so the first request waits in its queue and no polling is needed.
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(64)
            self.port = listener.getsockname()[1]
            command = [
                reference.python(django), "-m", "gunicorn", "reference.wsgi", "--workers=1", "--threads=1",
                f"--bind=fd://{listener.fileno()}", "--no-control-socket", "--timeout=120", "--graceful-timeout=1",
            ]
            environment = reference.project_environment(url, variant.model, variant.settings, **variant.oracle)
            self.launch(command, environment, [listener.fileno()], reference.PROJECT)


class Sidecar(Server):
    def __init__(self, variant, url, directory):
        super().__init__(f"sidecar-{variant.name}", directory)
        self.port = free_port()
        environment = variant.sidecar_environment(url) | {
            "SIDECAR_BIND": f"127.0.0.1:{self.port}", "MALLOC_ARENA_MAX": "2",
        }
        self.launch([binary(), "serve"], environment)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the sidecar did not start: {self.last_words()}") from None
                time.sleep(0.02)


def check(url, **settings):
    """Runs `watchtower-sidecar check` on a database: the exit code, and the findings by id."""
    done = subprocess.run(
        [binary(), "check", "--format", "json"], env=Variant("check", sidecar=settings).sidecar_environment(url),
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )
    findings = collections.defaultdict(list)
    for finding in json.loads(done.stdout)["findings"]:
        findings[finding["id"]].append(finding)
    return done.returncode, findings
