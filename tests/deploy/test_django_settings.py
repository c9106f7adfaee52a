"""`deploy/django-settings.py` in live projects: its file starts a sidecar that knows who is logged in there; output that is
spoilt, secrets of all sorts, and files for them."""

import concurrent.futures
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy import sample_project
from support import clusters
from support.environments import SUITE, VERSIONS, binary

ENVIRONMENT_GENERATOR = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """One project for each version of Django, seeded; the cookie of each."""
    root = tmp_path_factory.mktemp("projects")

    def make(django):
        project = sample_project.Project(root / django, django)
        return project, project.seed()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(VERSIONS, pool.map(make, VERSIONS)))


@pytest.fixture(scope="module")
def project(projects):
    return projects[SUITE][0]


@pytest.mark.parametrize("django", VERSIONS)
def test_a_sidecar_with_the_file_knows_who_is_logged_in(projects, django):
    project, cookie = projects[django]
    done, file = project.write_environment()
    assert (done.returncode, done.stderr) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().isascii()
    found = sample_project.sourced(file)
    assert found["DJANGO_USER_TABLE"] == "people_member"
    assert found["DJANGO_PBKDF2_ITERATIONS"] == {"4.0": "320000", "4.2": "600000", "5.2": "1000000", "6.1": "1500000"}[django]
    sample_project.assert_knows_the_boss(file, cookie)


def test_every_setting_reaches_its_variable(project):
    project.settings("all", """
SECRET_KEY_FALLBACKS = ["old", "older \\\\ \\u00e4"]
ALLOWED_HOSTS = [".example.com", "[::1]"]
DEBUG, USE_TZ, TIME_ZONE, APPEND_SLASH = False, False, "Europe/Berlin", False
SESSION_COOKIE_NAME, SESSION_COOKIE_AGE, SESSION_COOKIE_DOMAIN = "shop-id", 3600, ".example.com"
SESSION_COOKIE_PATH, SESSION_COOKIE_SECURE, SESSION_COOKIE_HTTPONLY, SESSION_COOKIE_SAMESITE = "/shop", True, False, False
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": [
    "rest_framework.authentication.BasicAuthentication", "rest_framework.authentication.SessionAuthentication"]}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher", "shop.hashers.Cheap",
    "django.contrib.auth.hashers.Argon2PasswordHasher", "django.contrib.auth.hashers.BCryptSHA256PasswordHasher"]
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
ROOT_URLCONF, FORCE_SCRIPT_NAME = "shop.old_urls", "/site"
""")
    project.write("shop/hashers.py", """
from django.contrib.auth import hashers
class Cheap(hashers.PBKDF2PasswordHasher):
    iterations = 1000
""")
    project.write("shop/old_urls.py", """
from django.contrib.auth.views import LoginView
from django.urls import include, re_path
from api.views.admin.admin_views import export_stats, export_users
inner = [re_path(r"^export\\-users/$", export_users), re_path(r"^export-stats/$", export_stats)]
urlpatterns = [re_path(r"^v1\\.0/", include(inner)), re_path("^accounts/login/$", LoginView.as_view())]
""")
    done, file = project.write_environment("all")
    assert (done.returncode, done.stderr) == (0, "")
    found = sample_project.sourced(file)
    assert json.loads(found.pop("DJANGO_SECRET_KEY_FALLBACKS")) == ["old", "older \\ ä"]
    assert len(found.pop("DJANGO_SECRET_KEY")) >= 50
    assert found == {
        "DATABASE_URL": f"sqlite:///{project.directory}/db.sqlite3",
        "DJANGO_USER_TABLE": "people_member", "DJANGO_USERNAME_FIELD": "username",
        "DJANGO_SESSION_COOKIE_NAME": "shop-id", "DJANGO_SESSION_COOKIE_AGE": "3600",
        "DJANGO_SESSION_COOKIE_DOMAIN": ".example.com", "DJANGO_SESSION_COOKIE_PATH": "/shop",
        "DJANGO_SESSION_COOKIE_SECURE": "true", "DJANGO_SESSION_COOKIE_HTTPONLY": "false",
        "DJANGO_SESSION_COOKIE_SAMESITE": "False",
        "DJANGO_AUTHENTICATION_BACKENDS": '["django.contrib.auth.backends.AllowAllUsersModelBackend"]',
        "DJANGO_REST_AUTHENTICATION": "basic,session",
        "DJANGO_ALLOWED_HOSTS": '[".example.com", "[::1]"]',
        "DJANGO_DEBUG": "false", "DJANGO_USE_TZ": "false", "DJANGO_TIME_ZONE": "Europe/Berlin",
        "DJANGO_APPEND_SLASH": "false", "DJANGO_LOGIN_URL": "/site/accounts/login/", "DJANGO_PBKDF2_ITERATIONS": "1000000",
        "SIDECAR_MOUNT": "/site/v1.0", "SIDECAR_LOGIN_MOUNT": "/site/api", "SIDECAR_PREPARED_STATEMENTS": "off",
    }


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        # Nothing answers there in a project whose only login page is the admin's.
        ("", "/boss/login/"), ('LOGIN_URL = "/not/there/"', "/boss/login/"),
        ('LOGIN_URL = "no-such-name"', "/boss/login/"),
        ('LOGIN_URL = "sign-in"', "/come/in/"), ('LOGIN_URL = "/come/in/?from=export"', "/come/in/?from=export"),
        ('LOGIN_URL = "https://login.example.com/in?a=b"', "https://login.example.com/in?a=b"),
    ],
)
def test_the_page_leads_to_where_people_log_in(project, setting, url):
    project.settings("login_url", f"{setting}\nROOT_URLCONF = 'shop.urls_with_login'\n")
    project.write("shop/urls_with_login.py", """
from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import path
from shop.urls import urlpatterns as inner
urlpatterns = [inner[0], path("come/in/", LoginView.as_view(), name="sign-in"), path("boss/", admin.site.urls)]
""")
    done, file = project.write_environment("login_url")
    assert (done.returncode, done.stderr) == (0, "")
    assert sample_project.sourced(file)["DJANGO_LOGIN_URL"] == url


