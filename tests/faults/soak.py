"""A steady mix of requests for minutes: every answer is as expected; threads, descriptors and memory do not grow.

Run by tests/faults/soak, and for a minute by test_soak.py. 200 requests a second, however long the answers take, and an
export every ten seconds. Failed logins are not limited, as some fail on purpose; all other limits have their defaults.
"""

import argparse
import itertools
import math
import re
import signal
import sys
import threading
import time
from dataclasses import dataclass, field

from faults.endurance import MOST_CONNECTIONS
from support import clusters
from support.client import Client
from support.load import judge
from support.scenario import REQUESTS, Scenario, logout_request, stop_shared_servers

RATE = 200
CLIENTS = 16
EXPORT_SECONDS = 10
WARM_UP_SECONDS = 25
# tokio's blocking pool ends an idle thread after ten seconds.
REST_SECONDS = 12
MOST_DRIFT_KIB = 8 * 1024
USERS = 10_000

# One second's requests; the rest are statistics.
SECOND = ["basic"] * 2 + ["wrong password"] * 2 + ["login"] * 2 + ["readyz", "healthz"]
SECOND += ["unknown session"] * 32 + ["anonymous"] * 60
SECOND += ["stats"] * (RATE - len(SECOND))
# Spread over the second: 73 has no divisor in common with 200.
SECOND = [SECOND[number * 73 % RATE] for number in range(RATE)]


@dataclass
class Mix:
    """Sends the mix at its pace; notes the times of the answers, and sentences on unexpected ones."""

    port: int
    seconds: list = field(default_factory=list)
    unexpected: list = field(default_factory=list)
    exports: int = 0

    def run(self, duration, watch=lambda: None):
        """Sends requests for `duration` seconds, and calls `watch` every half second."""
        self.began = time.monotonic()
        self.slots = itertools.count()
        self.lock = threading.Lock()
        self.total = int(duration * RATE)
        threads = [threading.Thread(target=self.client, args=[number % 2 == 0]) for number in range(CLIENTS)]
        threads.append(threading.Thread(target=self.exporter, args=[duration]))
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            watch()
            time.sleep(0.5)

    def client(self, keeps):
        client = Client(self.port, keeps)
        while True:
            with self.lock:
                slot = next(self.slots)
            if slot >= self.total:
                client.close()
                return
            time.sleep(max(0, self.began + slot / RATE - time.monotonic()))
            self.ask(client, SECOND[slot % RATE])

    def exporter(self, duration):
        client = Client(self.port, keeps=False)
        for number in range(math.ceil(duration / EXPORT_SECONDS)):
            time.sleep(max(0, self.began + number * EXPORT_SECONDS - time.monotonic()))
            self.ask(client, "export")
            self.exports += 1

    def ask(self, client, caller):
        answer = self.checked(client, caller, *REQUESTS[caller])
        if caller == "login" and answer:
            key = re.search(r"sessionid=([a-z0-9]+)", answer.one("Set-Cookie"))[1]
            self.checked(client, "logout", logout_request(key), 200)

    def checked(self, client, caller, request, status):
        began = time.monotonic()
        try:
            answer = client.ask(request)
        except (OSError, AssertionError) as error:
            self.unexpected.append(f"{caller}: no answer: {error!r}")
            return None
        self.seconds.append(time.monotonic() - began)
        if answer.status == status:
            return answer
        failed = judge(caller, status, answer) or "503"
        self.unexpected.append(f"{caller}: {failed} after {self.seconds[-1]:.2f} s")
        return None


def nearest_rank(values, percent):
    values = sorted(values)
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def at_rest(scenario, most=None):
    """(threads, other descriptors, database connections) after a rest, which ends early once there are no more threads than
    in `most`. Connections are opened on demand and kept, so their descriptors are counted apart.
    """
    deadline = time.monotonic() + REST_SECONDS
    while time.monotonic() < deadline and not (most and scenario.process.threads() <= most[0]):
        time.sleep(0.5)
    connections = scenario.process.sockets()
    if scenario.kind == "sqlite":
        connections = scenario.process.open_files(scenario.database_url.removeprefix("sqlite:///"))
    return scenario.process.threads(), scenario.process.descriptors() - connections, connections


def soak(scenario, seconds, warm_up_seconds=WARM_UP_SECONDS):
    """Runs the mix; returns a line of figures, and sentences on broken promises."""
    process = scenario.process
    warm_up = Mix(scenario.sidecar.port)
    # Opens every connection that the pool may hold, before anything is counted.
    crowd = [
        threading.Thread(target=warm_up.ask, args=[Client(warm_up.port, keeps=False), caller])
        for caller in ["export"] * 4 + ["unknown session", "stats", "readyz"] * 12
    ]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    warm_up.run(warm_up_seconds)
    resting, before = at_rest(scenario), process.memory()
    samples = []
    mix = Mix(scenario.sidecar.port)
    mix.run(seconds, lambda: samples.append((process.memory(), process.threads(), process.descriptors())))
    ended = at_rest(scenario, resting)
    drift = max(memory for memory, *_ in samples[len(samples) // 2 :]) - before
    failed = warm_up.unexpected + mix.unexpected
    if drift > MOST_DRIFT_KIB:
        failed.append(f"memory grew by {drift / 1024:.1f} MiB")
    if ended[0] > resting[0] or ended[1] > resting[1] or ended[2] > MOST_CONNECTIONS:
        failed.append(f"threads, descriptors, connections at rest were {resting}, and are {ended}")
    line = (
        f"soak, {scenario.kind}, {seconds:.0f} s: {len(mix.seconds)} requests, {mix.exports} exports, "
        f"{len(mix.unexpected)} unexpected answers, p50 {1000 * nearest_rank(mix.seconds, 50):.1f} ms, "
        f"p99 {1000 * nearest_rank(mix.seconds, 99):.1f} ms, slowest {1000 * max(mix.seconds):.0f} ms; memory "
        f"{before / 1024:.1f} MiB, later {drift / 1024:+.1f}; at rest before and after: threads {resting[0]}, "
        f"{ended[0]}, descriptors {resting[1]}, {ended[1]}, database connections {resting[2]}, {ended[2]}; at most "
        f"{max(threads for _, threads, _ in samples)} threads, {max(files for *_, files in samples)} descriptors"
    )
    return line, failed


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/soak", description=__doc__.splitlines()[0])
    parser.add_argument("minutes", nargs="?", type=float, default=2, help="how long, after the warm-up (default: 2)")
    parser.add_argument("--database", choices=("postgres", "mysql", "sqlite"), default="postgres")
    options = parser.parse_args()
    # SIGTERM must also stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    try:
        with Scenario(options.database, users=USERS) as scenario:
            line, failed = soak(scenario, 60 * options.minutes)
    except clusters.Unavailable as error:
        return f"{options.database}: {error}"
    finally:
        stop_shared_servers()
    print(line, flush=True)
    for sentence in failed[:30]:
        print(f"FAILED: {sentence}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
