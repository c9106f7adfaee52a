"""What is measured: every scenario lets its contenders take turns, so that a disturbance hits all of them, and yields
figures as soon as they are complete."""

import hashlib
import subprocess
import sys
import time

from bench import contenders, data, measure, users
from bench.contenders import STATS, Django, Sidecar, WrongAnswer
from bench.figures import CLIENT, DJANGO, SIDECAR, Figure

ADMIN, PLAIN = data.cookie(users.ADMIN), data.cookie(users.PLAIN)
# A contender whose one export takes longer than this is measured once.
SLOW_MILLISECONDS = 5000
CONNECTIONS = (1, 8, 64)
AT_ONCE = 4
ITERATIONS = 1_000_000
CODINGS = ("identity", "gzip", "br", "zstd")


def say(text):
    print(text, file=sys.stderr, flush=True)


def export(bench):
    """The whole export, and what it takes in memory, at every size on every database."""
    for kind in bench.databases:
        for count in bench.sizes:
            database = bench.database(kind, count)
            say(f"export: {database.label}, {count:,} users")
            with bench.sidecar(database) as sidecar, Django(database, bench.directory) as django:
                django_rounds = same_export(bench, sidecar, django)
                yield export_times(bench, database, sidecar, django, django_rounds)
            yield from export_memory(bench, database, django_rounds)


def same_export(bench, sidecar, django):
    """Compares the two bodies, which also warms everything up; how often to measure Django."""
    started = time.perf_counter()
    expected = measure.digest(django, ADMIN)
    elapsed = 1000 * (time.perf_counter() - started)
    if measure.digest(sidecar, ADMIN) != expected:
        raise WrongAnswer(f"the sidecar's export is not Django's on {sidecar.database.label}: {sidecar.last_words()}")
    return 1 if elapsed > SLOW_MILLISECONDS else bench.rounds


def export_times(bench, database, sidecar, django, django_rounds):
    name, command, environment = contenders.client(database)
    what = f"whole export, {database.exported:,} users"
    figure = Figure("export", what, "ms", database.label, database.users, note=f"client: {name}")
    measure.wall(command, environment)
    measure.settle(django)
    size = None
    for turn in range(bench.rounds):
        for contender, server in ((SIDECAR, sidecar), (DJANGO, django)):
            if contender == DJANGO and turn >= django_rounds:
                continue
            (download,) = measure.downloads(server, ADMIN)
            if download.size != (size := size or download.size):
                raise WrongAnswer(f"{server.name} sent {download.size} bytes, not {size}: {server.last_words()}")
            figure.add(contender, download.milliseconds, first_byte_ms=download.first_byte)
            measure.settle(server)
        figure.add(CLIENT, measure.wall(command, environment))
    return figure


def export_memory(bench, database, django_rounds):
    """The servers' peaks while they export, each in a fresh process."""
    one = Figure("export", "peak memory, one export", "MiB", database.label, database.users)
    four = Figure("export", f"peak memory, {AT_ONCE} exports at once", "MiB", database.label, database.users)
    for turn in range(bench.rounds):
        for figure, at_once in ((one, 1), (four, AT_ONCE)):
            with bench.sidecar(database) as server:
                add_peak(figure, SIDECAR, server, at_once)
        if turn < django_rounds:
            with Django(database, bench.directory) as server:
                add_peak(one, DJANGO, server, 1)
    return one, four


def add_peak(figure, contender, server, at_once):
    idle, _ = idle_memory(server)
    processes = server.processes()
    measure.forget_peak(processes)
    measure.downloads(server, ADMIN, at_once=at_once)
    peak = measure.peak(processes)
    figure.add(contender, peak, over_idle_MiB=peak - idle)


def idle_memory(server):
    """MiB, whole and anonymous alone, of a server that has answered a request or two."""
    if isinstance(server, Sidecar):
        server.expect(200, "/readyz")
    server.expect(200, STATS, ADMIN)
    processes = server.processes()
    return measure.resident(processes), measure.anonymous(processes)


def stats(bench):
    """Statistics under load: at every number of connections on the first database, at the highest on the others."""
    for place, kind in enumerate(bench.databases):
        connections = CONNECTIONS if place == 0 else CONNECTIONS[-1:]
        yield from load(bench, bench.database(kind, bench.smallest), "statistics", ADMIN, 200, connections)