def test_a_model_with_another_key_and_name_field_in_a_table_with_a_blank(project):
    project.settings("clients_only", """
from shop.by_email import *
DATABASES["default"]["NAME"] = BASE_DIR / "a #1 % \\u00e4?.sqlite3"
SESSION_COOKIE_NAME = "shop-id"
PASSWORD_HASHERS = ["shop.hashers.Cheap", *__import__("django.conf.global_settings").conf.global_settings.PASSWORD_HASHERS]
ROOT_URLCONF = "api.urls.admin_urls"
""")
    project.write("shop/hashers.py", """
from django.contrib.auth import hashers
class Cheap(hashers.PBKDF2PasswordHasher):
    iterations = 1000
""")
    cookie = project.seed("clients_only")
    done, file = project.write_environment("clients_only")
    assert done.returncode == 0 and done.stderr.startswith("warning: No login page was found") and done.stderr.count("\n") == 1
    found = sample_project.sourced(file)
    assert (found["DJANGO_USER_TABLE"], found["DJANGO_USERNAME_FIELD"]) == ("crm Kunden", "email")
    assert (found["SIDECAR_MOUNT"], found["DJANGO_PBKDF2_ITERATIONS"]) == ("", "1000")
    sample_project.assert_knows_the_boss(file, cookie, "boss@example.com", mount="")


SECRETS = ["plain", "a'b", 'a"b', "a\\b", "a$HOME `id` #x %y", "'\\\"$`#", "tab-less ~ !bang & ; | < > ( )", "ä𝒳", " blanks "]
# Compose reads these otherwise, however they are quoted, or one of its versions does.
NOT_FOR_COMPOSE = ["'`", "\\`", "'$b", "${b}", "'\\", "'\""]


def read_by_compose(file, folder):
    """What docker-compose gives a container."""
    text = json.dumps({"version": "3", "services": {"sidecar": {"image": "sidecar", "env_file": str(file)}}})
    (folder / "compose.yaml").write_text(text)
    command = [clusters.program("docker-compose"), "--file", folder / "compose.yaml", "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin", "b": "expanded"})
    [site] = yaml.safe_load_all(done.stdout)
    # A dollar is written twice.
    return {name: (value or "").replace("$$", "$") for name, value in site["services"]["sidecar"]["environment"].items()}


