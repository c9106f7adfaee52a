"""axe finds no violation and no scrolling sideways, in each state of the page, dark and light, wide and narrow."""

import importlib.util
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from browser.page import log_in, search

AXE = Path(importlib.util.find_spec("axe_core_python").origin).parent / "axe.min.js"


def look(driver, width, scheme):
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def require_accessible(driver, state):
    driver.execute_script(AXE.read_text())
    for scheme in ("light", "dark"):
        for width in (375, 1280):
            look(driver, width, scheme)
            found = driver.execute_async_script("axe.run().then(arguments[0])")
            wrong = [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in found["violations"]]
            assert not wrong, f"{state}, {scheme}, {width}: {wrong}"
            assert len(found["passes"]) > 10
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width, f"{state}, {width}"


@pytest.mark.parametrize("state", ["login", "refused", "overview", "no-results", "linked"])
def test_axe_finds_nothing(sidecar, browser, state):
    url = sidecar(SIDECAR_LOGIN="off" if state == "linked" else "on").url
    driver = browser()
    driver.get(f"{url}/api/admin/")
    if state == "refused":
        log_in(driver, url, name="clerk")
    elif state in ("overview", "no-results"):
        log_in(driver, url)
    if state == "overview":
        driver.find_element(By.CSS_SELECTOR, "#joined summary").click()
    elif state == "no-results":
        search(driver, "nobody-has-this")
    require_accessible(driver, state)
