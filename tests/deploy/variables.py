"""Writes the variables into deploy/sidecar.env.example and the manual page, from `serve --help`.

`python3 tests/deploy/variables.py PROGRAM` writes both; test_packages.py compares.
"""

import re
import subprocess
import sys
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
EXAMPLE = DEPLOY / "sidecar.env.example"
MANUAL = DEPLOY / "watchtower-sidecar.8"
HEAD = """\
# Every variable of the sidecar, each with its default, or with an example where it has none. deploy/django-settings.py
# writes the right ones for a Django project. systemd and shells read this form; docker's --env-file takes the quotes as
# part of the value. NAME_FILE names a file that holds NAME, where it says so.
"""
VARIABLE = re.compile(
    r"^  (?P<name>[A-Z0-9_]+)\n      (?P<meaning>.*) "
    r"\((?:default: (?P<default>.*?)|no default; for example (?P<example>.*?))"
    r"(?P<file>; or \w+_FILE, a file that holds it)?\)$",
    re.MULTILINE,
)


def variables(program):
    """The variables of `serve --help`, each a dictionary of the groups above."""
    text = subprocess.run([program, "serve", "--help"], check=True, capture_output=True, text=True).stdout
    found = [match.groupdict() for match in VARIABLE.finditer(text)]
    names = re.findall(r"^  ([A-Z0-9_]+)$", text, re.MULTILINE)
    if not found or [variable["name"] for variable in found] != names:
        raise ValueError("`serve --help` has another form than this script reads")
    return found


def quoted(value):
    """A value as systemd's EnvironmentFile= and a shell both read it."""
    return value if re.fullmatch(r"[\w./:,@-]*", value) else f"'{value}'"


def example(found):
    paragraphs = [HEAD]
    for variable in found:
        also = f" Or {variable['name']}_FILE." if variable["file"] else ""
        value = variable["default"] if variable["default"] is not None else variable["example"]
        paragraphs.append(f"# {variable['meaning']}.{also}\n#{variable['name']}={quoted(value)}\n")
    return "\n".join(paragraphs)


def roff(text):
    text = text.replace("\\", "\\\\").replace("-", "\\-").replace("'", "\\(aq")
    # JSON may be broken behind a comma.
    return text.replace(',"', ',\\:"')


def manual(found, page):
    """The page with these variables in it."""
    entries = ""
    for variable in found:
        if variable["default"] is None:
            value = f"No default; for example \"{variable['example']}\"."
        else:
            value = f"Default: {variable['default'] or 'empty'}."
        also = f" Or {variable['name']}_FILE." if variable["file"] else ""
        entries += f".TP\n.B {variable['name']}\n{roff(variable['meaning'])}. {roff(value)}{also}\n"
    begin, end = '.\\" variables\n', '.\\" end of variables\n'
    before, rest = page.split(begin)
    return before + begin + entries + end + rest.split(end)[1]


if __name__ == "__main__":
    told = variables(sys.argv[1])
    EXAMPLE.write_text(example(told))
    MANUAL.write_text(manual(told, MANUAL.read_text()))
