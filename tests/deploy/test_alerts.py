"""The Prometheus alerts: promtool's own check, its unit tests in alerts_test.yml, and names that the program has."""

import re
import shutil
import subprocess
import urllib.request

from deploy.nspawn import new_database
from support import clusters
from support.environments import REPOSITORY, TESTS, binary
from support.ports import free_port
from support.waiting import await_true

ALERTS = REPOSITORY / "deploy" / "prometheus" / "alerts.yml"
UNIT_TESTS = TESTS / "deploy" / "alerts_test.yml"


def promtool(*arguments):
    return subprocess.run([clusters.program("promtool"), *arguments], capture_output=True, text=True)


def test_the_rules_are_rules():
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_on_its_fault_alone(tmp_path):
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(UNIT_TESTS, tmp_path)
    done = promtool("test", "rules", tmp_path / UNIT_TESTS.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test():
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    assert alerts == set(re.findall(r'alertname="(\w+)"', UNIT_TESTS.read_text()))


def test_every_metric_is_one_that_the_program_has(tmp_path):
    wanted = set(re.findall(r"\b(?:sidecar|process)_\w+", ALERTS.read_text()))
    port, main_port = free_port(), free_port()
    new_database(tmp_path / "db.sqlite3")
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3", "DJANGO_SECRET_KEY": "k" * 50,
        "SIDECAR_BIND": f"127.0.0.1:{main_port}", "SIDECAR_OPS_BIND": f"127.0.0.1:{port}",
        "DJANGO_ALLOWED_HOSTS": '["*"]',
    }
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen([binary(), "serve"], env=environment, stderr=log)
    try:
        await_true(lambda: fetch(port, "/metrics"), 20, (tmp_path / "log").read_text)
        # What has labels is there from the first request on.
        assert fetch(main_port, "/api/admin/export-stats/") == ""
        page = fetch(port, "/metrics")
    finally:
        process.terminate()
        process.wait()
    has = set(re.findall(r"^# TYPE (\w+)", page, re.MULTILINE))
    histograms = set(re.findall(r"^# TYPE (\w+) histogram", page, re.MULTILINE))
    assert wanted <= has | {f"{name}_bucket" for name in histograms}


def fetch(port, path):
    """The body of a good answer, or nothing."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""