@pytest.mark.parametrize("secret", SECRETS + NOT_FOR_COMPOSE)
def test_every_reader_of_the_file_gets_each_secret_unchanged(project, secret, tmp_path):
    name = f"secret{(SECRETS + NOT_FOR_COMPOSE).index(secret)}"
    project.settings(name, f"SECRET_KEY = {secret!r}\nSECRET_KEY_FALLBACKS = [{secret!r}, 'x\\n']")
    done, file = project.write_environment(name)
    assert done.returncode == 0
    # Of a secret that Compose can't be given there is a warning; the fallbacks are JSON, which can spell everything.
    if warned := done.stderr.startswith("warning: DJANGO_SECRET_KEY: systemd and a shell read"):
        assert done.stderr.count("\n") == 1
    else:
        assert done.stderr == ""
    assert warned or secret not in NOT_FOR_COMPOSE
    found = sample_project.sourced(file)
    by_compose = read_by_compose(file, tmp_path)
    for variable, value in found.items():
        assert by_compose[variable] == value or (warned and variable == "DJANGO_SECRET_KEY"), (variable, by_compose[variable])
    assert found["DJANGO_SECRET_KEY"] == secret
    assert json.loads(found["DJANGO_SECRET_KEY_FALLBACKS"]) == [secret, "x\n"]
    if not ENVIRONMENT_GENERATOR.exists():
        pytest.skip("systemd is not installed")
    # It reads files as EnvironmentFile= does, but goes on to expand variables.
    (tmp_path / "environment.d").mkdir()
    (tmp_path / "environment.d" / "sidecar.conf").write_bytes(file.read_bytes().replace(b"$", b"$ "))
    printed = subprocess.run(
        [ENVIRONMENT_GENERATOR], env={"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nonexistent"}, capture_output=True, check=True
    )
    assert not printed.stderr
    (tmp_path / "printed").write_bytes(printed.stdout)
    expected = {variable: value.replace("$", "$ ") for variable, value in found.items()}
    assert sample_project.sourced(tmp_path / "printed") == expected