def session(bench):
    """What the check of a session alone costs: a user who is no admin is refused."""
    yield from load(bench, bench.first_database(), "refused session (403)", PLAIN, 403, CONNECTIONS)


def load(bench, database, what, cookie, status, connections):
    with bench.sidecar(database) as sidecar, Django(database, bench.directory) as django:
        if sidecar.expect(status, STATS, cookie) != django.expect(status, STATS, cookie):
            raise WrongAnswer(f"the sidecar's {what} are not Django's on {database.label}")
        for number in connections:
            plural = "connection" if number == 1 else "connections"
            title = f"{what}, {number} {plural}"
            say(f"{title}: {database.label}")
            figure = Figure("load", title, "/s", database.label, database.users, is_rate=True)
            for turn in range(bench.rounds):
                for contender, server in ((SIDECAR, sidecar), (DJANGO, django)):
                    if turn == 0:
                        measure.wrk(server, cookie, number, 1, status)
                        measure.settle(server)
                    seen = measure.wrk(server, cookie, number, bench.seconds, status)
                    figure.add(contender, seen.rate, p50_ms=seen.p50, p99_ms=seen.p99)
                    measure.settle(server)
            yield figure


def passwords(bench):
    """One password of Django 5.2's default cost; Django computes it with Python's hashlib."""
    say("passwords")
    figure = Figure("passwords", f"PBKDF2-SHA256, {ITERATIONS:,} rounds", "ms", note="Django: Python's hashlib")
    for _ in range(bench.rounds):
        done = subprocess.run([bench.passwords_program()], check=True, capture_output=True, text=True)
        figure.add(SIDECAR, float(done.stdout))
        started = time.perf_counter()
        hashlib.pbkdf2_hmac("sha256", b"correct horse battery staple", b"benchmarkbenchmarkbench", ITERATIONS)
        figure.add(DJANGO, 1000 * (time.perf_counter() - started))
    yield figure


def process(bench):
    """From launch to first answer, memory at rest, size of the program."""
    database = bench.first_database()
    say(f"process: {database.label}")
    about = (database.label, database.users)
    start = Figure("process", "start-up", "ms", *about, note="to /healthz; Django: to a first 403")
    idle = Figure("process", "idle memory", "MiB", *about, note=f"Django: gunicorn and {contenders.WORKERS} workers")
    makers = ((SIDECAR, bench.sidecar), (DJANGO, lambda chosen: Django(chosen, bench.directory)))
    for _ in range(bench.rounds):
        for contender, make in makers:
            with make(database) as server:
                start.add(contender, 1000 * server.start_seconds)
                whole, anonymous = idle_memory(server)
                idle.add(contender, whole, anonymous_MiB=anonymous)
    yield start
    yield idle
    size = Figure("process", "binary size", "MiB")
    size.add(SIDECAR, bench.binary.stat().st_size / 2**20)
    yield size


def compression(bench):
    """One export in every content coding: time, bytes of the body on the wire, the sidecar's processor time."""
    database = bench.first_database()
    say(f"compression: {database.label}")
    figures = {
        coding: Figure("compression", f"whole export, {coding}", "ms", database.label, database.users)
        for coding in CODINGS
    }
    with Django(database, bench.directory) as django:
        expected = measure.digest(django, ADMIN)
    with bench.sidecar(database) as server:
        for coding in CODINGS:
            if measure.digest(server, ADMIN, "--compressed", "--header", f"Accept-Encoding: {coding}") != expected:
                raise WrongAnswer(f"the sidecar's export as {coding} is not Django's: {server.last_words()}")
        for _ in range(bench.rounds):
            for coding, figure in figures.items():
                before = measure.cpu(server.processes())
                (download,) = measure.downloads(server, ADMIN, "--header", f"Accept-Encoding: {coding}")
                spent = measure.cpu(server.processes()) - before
                figure.add(SIDECAR, download.milliseconds, wire_MiB=download.size / 2**20, CPU_ms=spent)
                if download.coding != coding:
                    figure.note = f"answered as {download.coding}"
    yield from figures.values()


SCENARIOS = {scenario.__name__: scenario for scenario in (export, stats, session, passwords, process, compression)}
