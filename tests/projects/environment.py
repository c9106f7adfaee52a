"""The Python environment of the projects, with the packages that they use, and Django's commands in it."""

import os
import subprocess
from pathlib import Path

from support import environments
from support.environments import REPOSITORY, TESTS

PROJECTS = Path(__file__).resolve().parent
SCRIPT = REPOSITORY / "deploy" / "django-settings.py"
# The password of every user in the fixtures.
PASSWORD = "correct horse battery staple"
PACKAGES = (
    "Django==5.2.19", "djangorestframework==3.18.3", "argon2-cffi==25.1.0", "django-allauth[mfa]==65.22.1", "django-axes==8.3.1",
    "django-guardian==3.5.2", "django-oauth-toolkit==3.4.1", "django-rest-knox==5.1.0", "djangorestframework_simplejwt==5.5.1",
    "gunicorn==27.0.1", "mysqlclient==2.3.1", "psycopg2-binary==2.9.13",
)


def variables(project, url, **more):
    """The environment of the project's processes."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{PROJECTS}:{TESTS / 'django_project'}", "DJANGO_SETTINGS_MODULE": f"{project}.settings",
        "ORACLE_DATABASE_URL": url, **more,
    }


def manage(project, url, *command, stdin=None, **more):
    """Runs one of Django's commands, and returns the process. `stdin` is a file."""
    python = environments.programs("projects", PACKAGES) / "python"
    return subprocess.run(
        [python, PROJECTS / "manage.py", *command], env=variables(project, url, **more), stdin=stdin or subprocess.DEVNULL,
        capture_output=True, text=True,
    )


def prepare(project, url):
    """Creates the tables and loads the users."""
    for command in (["migrate", "-v0"], ["loaddata", "-v0", PROJECTS / project / "fixtures" / "users.json"]):
        done = manage(project, url, *command)
        assert done.returncode == 0, done.stderr


def write_environment(project, url, file):
    """Runs the settings script in the project; returns the process."""
    with SCRIPT.open() as script:
        return manage(project, url, "shell", "-v0", stdin=script, SIDECAR_OUTPUT=str(file))