def test_secrets_go_to_files_that_only_their_owner_reads(projects, tmp_path):
    project, cookie = projects[SUITE]
    folder = tmp_path / "secrets"
    # The files of an earlier run are replaced, whatever their mode.
    folder.mkdir()
    (folder / "django-secret-key").write_text("an older key")
    (folder / "django-secret-key").chmod(0o644)
    project.settings("filed", "DEBUG = False\nDATABASES['replica'] = {**DATABASES['default'], 'NAME': '/copy.sqlite3'}")
    done, file = project.write_environment("filed", SIDECAR_SECRETS_DIR=str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    names = {"database-url", "database-read-url", "django-secret-key", "django-secret-key-fallbacks", "django-allowed-hosts"}
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(names, 0o600)
    found = sample_project.sourced(file)
    for name in names - {"database-read-url"}:
        variable = name.upper().replace("-", "_")
        assert found.pop(f"{variable}_FILE") == str(folder / name)
        assert variable not in found
    assert not any(name.endswith("_FILE") for name in found)
    assert f"# DATABASE_READ_URL_FILE={folder}/database-read-url\n" in file.read_text()
    assert (folder / "django-allowed-hosts").read_text() == '["127.0.0.1"]\n'
    sample_project.assert_knows_the_boss(file, cookie)


def test_a_key_of_many_lines_needs_a_file(project, tmp_path):
    project.settings("lines", "SECRET_KEY = 'first\\nsecond\\n'")
    done, file = project.write_environment("lines")
    assert done.returncode == 1 and "DJANGO_SECRET_KEY holds a control character" in done.stderr
    assert file.read_bytes() == b""
    done, file = project.write_environment("lines", SIDECAR_SECRETS_DIR=str(tmp_path))
    assert done.returncode == 0
    assert (tmp_path / "django-secret-key").read_text() == "first\nsecond\n\n"


NOISE = """
import atexit, os, sys
print("X=1"); print("noise", flush={flush}); os.system("echo noise of a child")
atexit.register(lambda: print("late noise", flush=True))
"""


@pytest.mark.parametrize("django", ["4.2", "6.1"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_noise_of_the_project_and_of_the_shell_is_not_in_the_file(projects, django, unbuffered):
    project = projects[django][0]
    name = f"noisy{unbuffered}"
    project.settings(name, NOISE.format(flush=bool(unbuffered)))
    done, file = project.write_environment(name, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_text().startswith("# watchtower-sidecar")
    assert "noise" not in file.read_text() and "imported automatically" not in file.read_text()


def test_through_a_pipe_what_django_has_printed_is_refused(projects):
    project = projects["6.1"][0]
    piped = "{python} manage.py shell VERBOSITY < {script} | cat > {file}"
    done, file = project.write_environment(command=piped.replace("VERBOSITY", ""))
    assert file.read_text().startswith("# watchtower-sidecar"), done.stderr
    done, file = project.write_environment(command=piped.replace("VERBOSITY", ""), PYTHONUNBUFFERED="1")
    assert "-v 0" in done.stderr and "DATABASE_URL" not in file.read_text()
    done, file = project.write_environment(command=piped.replace("VERBOSITY", "-v 0"), PYTHONUNBUFFERED="1")
    assert file.read_text().startswith("# watchtower-sidecar"), done.stderr


def test_a_file_that_is_appended_to_keeps_what_it_has_and_is_closed_to_others(project):
    command = "umask 022; echo KEPT=1 > {file}; {python} manage.py shell < {script} >> {file}"
    done, file = project.write_environment(command=command)
    assert done.returncode == 0
    assert file.read_text().startswith("KEPT=1\n# watchtower-sidecar")
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_script_writes_the_file_that_is_named_to_it(project, tmp_path):
    written = tmp_path / "sidecar.env"
    # The file of an earlier run is replaced, so that a process that has it open reads no new secret.
    written.write_text("an older file")
    written.chmod(0o644)
    with written.open() as earlier:
        done, printed = project.write_environment(SIDECAR_OUTPUT=str(written))
        assert (done.returncode, done.stderr, printed.read_text()) == (0, "", "")
        assert earlier.read() == "an older file"
    assert written.stat().st_mode & 0o777 == 0o600
    assert "DJANGO_SECRET_KEY" in sample_project.sourced(written)
    assert [path.name for path in tmp_path.iterdir()] == ["sidecar.env"]
    # Standard output is another file, whose content stays.
    kept = "echo kept > {file}; {python} manage.py shell -v0 < {script} 1<> {file}"
    done, printed = project.write_environment(command=kept, SIDECAR_OUTPUT=str(written))
    assert (done.returncode, printed.read_text()) == (0, "kept\n")


def test_a_second_factor_reaches_its_variable_and_wants_a_second_word(project):
    project.settings("second_factor", """
INSTALLED_APPS += ["shop.mfa"]
MIDDLEWARE += ["shop.two_factor.Middleware"]
SESSION_COOKIE_SECURE = True
""")
    project.write("shop/mfa/__init__.py", "")
    project.write("shop/two_factor.py", "def Middleware(get_response): return get_response")
    done, file = project.write_environment("second_factor")
    assert done.returncode == 0 and "asks for a second factor (shop.mfa, shop.two_factor)" in done.stderr
    assert json.loads(sample_project.sourced(file)["DJANGO_SECOND_FACTOR"]) == ["shop.mfa", "shop.two_factor"]
    assert "SIDECAR_LOGIN=on\n" not in file.read_text()
    file.write_text(file.read_text() + "SIDECAR_LOGIN=on\n")
    command = ["sh", "-c", 'set -a; . "$0"; exec "$1" serve', file, binary()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 64 and "SIDECAR_LOGIN=without-second-factor" in done.stderr


def test_a_disk_that_is_full_leaves_no_half_of_a_file(project):
    # The shell's limit to the size of files stands for the disk; the script's own text is past it, and only read.
    command = "trap '' XFSZ; ulimit -f 1; {python} manage.py shell < {script} > {file}"
    done, file = project.write_environment(command=command)
    assert done.returncode == 1 and "OSError" in done.stderr
    assert file.read_bytes() == b""


def test_the_owner_of_secrets_is_told_of_no_secret(project):
    project.settings("telling", """
SECRET_KEY = "the-key-itself"
SESSION_ENGINE = "shop.sessions"
DATABASES["default"] = {"ENGINE": "django.db.backends.mysql", "NAME": "a/b", "USER": "u", "PASSWORD": "the-password",
                        "HOST": "db", "OPTIONS": {"odd": "the-option"}}
""")
    done, file = project.write_environment("telling")
    assert done.returncode == 1 and file.read_bytes() == b""
    assert not any(secret in done.stderr for secret in ("the-key-itself", "the-password", "the-option"))
