"""Where and with what the figures were measured."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from support import clusters
from support.environments import REPOSITORY


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal: *(\d+) kB", Path("/proc/meminfo").read_text())
    return {
        "cores": os.cpu_count(),
        "cpu": cpu[1] if cpu else platform.machine(),
        "memory_gib": round(int(memory[1]) / 2**20, 1),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions():
    """What was compared, by name."""
    return {
        "watchtower-sidecar": commit(),
        "PostgreSQL": first_number(str(clusters.postgres_programs() / "postgres"), "--version"),
        "MariaDB": first_number(clusters.program("mariadbd"), "--no-defaults", "--version"),
        "sqlite3": first_number("sqlite3", "--version"),
        "Django": version("django"),
        "DRF": version("djangorestframework"),
        "gunicorn": version("gunicorn"),
        "Python": platform.python_version(),
    }


def first_number(*command):
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.search(r"\d+(\.\d+)+", output.replace("Ver 15.1 Distrib", ""))[0]


def commit():
    """The checkout's commit, and whether it was changed since."""
    command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty=-changed", "--abbrev=10"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
