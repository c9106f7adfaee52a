"""The benchmark behind tests/bench/run: provides servers and filled databases, runs the scenarios, reports, and stops
what it started. A figure never makes it fail; a wrong answer does.
"""

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from bench import data, machine, report
from bench.before import compare
from bench.contenders import Sidecar, WrongAnswer
from bench.scenarios import SCENARIOS, say
from support import clusters, environments
from support.environments import REPOSITORY, SUITE, target_directory

DOCUMENT = REPOSITORY / "docs" / "performance.md"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Bench:
    """What the scenarios work with: the options, and databases and servers that are made when they are first needed."""

    def __init__(self, options, directory):
        self.databases, self.sizes = options.databases, options.users
        self.rounds, self.seconds = options.rounds, options.seconds
        self.binary = options.binary
        self.directory = directory
        self.servers = {}
        self.filled = {}

    @property
    def smallest(self):
        return min(self.sizes)

    def first_database(self):
        """The smallest one on the first database system."""
        return self.database(self.databases[0], self.smallest)

    def database(self, kind, users):
        if (kind, users) not in self.filled:
            if kind in clusters.KINDS and kind not in self.servers:
                with uninterrupted():
                    self.servers[kind] = clusters.KINDS[kind](self.directory / kind)
            say(f"filling {data.LABELS[kind]} with {users:,} users")
            url = self.servers[kind].url if kind in self.servers else None
            self.filled[kind, users] = data.make(kind, users, self.directory, url)
        return self.filled[kind, users]

    def sidecar(self, database):
        return Sidecar(database, self.directory, self.binary)

    @staticmethod
    def passwords_program():
        """What cargo built of passwords.rs last."""
        built = (target_directory() / "release" / "deps").glob("passwords-*")
        programs = [path for path in built if not path.suffix and os.access(path, os.X_OK)]
        if not programs:
            raise RuntimeError("passwords.rs is not built: cargo bench --features mysql --bench passwords --no-run")
        return max(programs, key=lambda path: path.stat().st_mtime)

    def close(self):
        with uninterrupted():
            for server in self.servers.values():
                server.stop()
            shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def uninterrupted():
    """Puts off Ctrl-C and the like to the end of a step that would otherwise leave a process behind."""
    noted = []
    handlers = {number: signal.signal(number, lambda number, _: noted.append(number)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if noted:
            raise KeyboardInterrupt


def interrupt(*_):
    raise KeyboardInterrupt


def parsed_options():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="Measures the sidecar beside Django.")

    def several(convert, allowed=None):
        def convert_all(text):
            values = [convert(word.strip()) for word in text.split(",")]
            if allowed and not set(values) <= set(allowed):
                raise argparse.ArgumentTypeError(f"{text} is not of {','.join(allowed)}")
            return values

        return convert_all

    def count(text):
        number = int(text)
        if number < 1:
            raise argparse.ArgumentTypeError("must be at least 1")
        return number

    results = target_directory() / "bench" / "results.json"
    binary = target_directory() / "release" / "watchtower-sidecar"
    kinds, parts = list(data.LABELS), list(SCENARIOS)
    add = parser.add_argument
    add("--users", type=several(count), default=[100_000, 1_000_000], help="sizes of the databases (100000,1000000)")
    add("--databases", type=several(str, kinds), default=kinds, help=f"of {','.join(kinds)} (all)")
    add("--rounds", type=count, default=5, help="how often everything is measured, an odd number (5)")
    add("--seconds", type=count, default=3, help="how long one run of wrk takes (3)")
    add("--only", type=several(str, parts), default=parts, help=f"of {','.join(parts)} (all)")
    add("--json", type=Path, default=results, help="where the figures are written as JSON (target/bench/results.json)")
    add("--binary", type=Path, default=binary, help="the sidecar (target/release/watchtower-sidecar)")
    add("--before", type=Path, help="another build of the sidecar: compares the two, and nothing else")
    add("--no-build", action="store_true", help="measure what is built already")
    add("--update-readme", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    if options.rounds % 2 == 0:
        parser.error("--rounds must be odd, or there is no median")
    options.binary = options.binary.resolve()
    return options


def run(options):
    found = {
        "command": shlex.join(["tests/bench/run", *sys.argv[1:]]), "date": date.today().isoformat(),
        "machine": machine.machine(), "versions": machine.versions(), "rounds": options.rounds,
        "seconds": options.seconds, "figures": [],
    }
    if found["machine"]["load_before"] > 0.5:
        say(f"the machine is busy (load average {found['machine']['load_before']}): the figures will show it")
    directory = Path(tempfile.mkdtemp(prefix="sidecar-bench-"))
    # The database servers run as other users and must reach their own folders in it.
    directory.chmod(0o711)
    bench = Bench(options, directory)
    try:
        if options.before:
            print(compare(bench, options.before.resolve()), end="", flush=True)
            return
        for name in options.only:
            found["figures"].extend(SCENARIOS[name](bench))
    except BaseException:
        say(f"incomplete:\n{report.markdown(found)}")
        raise
    finally:
        bench.close()
    text = report.markdown(found)
    print(text, end="", flush=True)
    report.write_json(found, options.json)
    if options.update_readme:
        report.update_document(DOCUMENT, text)


def main():
    options = parsed_options()
    python = environments.environment(SUITE)
    if Path(sys.prefix) != python.parent.parent:
        # The database drivers are in the suite's environment.
        os.execv(python, [str(python), "-m", "bench.bench", *sys.argv[1:]])
    missing = [name for name in ("curl", "wrk", "mariadb", "sqlite3") if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if not options.binary.is_file():
        return f"{options.binary} is not built: cargo build --release --features mysql"
    for number in SIGNALS:
        signal.signal(number, interrupt)
    try:
        if options.update_readme:
            # Before minutes of measuring are spent.
            report.around_the_table(DOCUMENT)
        run(options)
    except KeyboardInterrupt:
        return "stopped"
    except (WrongAnswer, clusters.Unavailable, RuntimeError, ValueError) as error:
        return f"FAILED: {error}"


if __name__ == "__main__":
    sys.exit(main())
