"""What a user does on the page, by Selenium."""

import contextlib
import time
import urllib.request

from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from browser.site import PASSWORD


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
