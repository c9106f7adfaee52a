"""Load: callers of every kind send requests during a fault, and their answers are judged.

The promise: each answer is the right one, or 503 as JSON with Retry-After. It comes within five seconds, and within 100 ms
once the sidecar knows that the database is down. Five seconds after the database's return every answer is right again.
"""

import json
import re
import statistics
import threading
import time
from dataclasses import dataclass

from support.client import Client
from support.scenario import NEED_NO_DATABASE, REQUESTS, logout_request

PATIENCE_SECONDS = 5
KNOWN_DOWN_SECONDS = 0.1
RECOVERY_SECONDS = 5
# For a busy machine: the callers share two cores with the databases and with other tests.
GRACE_SECONDS = 0.5

# One caller each: two exports at most, since only four run at a time.
CALLERS = (
    "stats", "export", "basic", "login", "stats", "readyz", "unknown session", "export", "wrong password", "stats",
    "anonymous", "healthz",
)


@dataclass
class Seen:
    """One request as its client saw it. `failed` says what is wrong with the answer, except its time."""

    caller: str
    began: float
    seconds: float
    status: int | str
    failed: str | None

    @property
    def right(self):
        return not self.failed and self.status != 503

    def __str__(self):
        return f"{self.caller} at {self.began:.2f}: {self.status} after {self.seconds:.3f} s {self.failed or ''}"


def judge(caller, right_status, answer):
    """What is wrong with the answer; None if nothing is."""
    if answer.status == right_status:
        return None
    if answer.status != 503 or caller in NEED_NO_DATABASE:
        return f"{answer.status}, expected {right_status}: {answer.body[:200]!r}"
    try:
        json.loads(answer.body)
    except ValueError:
        return f"503 without JSON: {answer.body[:200]!r}"
    if not re.fullmatch(r"\d+", answer.one("Retry-After") or ""):
        return f"503 with Retry-After {answer.one('Retry-After')}"
    return None


class Load:
    """`with Load(port) as load:` runs the callers; `load.seen` lists their requests, with times since the start."""

    def __init__(self, port, callers=CALLERS, pause_seconds=0.1):
        self.port = port
        self.callers = callers
        self.pause_seconds = pause_seconds
        self.seen = []
        self.bodies = {}
        self.ending = threading.Event()

    def __enter__(self):
        self.began = time.monotonic()
        self.threads = [
            threading.Thread(target=self.call, args=[caller, number % 2 == 0])
            for number, caller in enumerate(self.callers)
        ]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def now(self):
        return time.monotonic() - self.began

    def call(self, caller, keeps):
        client = Client(self.port, keeps)
        while not self.ending.wait(self.pause_seconds):
            answer = self.ask(client, caller, *REQUESTS[caller])
            if caller == "login" and answer and answer.status == 200:
                key = re.search(r"sessionid=([a-z0-9]+)", answer.one("Set-Cookie") or "")
                self.ask(client, "logout", logout_request(key[1]), 200)
        client.close()

    def ask(self, client, caller, request, right_status):
        began = self.now()
        try:
            answer = client.ask(request)
        except (OSError, AssertionError) as error:
            self.seen.append(Seen(caller, began, self.now() - began, "none", f"no answer: {error!r}"))
            return None
        failed = judge(caller, right_status, answer)
        if caller in ("stats", "export", "basic") and answer.status == 200:
            # No test changes a user under load, so all answers must be equal.
            if self.bodies.setdefault(request.target, answer.body) != answer.body:
                failed = "another body than before"
        self.seen.append(Seen(caller, began, self.now() - began, answer.status, failed))
        return answer

    def await_right(self, seconds=20):
        """Waits until every caller, from now on, has had a right answer."""
        since = self.now()
        wanted = set(self.callers)
        while wanted - {seen.caller for seen in list(self.seen) if seen.right and seen.began >= since}:
            assert self.now() < since + seconds, self.summary(since)
            time.sleep(0.05)

    def last(self, seconds):
        """Lets the load run for this time: what the fault does meanwhile is the test."""
        time.sleep(seconds)

    def summary(self, since=0):
        lines = [str(seen) for seen in list(self.seen) if seen.began >= since and not seen.right]
        return "\n".join([f"{len(lines)} answers were not right", *lines[:20]])


@dataclass
class Judgement:
    """The answers during one fault, which began between `began` and `begun` and ended between `ending` and `ended`."""

    seen: list
    began: float
    begun: float
    ending: float
    ended: float

    def violations(self, known_down_after=None):
        """Sentences on broken promises. After `known_down_after` seconds of the fault, 503 must come at once."""
        found = self.wrong_answers()
        limit = PATIENCE_SECONDS + GRACE_SECONDS
        found += [f"too late: {seen}" for seen in self.seen if seen.seconds > limit]
        late = self.ended + RECOVERY_SECONDS
        found += [f"not recovered: {seen}" for seen in self.seen if seen.began > late and not seen.right]
        found += [f"before the fault: {seen}" for seen in self.seen if self.before(seen) and not seen.right]
        if not any(seen.began > late for seen in self.seen):
            found.append("no request was sent after the recovery")
        if known_down_after is not None:
            found += self.slow_refusals(self.begun + known_down_after)
        return found

    def wrong_answers(self):
        """One line for each caller and mistake, with its count."""
        found = {}
        for seen in self.seen:
            if seen.failed:
                found.setdefault((seen.caller, seen.failed), []).append(seen)
        return [f"{len(same)} times, first: {same[0]}" for same in found.values()]

    def before(self, seen):
        return seen.began + seen.seconds < self.began

    def refusals(self, since):
        """The requests that began when the database was known to be down, and ended while it still was."""
        return [
            seen for seen in self.seen
            if seen.began > since and seen.began + seen.seconds < self.ending and seen.caller not in NEED_NO_DATABASE
        ]

    def slow_refusals(self, since):
        refusals = self.refusals(since)
        if not refusals:
            return ["no request got 503"]
        limit = KNOWN_DOWN_SECONDS + GRACE_SECONDS
        found = [f"known to be down, yet: {seen}" for seen in refusals if seen.seconds > limit or seen.right]
        median = statistics.median(seen.seconds for seen in refusals)
        return found + ([f"a refusal takes {median:.3f} s"] if median > KNOWN_DOWN_SECONDS else [])

    def recovery_seconds(self):
        """From the database's return to the last request that was not answered as it should be."""
        return max([seen.began - self.ended for seen in self.seen if not seen.right], default=0)

    def figures(self):
        during = [seen for seen in self.seen if self.began < seen.began < self.ending]
        right = sum(seen.right for seen in during)
        longest = max([seen.seconds for seen in self.seen], default=0)
        return (
            f"{len(self.seen)} requests, {len(during)} of them during the fault ({right} answered in full), "
            f"slowest {longest:.2f} s, recovered after {max(0, self.recovery_seconds()):.2f} s"
        )
