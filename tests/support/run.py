"""The test command behind tests/run: provides servers and environments, runs every part, stops what it started.

A part that can't run here is skipped with a line that says why; with --require-all, or CI=true, that is a failure.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support import clusters, environments
from support.environments import REPOSITORY, SUITE, TESTS, target_directory

PARTS = ("rust", "differential", "faults", "deploy", "people", "fuzz")
DATABASES = ("sqlite", "postgres", "mysql")
# What the suite compares with: every database with the newest long-term version, every version with SQLite.
COMPARISONS = [(database, SUITE) for database in DATABASES]
COMPARISONS += [("sqlite", django) for django in environments.VERSIONS if django != SUITE]
# The machine is small: two comparisons keep two cores busy.
AT_ONCE = 2


class Run:
    def __init__(self, options):
        self.options = options
        self.directory = Path(tempfile.mkdtemp(prefix="sidecar-tests-"))
        self.directory.chmod(0o711)
        self.servers = []
        self.environment = dict(os.environ)
        self.passed = self.failed = 0
        self.broken = []
        self.skipped = []

    def skip(self, what, why):
        print(f"skipped: {what}: {why}", flush=True)
        self.skipped.append(what)

    def fail(self, what):
        print(f"FAILED: {what}", flush=True)
        self.broken.append(what)

    def count(self, output, pattern):
        for passed, failed in re.findall(pattern, output):
            self.passed += int(passed or 0)
            self.failed += int(failed or 0)

    def start_servers(self, kinds):
        """Starts the database servers, and names them to the tests."""
        authorities = ""
        for kind in kinds:
            variable = f"TEST_{kind.upper()}_URL"
            self.environment.pop(variable, None)
            try:
                server = clusters.KINDS[kind](self.directory / kind)
            except (clusters.Unavailable, OSError) as error:
                self.skip(kind, error)
                continue
            self.servers.append(server)
            self.environment[variable] = server.url
            authorities += server.authority.read_text()
        if authorities:
            bundle = self.directory / "authorities.pem"
            bundle.write_text(authorities)
            self.environment["TEST_TLS_CA"] = str(bundle)

    def cargo(self, *arguments):
        """Runs cargo, showing its output as it comes; whether it succeeded."""
        command = ["cargo", *arguments]
        print(f"$ {' '.join(command)}", flush=True)
        output = []
        with subprocess.Popen(
            command, cwd=REPOSITORY, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            for line in process.stdout:
                print(line, end="", flush=True)
                output.append(line)
        self.count("".join(output), r"(\d+) passed; (\d+) failed")
        return process.returncode == 0

    def features(self):
        """The features to build with: MySQL's client needs cmake and a C++ compiler."""
        if shutil.which("cmake") and shutil.which("c++"):
            return ["--features", "mysql"]
        self.skip("MariaDB in the Rust tests", "cmake or a C++ compiler is missing")
        return []

    def rust(self, features):
        python = self.python(SUITE)
        corpora = {} if python is None else self.corpora(python)
        self.environment |= corpora
        if not self.cargo("test", *features):
            self.fail("cargo test")

    def corpora(self, python):
        """Has Django answer random inputs, for the Rust side to answer too."""
        processes = {}
        for name in ("auth", "http"):
            path = self.directory / f"corpus_{name}.jsonl"
            script = TESTS / "differential" / f"corpus_{name}.py"
            processes[name] = (path, subprocess.Popen([python, script, path], stdin=subprocess.DEVNULL))
        made = {}
        for name, (path, process) in processes.items():
            if process.wait() == 0:
                made[f"DJANGO_CORPUS_{name.upper()}"] = str(path)
            else:
                self.fail(f"corpus_{name}.py")
        return made

    def python(self, django):
        """The environment of a Django version, or None."""
        try:
            return environments.environment(django)
        except environments.Unavailable as error:
            self.skip(f"Django {django}", error)
            return None

    def differential(self):
        python = self.python(SUITE)
        if python is None:
            return
        wanted = []
        for database, django in COMPARISONS:
            if self.options.database not in (None, database) or self.options.django not in (None, django):
                continue
            if database != "sqlite" and f"TEST_{database.upper()}_URL" not in self.environment:
                self.skip(f"the differential suite on {database}", "its server is not there")
            elif self.python(django):
                wanted.append((database, django))
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for (database, django), done in zip(wanted, pool.map(lambda pair: self.compare(python, *pair), wanted)):
                self.report(f"the differential suite on {database} with Django {django}", done)

    def compare(self, python, database, django):
        command = [python, "-m", "pytest", "-q", TESTS / "differential", "--database", database, "--django", django]
        return self.pytest(command)

    def faults(self):
        """Faults of the database, the network and the process; the soak is short where nobody asks for all."""
        python = self.python(SUITE)
        if python is None:
            return
        seconds = 60 if self.is_all_required() else 20
        done = self.pytest([python, "-m", "pytest", "-q", "-rs", TESTS / "faults", f"--soak-seconds={seconds}"])
        self.skip_as_told("faults", done)
        self.report("the faults", done)

    def deploy(self):
        """The files of deploy/ with the programs that they are for, and more than one machine."""
        python = self.python(SUITE)
        if python is None:
            return
        done = self.pytest([python, "-m", "pytest", "-q", "-rs", TESTS / "deploy"])
        self.skip_as_told("deploy", done)
        self.report("the deployment files", done)

    def people(self):
        """The page in a browser, the description of the API, the importers of examples/."""
        python = self.python(SUITE)
        if python is None:
            return
        done = self.pytest([python, "-m", "pytest", "-q", "-rs", TESTS / "people"])
        self.skip_as_told("people", done)
        self.report("what people and importers see", done)

    def skip_as_told(self, part, done):
        for reason in re.findall(r"^SKIPPED \[\d+\] (.*)", done.stdout, re.MULTILINE):
            self.skip(part, reason)

    def fuzz(self):
        """Every fuzz target, for 45 seconds where all is asked for."""
        if not shutil.which("c++"):
            self.skip("the fuzz targets", "a C++ compiler is missing")
            return
        seconds = 45 if self.is_all_required() else 5
        environment = self.environment | {"CARGO_TARGET_DIR": str(target_directory())}
        done = subprocess.run(
            [REPOSITORY / "fuzz" / "run", str(seconds)], cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True, errors="replace"
        )
        print(done.stdout, flush=True)
        self.count(done.stdout, r"(\d+) passed; (\d+) failed")
        if done.returncode != 0:
            self.fail("the fuzz targets")

    def pytest(self, command):
        if self.options.k:
            command += ["-k", self.options.k]
        return subprocess.run(
            command, cwd=REPOSITORY, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )

    def is_all_required(self):
        return self.options.require_all or os.environ.get("CI") == "true"

    def report(self, what, done):
        summary = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "no output"
        print(f"{what}: {summary}", flush=True)
        nothing_matched = self.options.k and done.returncode == 5
        if done.returncode != 0 and not nothing_matched:
            print(done.stdout, flush=True)
            self.fail(what)
        self.count(summary, r"(\d+) passed()")
        self.count(summary, r"()(\d+) (?:failed|error)")

    def close(self):
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def options():
    parser = argparse.ArgumentParser(prog="tests/run", description="Runs all tests, or some.")
    parser.add_argument("--only", choices=PARTS, help="one part of the tests")
    parser.add_argument("--database", choices=DATABASES, help="the differential suite on this database alone")
    parser.add_argument("--django", choices=environments.VERSIONS, help="the differential suite with this version alone")
    parser.add_argument("-k", metavar="EXPRESSION", help="the Python tests whose names match, as for pytest")
    parser.add_argument("--require-all", action="store_true", help="a skipped part is a failure (default with CI=true)")
    return parser.parse_args()


def main():
    run = Run(options())
    parts = [run.options.only] if run.options.only else PARTS
    try:
        features = run.features()
        if not run.cargo("build", *features):
            run.fail("cargo build")
        else:
            only = run.options.database if parts == ["differential"] else None
            run.start_servers([kind for kind in clusters.KINDS if only in (None, kind)])
            if "rust" in parts:
                run.rust(features)
            if "differential" in parts:
                run.differential()
            if "faults" in parts:
                run.faults()
            if "deploy" in parts:
                run.deploy()
            if "people" in parts:
                run.people()
            if "fuzz" in parts:
                run.fuzz()
    finally:
        run.close()
    required = run.is_all_required()
    print()
    for what in run.skipped:
        print(f"skipped{', though required' if required else ''}: {what}")
    for what in run.broken:
        print(f"failed: {what}")
    print(f"{run.passed} passed, {run.failed} failed", flush=True)
    return 1 if run.broken or run.failed or (required and run.skipped) else 0


if __name__ == "__main__":
    sys.exit(main())
