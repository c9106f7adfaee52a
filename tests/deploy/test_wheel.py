"""The Python wheel in a fresh virtual environment: the program on the path, and the settings script in a Django project."""

import base64
import os
import re
import subprocess
import sys
import threading
import urllib.request
import zipfile

import pytest

from deploy import sample_project
from support.environments import REPOSITORY, binary

# Processor time from the start of the command to its answer: other tests keep the machine busy.
DEMO_SECONDS = 10


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of what `cargo build` made last, stored without compression."""
    folder = tmp_path_factory.mktemp("wheel")
    features = re.search(r"\((.*)\)", subprocess.run([binary(), "--version"], capture_output=True, text=True).stdout)[1]
    command = [
        REPOSITORY / "deploy" / "build-wheel", "--profile", "dev", "--features", features.replace(" ", ""), "--out", folder,
        "--compression-method", "stored",
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [file] = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """The programs of a virtual environment that has the wheel, installed without an index."""
    folder = tmp_path_factory.mktemp("environment")
    for command in (
        [sys.executable, "-m", "venv", folder],
        [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", wheel],
    ):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return sample_project.Project(tmp_path_factory.mktemp("projects") / "shop")


def with_the_wheel(environment, **more):
    """Variables with which Django's environment also finds the package of the wheel."""
    [packages] = environment.parent.glob("lib/python*/site-packages")
    return {"PYTHONPATH": str(packages), **more}


def run_in(folder, command, **variables):
    given = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    return subprocess.run(command, cwd=folder, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_the_wheel_says_what_it_is_and_holds_the_licences(wheel):
    version = re.search(r'^version = "(.*)"$', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert re.fullmatch(rf"watchtower_sidecar-{version}-py3-none-manylinux_2_\d+_\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"watchtower_sidecar-{version}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        script = archive.read("watchtower_sidecar/django-settings.py")
    assert {f"{info}/licenses/{name}" for name in ("LICENSE-MIT", "LICENSE-APACHE", "copyright")} <= names
    assert f"{info}/sboms/sbom.cdx.json" in names
    assert re.search(r"^License-Expression: .*MIT OR Apache-2.0", metadata, re.MULTILINE)
    assert script == (REPOSITORY / "deploy" / "django-settings.py").read_bytes()


def test_the_demo_answers_within_ten_seconds_of_processor_time(environment):
    demo = subprocess.Popen(
        [environment / "watchtower-sidecar", "demo"], env={"SIDECAR_BIND": "127.0.0.1:0"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    # A demo that says nothing must not keep the test waiting.
    timer = threading.Timer(6 * DEMO_SECONDS, demo.kill)
    timer.start()
    try:
        first, page = demo.stdout.readline(), demo.stdout.readline()
        url = re.search(r"http://[\d.:]+", first)[0]
        user, password = re.search(r"log in as (\S+) with the password (\S+)", page).groups()
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        request = urllib.request.Request(f"{url}/api/admin/export-stats/", headers={"Authorization": f"Basic {credentials}"})
        with urllib.request.urlopen(request, timeout=6 * DEMO_SECONDS) as answer:
            assert b'"exportable_users"' in answer.read()
        demo.terminate()
        _, status, usage = os.wait4(demo.pid, 0)
        demo.returncode = os.waitstatus_to_exitcode(status)
        assert demo.returncode == 0 and usage.ru_utime + usage.ru_stime < DEMO_SECONDS
    finally:
        timer.cancel()
        demo.kill()
        demo.communicate()


def test_the_settings_command_writes_what_the_script_writes_in_djangos_shell(environment, project):
    done, by_shell = project.write_environment()
    assert (done.returncode, done.stderr) == (0, "")
    command = "{python} -m watchtower_sidecar settings > {file}"
    done, by_wheel = project.write_environment(command=command, **with_the_wheel(environment))
    assert (done.returncode, done.stderr) == (0, "")
    assert by_wheel != by_shell and by_wheel.read_bytes() == by_shell.read_bytes()
    assert by_wheel.stat().st_mode & 0o777 == 0o600


def test_its_options_are_the_scripts(environment, project, tmp_path):
    file, secrets = tmp_path / "sidecar.env", tmp_path / "secrets"
    variables = with_the_wheel(environment, SIDECAR_OUTPUT=str(file), SIDECAR_SECRETS_DIR=str(secrets), PYTHONUNBUFFERED="1")
    done, _ = project.write_environment(command="{python} -m watchtower_sidecar settings > {file}", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert sample_project.sourced(file)["DATABASE_URL_FILE"] == str(secrets / "database-url")


def test_without_manage_py_the_variable_names_the_settings(environment, project, tmp_path):
    done, by_shell = project.write_environment()
    assert done.returncode == 0
    command = [project.python, "-m", "watchtower_sidecar", "settings"]
    variables = with_the_wheel(environment)
    variables["PYTHONPATH"] += f":{project.directory}"
    done = run_in(tmp_path, command, DJANGO_SETTINGS_MODULE="shop.settings", **variables)
    assert (done.returncode, done.stdout) == (0, by_shell.read_text()), done.stderr
    done = run_in(tmp_path, command, **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no manage.py in this folder" in done.stderr


def test_a_refusal_and_a_wrong_command_have_their_exit_codes(environment, project, tmp_path):
    project.settings("refused", 'SESSION_ENGINE = "django.contrib.sessions.backends.file"')
    command = "{python} -m watchtower_sidecar settings > {file}"
    done, file = project.write_environment("refused", command, **with_the_wheel(environment))
    assert done.returncode == 1 and "The sidecar can't honour:" in done.stderr
    assert file.read_bytes() == b""
    done = run_in(tmp_path, [environment / "python", "-m", "watchtower_sidecar", "setings"])
    assert done.returncode == 2 and "usage:" in done.stderr
