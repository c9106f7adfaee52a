"""The test command behind tests/run: starts database servers, makes Python environments, runs every part, stops the servers.

A part that can't run here is skipped, and the reason is printed; with --require-all, or CI=true, that is a failure.
"""

import argparse
import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from support import clusters, environments
from support.environments import REPOSITORY, SUITE, TESTS, Unavailable, target_directory

# Each row runs after the one before it. The lanes of a row run side by side, the parts of a lane one after another.
# Rust tests and faults measure times, so they run alone. Deployment tests mostly wait, so others compute beside them.
SCHEDULE = [
    [["rust"]],
    [["differential"]],
    [["faults"]],
    [["deploy"], ["fuzz", "browser", "projects"]],
]
PARTS = [part for row in SCHEDULE for lane in row for part in lane]
DATABASES = ("sqlite", "postgres", "mysql")
# The differential suite: every database with the newest long-term version of Django, every version with SQLite. The
# longest first.
COMPARISONS = [(database, SUITE) for database in reversed(DATABASES)]
COMPARISONS += [("sqlite", django) for django in environments.VERSIONS if django != SUITE]
# Each comparison waits half of its time, on one request after another: three keep two cores busy.
COMPARISONS_AT_ONCE = 3


class Run:
    def __init__(self, options):
        self.options = options
        self.is_all_required = options.require_all or os.environ.get("CI") == "true"
        self.parts = options.only or PARTS
        self.directory = Path(tempfile.mkdtemp(prefix="sidecar-tests-"))
        # The database servers run as other users and must reach their own folders in it.
        self.directory.chmod(0o711)
        self.servers = []
        self.environment = dict(os.environ)
        self.lock = threading.Lock()
        self.passed = self.failed = 0
        self.failures = []
        self.skipped = []
        self.seconds = {}

    def skip(self, what, why):
        print(f"skipped: {what}: {why}", flush=True)
        self.skipped.append(what)

    def fail(self, what):
        print(f"FAILED: {what}", flush=True)
        self.failures.append(what)

    def count(self, output, pattern):
        """Adds up the passed and the failed tests, which are the pattern's two groups."""
        with self.lock:
            for passed, failed in re.findall(pattern, output):
                self.passed += int(passed or 0)
                self.failed += int(failed or 0)

    def all(self):
        """Builds the program, starts the servers and runs the parts."""
        features = self.features()
        pythons = [SUITE] if "differential" not in self.parts else list({django for _, django in self.comparisons()})
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            # Packages are downloaded while cargo compiles.
            made = pool.submit(lambda: {django: self.python(django) for django in pythons})
            with self.timed("cargo build"):
                is_built = self.cargo("build", *features)
            self.pythons = made.result()
        if not is_built:
            self.fail("cargo build")
            return
        self.start_servers()
        for row in SCHEDULE:
            lanes = [[part for part in lane if part in self.parts] for lane in row]
            with concurrent.futures.ThreadPoolExecutor(len(row)) as pool:
                # `list` raises what a lane has raised.
                list(pool.map(lambda lane: [self.part(part, features) for part in lane], lanes))

    def part(self, part, features):
        with self.timed(part):
            if part == "rust":
                self.rust(features)
            elif part == "fuzz":
                self.fuzz()
            elif self.pythons.get(SUITE):
                self.differential() if part == "differential" else self.suite(part)

    @contextlib.contextmanager
    def timed(self, what):
        began = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - began

    def python(self, django):
        """The environment of a Django version, or None."""
        try:
            return environments.environment(django)
        except Unavailable as error:
            self.skip(f"Django {django}", error)
            return None

    def start_servers(self):
        """Starts the database servers, and names them to the tests."""
        authorities = ""
        only = self.options.database if self.parts == ["differential"] else None
        for kind in clusters.KINDS:
            variable = f"TEST_{kind.upper()}_URL"
            self.environment.pop(variable, None)
            if only not in (None, kind):
                continue
            try:
                server = clusters.KINDS[kind](self.directory / kind)
            except (Unavailable, OSError) as error:
                self.skip(kind, error)
                continue
            self.servers.append(server)
            self.environment[variable] = server.url
            authorities += server.authority.read_text()
        if authorities:
            bundle = self.directory / "authorities.pem"
            bundle.write_text(authorities)
            self.environment["TEST_TLS_CA"] = str(bundle)

    def features(self):
        """The features to build with: MySQL's client needs cmake and a C++ compiler."""
        if shutil.which("cmake") and shutil.which("c++"):
            return ["--features", "mysql"]
        self.skip("MariaDB in the Rust tests", "cmake or a C++ compiler is missing")
        return []

    def cargo(self, *arguments, **more):
        """Runs cargo, showing its output as it comes; whether it succeeded."""
        command = ["cargo", *arguments]
        print(f"$ {' '.join(command)}", flush=True)
        output = []
        with subprocess.Popen(
            command, cwd=REPOSITORY, env=self.environment | more, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            for line in process.stdout:
                print(line, end="", flush=True)
                output.append(line)
        self.count("".join(output), r"(\d+) passed; (\d+) failed")
        return process.returncode == 0

    def rust(self, features):
        corpora = self.corpora(self.pythons[SUITE]) if self.pythons.get(SUITE) else {}
        if not self.cargo("test", *features, **corpora):
            self.fail("cargo test")

    def corpora(self, python):
        """Has Django answer random inputs, which the Rust tests then answer too; the variables that name the files."""
        paths = {name: str(self.directory / f"corpus_{name}.jsonl") for name in ("auth", "http")}
        processes = {
            name: subprocess.Popen([python, TESTS / "differential" / f"corpus_{name}.py", path], stdin=subprocess.DEVNULL)
            for name, path in paths.items()
        }
        for name, process in processes.items():
            if process.wait() != 0:
                self.fail(f"corpus_{name}.py")
        return {f"DJANGO_CORPUS_{name.upper()}": path for name, path in paths.items()}

    def comparisons(self):
        wanted = self.options
        return [
            (database, django) for database, django in COMPARISONS
            if wanted.database in (None, database) and wanted.django in (None, django)
        ]

    def differential(self):
        with concurrent.futures.ThreadPoolExecutor(COMPARISONS_AT_ONCE) as pool:
            list(pool.map(lambda pair: self.compare(*pair), self.comparisons()))

    def compare(self, database, django):
        what = f"differential, {database}, Django {django}"
        if database != "sqlite" and f"TEST_{database.upper()}_URL" not in self.environment:
            self.skip(what, "its server is not there")
        elif self.pythons.get(django):
            with self.timed(what):
                self.suite("differential", "--database", database, "--django", django, what=what)

    def suite(self, part, *arguments, what=None):
        """Runs a suite in Python, and reports it with what it skipped."""
        if part == "faults":
            arguments = [f"--soak-seconds={60 if self.is_all_required else 20}"]
        if self.options.k:
            arguments = [*arguments, "-k", self.options.k]
        done = self.captured([self.pythons[SUITE], "-m", "pytest", "-q", "-rs", TESTS / part, *arguments])
        summary = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "no output"
        print(f"{what or part}: {summary}", flush=True)
        if part != "differential":
            # There, what a database does not have is left out on purpose.
            for reason in re.findall(r"^SKIPPED \[\d+\] (.*)", done.stdout, re.MULTILINE):
                self.skip(part, reason)
        # Status 5: -k matched nothing.
        if done.returncode != 0 and not (self.options.k and done.returncode == 5):
            print(done.stdout, flush=True)
            self.fail(what or part)
        self.count(summary, r"(\d+) passed()")
        self.count(summary, r"()(\d+) (?:failed|error)")

    def fuzz(self):
        """Every fuzz target, for 45 seconds if all is required. Gives way to the suite beside it, whose tests have timeouts."""
        if not shutil.which("c++"):
            self.skip("the fuzz targets", "a C++ compiler is missing")
            return
        seconds = "45" if self.is_all_required else "5"
        done = self.captured(["nice", "-n", "5", REPOSITORY / "fuzz" / "run", seconds], CARGO_TARGET_DIR=str(target_directory()))
        print(done.stdout, flush=True)
        self.count(done.stdout, r"(\d+) passed; (\d+) failed")
        if done.returncode != 0:
            self.fail("the fuzz targets")

    def captured(self, command, **more):
        return subprocess.run(
            command, cwd=REPOSITORY, env=self.environment | more, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )

    def close(self):
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def summary(self):
        """Prints what was skipped and what failed, the counts and the times; the exit status."""
        print()
        for what in self.skipped:
            print(f"skipped{', though required' if self.is_all_required else ''}: {what}")
        for what in self.failures:
            print(f"failed: {what}")
        print(", ".join(f"{what} {seconds:.0f} s" for what, seconds in self.seconds.items()))
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failures or self.failed or (self.is_all_required and self.skipped) else 0


def parsed_options():
    parser = argparse.ArgumentParser(prog="tests/run", description="Runs all tests, or some.")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part of the tests; may be repeated")
    parser.add_argument("--database", choices=DATABASES, help="the differential suite on this database alone")
    parser.add_argument("--django", choices=environments.VERSIONS, help="the differential suite with this version alone")
    parser.add_argument("-k", metavar="EXPRESSION", help="the Python tests whose names match, as for pytest")
    parser.add_argument("--require-all", action="store_true", help="a skipped part is a failure (default with CI=true)")
    return parser.parse_args()


def main():
    # As at Ctrl-C, what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    run = Run(parsed_options())
    try:
        run.all()
    finally:
        run.close()
    return run.summary()


if __name__ == "__main__":
    sys.exit(main())
