"""One measurement each: a command's wall time, a download by curl, a load by wrk, a process's memory and CPU time."""

import hashlib
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import EXPORT, STATS, WrongAnswer

MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}
# A server rests when a fifth of a second costs it no more than this; it is not waited for longer than that.
AT_REST_MILLISECONDS = 5
REST_SECONDS = 10
# What the kernel calls VmRSS, VmHWM, RssAnon is in units of 1024 bytes.
KIB = 1 / 1024


def wall(command, environment=None):
    """Milliseconds a command takes, its output thrown away."""
    started = time.perf_counter()
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    elapsed = 1000 * (time.perf_counter() - started)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-2000:]}")
    return elapsed


@dataclass(frozen=True)
class Download:
    milliseconds: float
    first_byte: float
    size: int
    coding: str


def curl(server, cookie, *more):
    """The command that fetches the export and prints headers, status, size and time to first byte."""
    figures = "%{http_code} %{size_download} %{time_starttransfer}"
    command = ["curl", "--silent", "--output", os.devnull, "--dump-header", "-", "--write-out", figures]
    return [*command, "--header", f"Cookie: {cookie}", *more, server.url(EXPORT)]


def downloads(server, cookie, *more, at_once=1):
    """Fetches the whole export with curl, several times at once if wanted."""
    started = time.perf_counter()
    command = curl(server, cookie, *more)
    running = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for _ in range(at_once)]
    try:
        return [downloaded(server, process.communicate()[0].decode("latin-1"), started) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()


def downloaded(server, output, started):
    elapsed = 1000 * (time.perf_counter() - started)
    head, _, figures = output.rpartition("\n")
    status, size, first_byte = figures.split()
    if status != "200":
        raise WrongAnswer(f"{server.name} answered the export with {status}: {server.last_words()}")
    coding = re.search(r"(?im)^content-encoding: *(\S+)", head)
    return Download(elapsed, 1000 * float(first_byte), int(size), coding[1] if coding else "identity")


def digest(server, cookie, *more):
    """The SHA-256 of the export as a client reads it."""
    command = ["curl", "--silent", "--fail", "--header", f"Cookie: {cookie}", *more, server.url(EXPORT)]
    found = hashlib.sha256()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        for chunk in iter(lambda: process.stdout.read(1 << 20), b""):
            found.update(chunk)
    if process.returncode != 0:
        raise WrongAnswer(f"curl failed ({process.returncode}) at {server.name}'s export: {server.last_words()}")
    return found.hexdigest()


@dataclass(frozen=True)
class Load:
    """What wrk saw: requests a second, and milliseconds."""

    rate: float
    p50: float
    p99: float


def wrk(server, cookie, connections, seconds, status):
    """Asks for the statistics from that many connections; every answer must have the status."""
    command = ["wrk", "--latency", "--timeout", "30s", f"--threads={min(2, connections)}"]
    command += [f"--connections={connections}", f"--duration={seconds}s", "--header", f"Cookie: {cookie}"]
    done = subprocess.run([*command, server.url(STATS)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    refused = int(refused[1]) if refused else 0
    errors = re.search(r"Socket errors: (.*)", done.stdout)
    if refused != (0 if status == 200 else requests):
        raise WrongAnswer(f"not every answer of {server.name} was {status}: {done.stdout}\n{server.last_words()}")
    if errors:
        raise WrongAnswer(f"connections to {server.name} failed: {errors[1]}\n{server.last_words()}")
    rate = float(re.search(r"Requests/sec: *([\d.]+)", done.stdout)[1])
    return Load(rate, percentile(50, done.stdout), percentile(99, done.stdout))


def percentile(number, output):
    value, unit = re.search(rf"^ +{number}% +([\d.]+)(us|ms|s|m)", output, re.MULTILINE).groups()
    return float(value) * MILLISECONDS[unit]


def status_sum(pids, name):
    """MiB: the sum of a line of /proc/PID/status."""
    pattern = re.compile(rf"^{name}:\s+(\d+) kB", re.MULTILINE)
    return sum(int(pattern.search(Path(f"/proc/{pid}/status").read_text())[1]) for pid in pids) * KIB


def resident(pids):
    return status_sum(pids, "VmRSS")


def anonymous(pids):
    return status_sum(pids, "RssAnon")


def peak(pids):
    """The most that was resident since `forget_peak`; of several processes, the sum of each one's most."""
    return status_sum(pids, "VmHWM")


def forget_peak(pids):
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu(pids):
    """Milliseconds of processor time so far: all threads, user and system."""
    # The clock that clock_getcpuclockid(3) names; /proc/PID/stat has the same in steps of 10 ms.
    return 1000 * sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


def settle(server):
    """Returns when nothing of an earlier load is left: its queue (first come, first served) is empty, and it rests."""
    server.request(STATS)
    deadline = time.monotonic() + REST_SECONDS
    spent, before = cpu(server.processes()), None
    while (before is None or spent - before > AT_REST_MILLISECONDS) and time.monotonic() < deadline:
        time.sleep(0.2)
        spent, before = cpu(server.processes()), spent
