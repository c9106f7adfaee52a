"""Prints Markdown tables: password floods, whether timing tells that a user exists, outages, the cost of a request.

Run by tests/faults/measure on an idle machine with a release build (SIDECAR_BINARY). Passwords cost what Django 5.2
makes them cost: a million iterations. Another process sends the flood, so that it does not slow the measuring client.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from faults import costs
from faults.soak import nearest_rank
from support import django_sessions, passwords, wire
from support.client import Client
from support.scenario import ADMIN, ADMIN_KEY, REQUESTS, Scenario, login_request, stop_shared_servers

ITERATIONS = 1_000_000
FLOOD_CLIENTS, FLOOD_SECONDS = 32, 6
# As the sidecar's 503 says.
RETRY_AFTER_SECONDS = 5
FLOODS = {
    "Basic": wire.get(wire.STATS, auth=passwords.basic(ADMIN, "wrong")),
    "login": login_request("wrong"),
}
RIGHT = REQUESTS["basic"][0]
COOKIE = REQUESTS["stats"][0]
# Rows of users who can't log in with the password that is tried, beside the known one; Django's own costs.
ROWS = {
    "inactive": lambda: passwords.pbkdf2(iterations=ITERATIONS),
    "unusable": lambda: "!" + "x" * 40,
    "half": lambda: passwords.pbkdf2(iterations=ITERATIONS // 2),
    "argon2": lambda: passwords.argon2(memory=102_400, time=2, lanes=8),
    "bcrypt": lambda: passwords.bcrypt_sha256(rounds=12),
    "scrypt": lambda: passwords.scrypt(n=1 << 14, r=8, p=5),
}


class Costly(Scenario):
    """Passwords that cost what Django makes them cost, and a row of each kind."""

    def before_start(self):
        self.settings["DJANGO_PBKDF2_ITERATIONS"] = str(ITERATIONS)
        known = passwords.pbkdf2(iterations=ITERATIONS)
        self.execute(f"UPDATE auth_user SET password = '{known}' WHERE id = 1")
        session = django_sessions.session_data(django_sessions.login_data(1, known))
        self.execute(f"UPDATE django_session SET session_data = '{session}' WHERE session_key = '{ADMIN_KEY}'")
        for number, (name, encoded) in enumerate(ROWS.items(), start=3):
            self.execute(
                f"UPDATE auth_user SET username = '{name}', password = '{encoded()}', is_staff = TRUE, "
                f"is_active = {name != 'inactive'} WHERE id = {number}"
            )


def timed(client, request):
    began = time.perf_counter()
    status = client.ask(request).status
    return status, time.perf_counter() - began


def flood(port, name, patient):
    """Wrong passwords from many clients at once; prints [status, seconds] of each answer. Patient clients honour Retry-After."""
    answers = []
    deadline = time.monotonic() + FLOOD_SECONDS

    def keep_on():
        client = Client(port, keeps=True)
        while time.monotonic() < deadline:
            answers.append(timed(client, FLOODS[name]))
            if patient and answers[-1][0] == 503:
                time.sleep(min(RETRY_AFTER_SECONDS, max(0, deadline - time.monotonic())))

    threads = [threading.Thread(target=keep_on) for _ in range(FLOOD_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(answers))


def milliseconds(seconds):
    return f"{1000 * seconds:.1f} ms"


def floods(name, patient=False):
    """Rows of the table: what others notice of a flood."""
    with Costly() as scenario:
        port = scenario.sidecar.port
        client = Client(port, keeps=True)
        quiet = [timed(client, COOKIE)[1] for _ in range(300)]
        command = [sys.executable, __file__, "--flood", name, "--port", str(port), *["--patient"] * patient]
        output = tempfile.TemporaryFile()
        process = subprocess.Popen(command, stdout=output)
        seen = []
        while process.poll() is None:
            seen.append(timed(client, COOKIE))
            time.sleep(0.01)
        ended = time.monotonic()
        while timed(client, RIGHT)[0] != 200:
            time.sleep(0.05)
        recovered = time.monotonic() - ended
        output.seek(0)
        answers = json.load(output)
    refused = [seconds for status, seconds in answers if status == 503]
    checked = [seconds for status, seconds in answers if status in (401, 403)]
    others = sorted({status for status, _ in answers} - {401, 403, 503})
    wrong = sorted({status for status, _ in seen} - {200})
    again = "retried after Retry-After" if patient else "retried at once"
    what = f"{FLOOD_CLIENTS} parallel wrong passwords ({name}) for {FLOOD_SECONDS} s, {again}"
    times = [seconds for _, seconds in seen]
    yield (
        f"{what}: cookie requests", "p99 at most 50 ms",
        f"p50 {milliseconds(nearest_rank(times, 50))}, p99 {milliseconds(nearest_rank(times, 99))} "
        f"({len(times)} requests, statuses but 200: {wrong or 'none'}; without a flood p99 "
        f"{milliseconds(nearest_rank(quiet, 99))})"
    )
    refusals = "none" if not refused else (
        f"p50 {milliseconds(nearest_rank(refused, 50))}, p99 {milliseconds(nearest_rank(refused, 99))}"
    )
    yield (
        f"{what}: its refusals (503), seen from among its clients", "held back 50 ms",
        f"{refusals} ({len(refused)} refused, {len(checked)} checked, other statuses: {others or 'none'})"
    )
    yield f"{what}: a right password works again", "within 5 s", f"{recovered:.2f} s after its end"


def telling(pairs):
    """Rows of the table: a known user's wrong password against others, one pair after another."""
    with Costly() as scenario:
        client = Client(scenario.sidecar.port, keeps=True)
        wrong = {name: wire.get(wire.STATS, auth=passwords.basic(name, "wrong")) for name in (ADMIN, "nobody", *ROWS)}
        # Each kind has been seen once, as on a server that has run for a while.
        for request in wrong.values():
            timed(client, request)
        for name in ("nobody", *ROWS):
            known, other = [], []
            for number in range(pairs):
                turns = [(known, ADMIN), (other, name)]
                for times, who in turns if number % 2 else reversed(turns):
                    status, seconds = timed(client, wrong[who])
                    if status != 403:
                        raise RuntimeError(f"{who}: {status}")
                    times.append(seconds)
            known, other = statistics.median(known), statistics.median(other)
            what = "unknown" if name == "nobody" else name
            yield (
                f"a wrong password, {what} against a known user, {pairs} pairs", "within 5 %",
                f"{milliseconds(other)} against {milliseconds(known)}: {100 * (other / known - 1):+.2f} %"
            )


