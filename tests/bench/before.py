"""Two builds of the sidecar side by side, in turn in one run: what a change of the code costs or gains."""

from statistics import median

from bench import measure
from bench.contenders import Sidecar, WrongAnswer
from bench.scenarios import ADMIN, PLAIN, idle_memory, say

CONNECTIONS = 8


def compare(bench, before):
    """Lines of a Markdown table; each ratio is the second build's median divided by the first one's."""
    lines = ["| measured | database | before | now | now / before |", "| --- | --- | ---: | ---: | ---: |"]
    for kind in bench.databases:
        database = bench.database(kind, bench.smallest)
        say(f"two builds: {database.label}")
        samples = measured(bench, database, (before, bench.binary))
        for what, (first, second) in samples.items():
            first, second = median(first), median(second)
            lines.append(f"| {what} | {database.label} | {first:,.2f} | {second:,.2f} | {second / first:.3f} |")
    return "\n".join(lines) + "\n"


def measured(bench, database, binaries):
    """{what: the samples of the first build, those of the second}"""
    samples = {}

    def add(what, number, value):
        samples.setdefault(what, ([], []))[number].append(value)

    for _ in range(bench.rounds):
        for number, binary in enumerate(binaries):
            with Sidecar(database, bench.directory, binary) as server:
                add("start, ms", number, 1000 * server.start_seconds)
                add("idle memory, MiB", number, idle_memory(server)[0])
    with Sidecar(database, bench.directory, binaries[0]) as first, Sidecar(database, bench.directory, binaries[1]) as second:
        servers = (first, second)
        if len({measure.digest(server, ADMIN) for server in servers}) != 1:
            raise WrongAnswer(f"the two builds' exports differ on {database.label}")
        for turn in range(bench.rounds + 1):
            for number, server in enumerate(servers):
                (download,) = measure.downloads(server, ADMIN)
                measure.settle(server)
                statistics = measure.wrk(server, ADMIN, CONNECTIONS, bench.seconds, 200)
                measure.settle(server)
                refused = measure.wrk(server, PLAIN, CONNECTIONS, bench.seconds, 403)
                measure.settle(server)
                # The first turn warms everything up.
                if turn:
                    add("export, ms", number, download.milliseconds)
                    add(f"statistics, {CONNECTIONS} connections, /s", number, statistics.rate)
                    add(f"refused session, {CONNECTIONS} connections, /s", number, refused.rate)
    return samples
