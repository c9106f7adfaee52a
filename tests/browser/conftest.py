"""Fixtures: a sidecar over its own database, and a browser."""

import os
import tempfile
from pathlib import Path

import pytest

from browser.site import fill
from support import clusters, servers


@pytest.fixture
def sidecar():
    """Starts one with these settings on top of login; all are stopped in the end."""
    started = []
    with tempfile.TemporaryDirectory(prefix="browser-") as directory:
        path = Path(directory) / "db.sqlite3"
        fill(path)

        def start(**settings):
            settings = {"SIDECAR_LOGIN": "on", "SIDECAR_LOGIN_RATE": "off"} | settings
            variant = servers.Variant(f"browser-{len(started)}", sidecar=settings)
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
    chromium, chromedriver = clusters.program("chromium"), clusters.program("chromedriver")
    # Selenium must not look for drivers or send statistics.
    os.environ |= {"SE_OFFLINE": "true", "SE_AVOID_STATS": "true"}
    from selenium import webdriver

    made = []
    with tempfile.TemporaryDirectory(prefix="browser-") as directory:

        def make(has_scripts=True):
            options = webdriver.ChromeOptions()
            options.binary_location = chromium
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
            service = webdriver.ChromeService(chromedriver)
            driver = webdriver.Chrome(options=options, service=service)
            driver.downloads = Path(directory)
            made.append(driver)
            return driver

        yield make
        for driver in made:
            driver.quit()