def outages():
    """Rows of the table: what a refusal costs while the database is known to be away, and how soon it is back."""
    for fault, lasts in (("refuse", 5), ("swallow", 10)):
        with Scenario(proxied=True) as scenario:
            client = Client(scenario.sidecar.port, keeps=True)
            timed(client, COOKIE)
            getattr(scenario.proxy, fault)()
            began = time.monotonic()
            longest, times = 0, []
            while time.monotonic() < began + lasts:
                seconds = timed(client, COOKIE)[1]
                longest = max(longest, seconds)
                times.append(seconds)
                time.sleep(0.01)
            scenario.proxy.heal()
            healed = time.monotonic()
            while timed(client, COOKIE)[0] != 200:
                time.sleep(0.01)
            yield (
                f"database gone ({fault}): answers", "within 5 s; 100 ms once known",
                f"longest {longest:.2f} s, then p50 {milliseconds(nearest_rank(times, 50))}"
            )
            yield f"database back ({fault})", "within 5 s", f"{time.monotonic() - healed:.2f} s"


def requests():
    """The table of what a request costs."""
    print("\n| input | at its most expensive | answer | processor | 200 at once, above idle |\n| --- | --- | ---: | ---: | ---: |")
    with costs.Costs() as scenario:
        for what, how, status, milliseconds, mebibytes in costs.all_costs(scenario, times=100):
            print(f"| {what} | {how} | {status} | {milliseconds:.2f} ms | {mebibytes:.1f} MiB |", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/measure", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200, help="pairs of wrong passwords for each kind of row")
    parser.add_argument("--requests", action="store_true", help="only what a request may cost")
    parser.add_argument("--flood", choices=FLOODS, help=argparse.SUPPRESS)
    parser.add_argument("--patient", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flood:
        flood(options.port, options.flood, options.patient)
        return
    # SIGTERM must also stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    if options.requests:
        requests()
        return
    print("| measured | promised | found |\n| --- | --- | --- |", flush=True)
    try:
        for rows in (floods("Basic"), floods("Basic", patient=True), floods("login"), outages(), telling(options.pairs)):
            for row in rows:
                print(f"| {' | '.join(row)} |", flush=True)
        requests()
    finally:
        stop_shared_servers()


if __name__ == "__main__":
    main()
