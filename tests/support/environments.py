"""The Python environments: one per Django version, kept under target/ and rebuilt when their requirements change.

Django 6.x needs Python 3.12 or newer, which Debian 12 does not have; pyenv's is used where it is installed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
REPOSITORY = TESTS.parent
REQUIREMENTS = TESTS / "django_project" / "requirements"

# The oldest and the newest Python that each Django takes; the newest is unbounded where None.
VERSIONS = {
    "4.0": ((3, 8), (3, 11)),
    "4.2": ((3, 8), (3, 12)),
    "5.2": ((3, 10), None),
    "6.1": ((3, 12), None),
}
# The Django version of the environment in which the tests run.
SUITE = "5.2"


class Unavailable(Exception):
    """A server, a program or an environment that this machine does not have; the text says why."""


def target_directory():
    return Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")


def binary():
    """The program under test: SIDECAR_BINARY, or what `cargo build` made."""
    return os.environ.get("SIDECAR_BINARY") or str(target_directory() / "debug" / "watchtower-sidecar")


def python_version(program):
    """(major, minor) of a Python, or None if it can't be run."""
    code = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run([program, "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if answer.returncode != 0:
        return None
    major, minor = answer.stdout.split()
    return int(major), int(minor)


def candidates():
    """Pythons that may be on this machine, the system's first."""
    yield sys.executable
    yield "/usr/bin/python3"
    for minor in (13, 12, 14, 11, 10):
        found = shutil.which(f"python3.{minor}")
        if found:
            yield found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for path in sorted(root.glob("3.1[0-9]*/bin/python"), key=pyenv_order, reverse=True):
        yield str(path)


def pyenv_order(path):
    return tuple(int(number) for number in re.findall(r"\d+", path.parent.parent.name)[:3])


def find_python(django):
    oldest, newest = VERSIONS[django]
    for program in candidates():
        version = python_version(program)
        if version and version >= oldest and (newest is None or version <= newest):
            return program
    wanted = f"Python {oldest[0]}.{oldest[1]}" + (" or newer" if newest is None else f" to {newest[0]}.{newest[1]}")
    raise Unavailable(f"Django {django} needs {wanted} with venv, and none is installed")


def digest(django):
    text = b"".join((REQUIREMENTS / name).read_bytes() for name in ("common.txt", f"{django}.txt"))
    return hashlib.sha256(text).hexdigest()[:16]


def environment(django):
    """The python of the environment for a Django version; makes the environment if it is missing or outdated."""
    directory = target_directory() / "python" / django
    python = directory / "bin" / "python"
    stamp = directory / "requirements.sha256"
    if stamp.is_file() and stamp.read_text() == digest(django) and python_version(python):
        return python
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    print(f"making the Python environment for Django {django}", file=sys.stderr, flush=True)
    run([find_python(django), "-m", "venv", directory])
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS / f"{django}.txt"])
    stamp.write_text(digest(django))
    return python


def programs(name, packages):
    """The directory of the commands of these PyPI packages, in an environment of this name that is made if needed."""
    directory = target_directory() / "python" / name
    stamp = directory / "packages.txt"
    wanted = "\n".join(packages)
    if not (stamp.is_file() and stamp.read_text() == wanted):
        shutil.rmtree(directory, ignore_errors=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
        run([find_python("4.2"), "-m", "venv", directory])
        run([directory / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
        stamp.write_text(wanted)
    return directory / "bin"


def run(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        command = " ".join(str(word) for word in command)
        raise Unavailable(f"`{command}` failed: {(done.stderr or done.stdout).strip()[-2000:]}")


if __name__ == "__main__":
    # For shell scripts.
    print(environment(SUITE))
