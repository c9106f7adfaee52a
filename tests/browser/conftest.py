"""A sidecar over a database of its own, and a browser."""

import base64
import hashlib
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
for directory in (HERE.parent / "differential", HERE.parent, HERE):
    sys.path.insert(0, str(directory))

import servers  # noqa: E402

PASSWORD = "correct horse"
# Names that would break a page or a table.
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "=1+1", "a%b_c", "\u202eright", "\U0001f600"]


def encoded(password):
    """As Django encodes it, with one iteration."""
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 1)
    return f"pbkdf2_sha256$1$salt${base64.b64encode(digest).decode()}"


def fill(path):
    database = sqlite3.connect(path)
    database.executescript((REPOSITORY / "schema" / "sqlite.sql").read_text())
    people = [("admin", 1, 0, 0, "2020-01-01"), ("clerk", 0, 0, 0, "2020-01-01")]
    people += [
        (name, 0, 1, number % 2, f"{2021 + number // 12}-{number % 12 + 1:02}-03")
        for number, name in enumerate([*HOSTILE, "x" * 150, *(f"user{n:02}" for n in range(43))])
    ]
    database.executemany(
        "INSERT INTO auth_user (username, is_staff, is_tv_user, is_movie_user, date_joined, password, is_superuser, "
        "first_name, last_name, email, is_active) VALUES (?, ?, ?, ?, ?, ?, 0, ?, 'Last', ?, 1)",
        [
            (name, staff, tv, movie, f"{day} 10:00:00", encoded(PASSWORD), name[:30], f"{number}@example.com")
            for number, (name, staff, tv, movie, day) in enumerate(people)
        ],
    )
    database.commit()
    database.close()


@pytest.fixture
def sidecar():
    """Starts one with these settings on top of login; all are stopped in the end."""
    started = []
    with tempfile.TemporaryDirectory(prefix="people-") as directory:
        path = Path(directory) / "db.sqlite3"
        fill(path)

        def start(**settings):
            settings = {"SIDECAR_LOGIN": "on", "SIDECAR_LOGIN_RATE": "off"} | settings
            variant = servers.Variant(f"people-{len(started)}", sidecar=settings)
            started.append(servers.Sidecar(variant, f"sqlite:///{path}", directory))
            started[-1].database = path
            started[-1].url = f"http://127.0.0.1:{started[-1].port}"
            return started[-1]

        yield start
        for one in started:
            one.stop()


@pytest.fixture
def browser():
    """Makes a headless Chromium; its downloads go to `downloads`."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium or chromedriver is missing")
    # Nothing of Selenium's own goes to the network.
    os.environ |= {"SE_OFFLINE": "true", "SE_AVOID_STATS": "true"}
    from selenium import webdriver

    made = []
    with tempfile.TemporaryDirectory(prefix="browser-") as directory:

        def make(has_scripts=True):
            options = webdriver.ChromeOptions()
            options.binary_location = shutil.which("chromium")
            for flag in (
                "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync",
                "disable-background-networking", "disable-component-update", f"user-data-dir={directory}/{len(made)}",
            ):
                options.add_argument(f"--{flag}")
            preferences = {"download.default_directory": directory}
            if not has_scripts:
                preferences["profile.managed_default_content_settings.javascript"] = 2
            options.add_experimental_option("prefs", preferences)
            options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
            service = webdriver.ChromeService(shutil.which("chromedriver"))
            driver = webdriver.Chrome(options=options, service=service)
            driver.downloads = Path(directory)
            made.append(driver)
            return driver

        yield make
        for driver in made:
            driver.quit()
