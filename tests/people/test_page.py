"""The page in a real browser: log in, look, search, download, log out; with and without scripts."""

import contextlib
import csv
import io
import json
import re
import time
import urllib.error
import urllib.request

import pytest
from conftest import HOSTILE, PASSWORD
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

FIGURES = ("total_active_users", "tv_users", "movie_users", "exportable_users")


def log_in(driver, url, name="admin", password=PASSWORD):
    driver.get(f"{url}/api/admin/")
    driver.find_element(By.ID, "username").send_keys(name)
    enter(driver, driver.find_element(By.ID, "password"), password)


@contextlib.contextmanager
def next_page(driver):
    """Waits for the page that what is done within leads to: a click may return before it comes."""
    page = driver.find_element(By.TAG_NAME, "html")
    yield
    # While one page gives way to the next, chromedriver may fail to tell which of them an element belongs to.
    wait = WebDriverWait(driver, 10, ignored_exceptions=[WebDriverException])
    wait.until(expected_conditions.staleness_of(page))


def enter(driver, field, text):
    """Fills the last field of a form."""
    with next_page(driver):
        field.send_keys(text, Keys.ENTER)


def follow(driver, selector):
    """Clicks a link, or a form's button."""
    with next_page(driver):
        driver.find_element(By.CSS_SELECTOR, selector).click()


def ask(driver, url, target):
    """The API's answer to the browser's session."""
    key = driver.get_cookie("sessionid")["value"]
    request = urllib.request.Request(f"{url}/api/admin/{target}", headers={"Cookie": f"sessionid={key}"})
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def names(driver):
    return [cell.text for cell in driver.find_elements(By.CSS_SELECTOR, "#users tbody th")]


def shown(name):
    """As the page shows it: long names are cut."""
    return name if len(name) <= 60 else name[:60] + "…"


def search(driver, text):
    field = driver.find_element(By.ID, "q")
    field.clear()
    enter(driver, field, text)


def downloaded(driver, identity):
    before = set(driver.downloads.iterdir())
    driver.find_element(By.ID, identity).click()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        new = [path for path in set(driver.downloads.iterdir()) - before if path.name.startswith("watchtower-users-")]
        if new and not new[0].name.endswith(".crdownload"):
            return new[0]
        time.sleep(0.05)
    raise AssertionError(f"no file came: {list(driver.downloads.iterdir())}")


@pytest.mark.parametrize("has_scripts", [True, False])
def test_an_administrator_looks_searches_downloads_and_leaves(sidecar, browser, has_scripts):
    url = sidecar().url
    driver = browser(has_scripts)
    log_in(driver, url)
    stats = json.loads(ask(driver, url, "export-stats/"))["stats"]
    for name in FIGURES:
        element = driver.find_element(By.CSS_SELECTOR, f"#{name} data")
        assert (int(element.get_attribute("value")), element.text) == (stats[name], str(stats[name]))
    users = json.loads(ask(driver, url, "export-users/"))["users"]
    every_name = [shown(user["username"]) for user in users]
    assert names(driver) == every_name[:20]

    driver.find_element(By.CSS_SELECTOR, "#joined summary").click()
    rows = driver.find_elements(By.CSS_SELECTOR, "#joined-table tbody tr")
    numbers = [[int(cell.text) for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]
    note = driver.find_element(By.CSS_SELECTOR, "#joined figcaption").text
    earlier = int(re.fullmatch(r"Not in the chart: (\d+) joined before \w+ \d+\.", note)[1])
    assert (len(rows), sum(map(sum, numbers)) + earlier) == (36, stats["total_active_users"])

    found = names(driver)
    while driver.find_elements(By.CSS_SELECTOR, "a[rel=next]"):
        follow(driver, "a[rel=next]")
        found += names(driver)
    assert found == every_name
    follow(driver, "a[rel=prev]")
    follow(driver, "#first")
    assert names(driver) == every_name[:20]
    for text in HOSTILE:
        search(driver, text)
        assert names(driver) == [text], text
        assert driver.find_element(By.ID, "q").get_attribute("value") == text
    search(driver, "2@EXAMPLE.com")
    assert names(driver) and all(user in every_name for user in names(driver))
    search(driver, "nobody-has-this")
    assert names(driver) == [] and "nobody-has-this" in driver.find_element(By.ID, "nobody").text

    for identity, query in [
        ("download-json", "format=json"), ("download-csv", "format=csv"), ("download-csv-excel", "format=csv&bom=1"),
        ("download-ndjson", "format=ndjson"),
    ]:
        path = downloaded(driver, identity)
        assert path.read_bytes() == ask(driver, url, f"export-users/?{query}"), identity
        if identity == "download-csv":
            table = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
            assert [row["id"] for row in table] == [str(user["id"]) for user in users]
            assert [row["username"] for row in table if "1+1" in row["username"]] == ["'=1+1"]
        path.unlink()

    cookie = f"sessionid={driver.get_cookie('sessionid')['value']}"
    follow(driver, "#logout button")
    assert driver.find_element(By.ID, "login") and not driver.find_elements(By.ID, "users")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(f"{url}/api/admin/export-stats/", headers={"Cookie": cookie}))
    stays_at_home(driver, url)


def stays_at_home(driver, url):
    """Nothing was asked of another origin, and nothing failed but what was refused on purpose."""
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            assert message["params"]["request"]["url"].startswith((url, "data:", "chrome:", "blob:")), message
    complaints = [entry["message"] for entry in driver.get_log("browser")]
    assert [text for text in complaints if "status of 40" not in text] == []


def test_who_is_refused_hears_why(sidecar, browser):
    url = sidecar().url
    driver = browser()
    log_in(driver, url, password="wrong")
    assert driver.find_element(By.ID, "reason").text == "Invalid credentials"
    assert driver.find_element(By.ID, "login")
    log_in(driver, url, name="clerk")
    assert "permission" in driver.find_element(By.ID, "reason").text
    assert driver.find_element(By.ID, "caller").text == "clerk"
    assert not driver.find_elements(By.ID, "users")


def test_without_the_sidecars_login_the_applications_is_linked(sidecar, browser):
    url = sidecar(SIDECAR_LOGIN="off", DJANGO_LOGIN_URL="/admin/login/").url
    driver = browser()
    driver.get(f"{url}/api/admin/export-stats/")
    link = driver.find_element(By.ID, "login-link").get_attribute("href")
    assert link == f"{url}/admin/login/?next=%2Fapi%2Fadmin%2Fexport%2Dstats%2F"


def test_the_keyboard_reaches_everything(sidecar, browser):
    driver = browser()
    log_in(driver, sidecar().url)
    wanted = {
        element.id for element in driver.find_elements(By.CSS_SELECTOR, "a, button, input, summary") if element.is_displayed()
    }
    reached = set()
    for _ in range(len(wanted) + 5):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        element = driver.switch_to.active_element
        reached.add(element.id)
        if element.tag_name != "body":
            assert element.value_of_css_property("outline-style") != "none", element.get_attribute("outerHTML")
    assert wanted <= reached
