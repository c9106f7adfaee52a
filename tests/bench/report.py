"""The figures as one Markdown table, as JSON, and between the marks in docs/performance.md."""

import json
from statistics import median

from figures import CLIENT, DJANGO, SIDECAR

HEADINGS = (
    "measured", "database", "users", "sidecar", "Django", "database client", "sidecar / client", "gain over Django"
)
# Columns of numbers
TO_THE_RIGHT = range(2, len(HEADINGS))
MARKS = ("<!-- benchmark -->", "<!-- /benchmark -->")
LEGEND = (
    "Medians of {rounds} runs in turn, unless a cell says otherwise. *sidecar / client*: the sidecar's time as a "
    "multiple of the client's. *gain over Django*: how many times faster, smaller, or more requests a second."
)


def markdown(report):
    """The whole report: where and how it was measured, and the table."""
    machine, versions = report["machine"], report["versions"]
    place = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {report['date']}"
    lines = [
        f"`{report['command']}`",
        f"on {place}; " + ", ".join(f"{name} {number}" for name, number in versions.items()) + ".",
        LEGEND.format(rounds=report["rounds"]),
        "",
        *table([cells(figure, report["rounds"]) for figure in report["figures"]]),
    ]
    return "\n".join(lines) + "\n"


def table(rows):
    rows = [HEADINGS, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    marks = ["-" * (width - 1) + ":" if column in TO_THE_RIGHT else "-" * width for column, width in enumerate(widths)]
    lines = []
    for row in (rows[0], marks, *rows[1:]):
        padded = [
            text.rjust(width) if column in TO_THE_RIGHT else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths))
        ]
        lines.append(f"| {' | '.join(padded)} |")
    return lines


def cells(figure, rounds):
    what = f"{figure.what} ({figure.note})" if figure.note else figure.what
    return (
        what,
        figure.database,
        f"{figure.users:,}" if figure.users else "",
        *(cell(figure, contender, rounds) for contender in (SIDECAR, DJANGO, CLIENT)),
        multiple(figure.of_client),
        multiple(figure.gain),
    )


def cell(figure, contender, rounds):
    """A contender's median, and in brackets what else its runs showed."""
    samples = figure.samples.get(contender)
    if not samples:
        return ""
    further = [beside(name, median(values)) for name, values in figure.beside.get(contender, {}).items()]
    if 1 == len(samples) < rounds and figure.unit == "ms":
        further.append("one run")
    return with_unit(median(samples), figure.unit) + (f" ({', '.join(further)})" if further else "")


def beside(name, value):
    label, _, unit = name.rpartition(" ")
    return f"{label} {with_unit(value, unit)}"


def with_unit(value, unit):
    if unit == "ms" and value >= 10_000:
        value, unit = value / 1000, "s"
    return f"{number(value)}{unit if unit == '/s' else f' {unit}'}"


def number(value):
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def multiple(value):
    return "" if value is None else f"{number(value)} x"


def write_json(report, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = [figure.as_json() for figure in report["figures"]]
    path.write_text(json.dumps(report | {"figures": figures}, indent=2, ensure_ascii=False) + "\n")


def around_the_table(document):
    """The document's text before and after the table, marks included."""
    before, start, rest = document.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (start and end):
        raise ValueError(f"{document.name} has no {MARKS[0]} and {MARKS[1]}")
    return before + start, end + after


def update_document(document, text):
    before, after = around_the_table(document)
    document.write_text(f"{before}\n{text}{after}")
