"""The Debian package: its files, and its life in a container from installation to purge. And the crate's list of files."""

import re
import subprocess
import tarfile

import pytest

from deploy import variables
from deploy.nspawn import UNIT, Machine, build_package
from support import clusters
from support.environments import REPOSITORY, binary

DEPLOY = REPOSITORY / "deploy"
NAME = "watchtower-sidecar"
VERSION = re.search(r'^version = "(.*)"$', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return build_package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def files(package):
    """The package's files, by their names."""
    process = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    with process, tarfile.open(fileobj=process.stdout, mode="r|") as archive:
        return {member.name.removeprefix("./"): member for member in archive}


@pytest.fixture
def machine():
    with Machine() as machine:
        yield machine


def test_the_example_and_the_manual_name_every_variable():
    """After a change: python3 tests/deploy/variables.py target/debug/watchtower-sidecar"""
    found = variables.variables(binary())
    assert variables.EXAMPLE.read_text() == variables.example(found)
    assert variables.MANUAL.read_text() == variables.manual(found, variables.MANUAL.read_text())


def test_the_example_is_read_by_a_shell_as_it_is_meant():
    """systemd's quotes are a shell's here; none of the values has both kinds."""
    lines = [line[1:] for line in variables.EXAMPLE.read_text().splitlines() if re.match(r"#[A-Z0-9_]+=", line)]
    script = "\n".join(lines) + "\nprintf '%s\\n' " + " ".join(f'"${line.split("=")[0]}"' for line in lines)
    read = subprocess.run(["sh", "-euc", script], check=True, capture_output=True, text=True).stdout.splitlines()
    found = variables.variables(binary())
    assert read == [item["example"] if item["default"] is None else item["default"] for item in found]


def test_the_manual_is_one(tmp_path):
    command = [clusters.program("groff"), "-man", "-Tutf8", "-ww", "-z", variables.MANUAL]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_is_in_the_manual():
    text = subprocess.run([binary(), "--help"], check=True, capture_output=True, text=True).stdout
    commands = re.findall(r"^  (\w+) ", text.split("Commands:\n")[1].split("\n\n")[0], re.MULTILINE)
    page = variables.MANUAL.read_text()
    assert {"serve", "demo"} <= set(commands)
    for command in set(commands) - {"help"}:
        assert re.search(rf'^\.BI? "?{command}\b', page, re.MULTILINE), command


def test_the_package_says_what_it_is(package):
    fields = ["Package", "Version", "Depends"]
    shown = subprocess.run(["dpkg-deb", "--field", package, *fields], check=True, capture_output=True, text=True).stdout
    assert f"Package: {NAME}\nVersion: {VERSION}-1\n" in shown
    assert re.search(r"^Depends: .*\blibc6 \(>= [\d.]+\)", shown, re.MULTILINE)
    conffiles = subprocess.run(["dpkg-deb", "--info", package, "conffiles"], capture_output=True, text=True).stdout
    assert conffiles == f"/etc/{NAME}/sidecar.env.example\n/etc/logrotate.d/{NAME}\n"


def test_the_package_holds_what_an_operator_needs(files):
    modes = {name: oct(member.mode & 0o7777) for name, member in files.items()}
    assert modes[f"usr/bin/{NAME}"] == "0o755"
    # Root's and the service's: what is copied from it will hold secrets.
    assert (modes[f"etc/{NAME}"], modes[f"etc/{NAME}/sidecar.env.example"]) == ("0o750", "0o640")
    examples = f"usr/share/doc/{NAME}/examples"
    for name in (
        f"lib/systemd/system/{UNIT}", f"lib/systemd/system/{NAME}.socket", f"usr/lib/sysusers.d/{NAME}.conf",
        f"usr/share/man/man8/{NAME}.8.gz", f"usr/share/doc/{NAME}/copyright", f"usr/share/doc/{NAME}/changelog.gz",
        f"{examples}/grants-postgres.sql", f"{examples}/grants-mysql.sql", f"{examples}/credentials.conf",
        f"{examples}/sqlite.conf", f"{examples}/alerts.yml", f"etc/logrotate.d/{NAME}",
    ):
        assert modes.get(name) == "0o644", name
    # Of the folder deploy/, whatever an operator copies from; the proxies' and the settings' files as they are there.
    for path in [*DEPLOY.glob("*.conf"), *DEPLOY.glob("Caddyfile"), *DEPLOY.glob("django-settings.py")]:
        assert f"{examples}/{path.name}" in files
    assert {(member.uid, member.gid) for member in files.values()} == {(0, 0)}


def test_the_same_commit_makes_the_same_package(package, tmp_path):
    assert build_package(tmp_path).read_bytes() == package.read_bytes()


def test_a_package_comes_and_goes(machine, package):
    machine.install(package)
    assert machine.must(NAME, "--version").startswith(f"{NAME} {VERSION}")
    # Neither enabled nor started: there is no configuration.
    assert machine.run("systemctl", "is-enabled", UNIT).stdout.strip() == "disabled"
    assert machine.show("ActiveState") == "inactive"
    group = machine.must("stat", "--format=%G %a", f"/etc/{NAME}")
    assert group == f"{NAME} 750"

    machine.write(f"etc/{NAME}/sidecar.env", "DATABASE_URL=sqlite:////nowhere/db\nDJANGO_SECRET_KEY='a key'\n", 0o600)
    machine.must("systemctl", "enable", "--now", UNIT)
    before = machine.show("MainPID")
    # An update restarts what runs, and keeps the configuration.
    machine.install(package)
    assert machine.show("ActiveState") == "active" and machine.show("MainPID") not in (before, "0")
    assert machine.path(f"etc/{NAME}/sidecar.env").exists()

    machine.must("dpkg", "--remove", NAME)
    assert machine.run("systemctl", "is-active", UNIT).stdout.strip() == "inactive"
    assert not machine.path(f"etc/systemd/system/multi-user.target.wants/{UNIT}").is_symlink()
    assert machine.path(f"etc/{NAME}/sidecar.env").exists()
    machine.must("dpkg", "--purge", NAME)
    assert not machine.path(f"etc/{NAME}").exists()


def test_an_update_starts_nothing_that_was_stopped(machine, package):
    for _ in range(2):
        machine.install(package)
    assert machine.show("ActiveState") == "inactive"


def test_the_crate_would_hold_the_program_and_its_rust_tests():
    command = ["cargo", "package", "--list", "--offline", "--allow-dirty"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed = set(done.stdout.splitlines())
    assert {
        "src/main.rs", "README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "schema/sqlite.sql",
        "tests/integration/main.rs", "tests/vectors/auth.json", f"deploy/systemd/{UNIT}",
    } <= listed
    python = {name for name in listed if name.endswith(".py")}
    assert {name.rsplit("/", 1)[0] for name in python} <= {"deploy", "schema", "tests/vectors"}


def test_the_changelog_knows_this_version():
    assert re.search(rf"^## .*\b{re.escape(VERSION)}\b", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
