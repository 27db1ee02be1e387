"""The portal in a real browser: what a customer sees."""

import os
import shutil
import time
from pathlib import Path

import pytest

from carecloud_async.sandbox import CUSTOMER_PASSWORD, FIRST_CUSTOMER_EMAIL

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1000,700",
)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser with a profile of its own, in which no script of a page runs."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


class Browser:
    """What a customer does."""

    def __init__(self, driver, portal):
        self.driver = driver
        self.portal = portal

    def open(self, path):
        self.driver.get(self.portal + path)

    @property
    def path(self):
        return self.driver.current_url.removeprefix(self.portal)

    def sees(self, css, text):
        """Wait for a text: a click only begins to load the next page."""
        deadline = time.monotonic() + 60
        while text not in (seen := self._texts(css)):
            assert time.monotonic() < deadline, f"{seen} instead of {text!r}"
            time.sleep(0.02)
        return True

    def _texts(self, css):
        from selenium.common.exceptions import WebDriverException

        try:
            return [element.text for element in self.driver.find_elements("css selector", css)]
        except WebDriverException as error:  # the page went away while we looked: said in more than one way
            return [f"nothing ({type(error).__name__})"]

    def log_in(self, password):
        for name, value in (("email", FIRST_CUSTOMER_EMAIL), ("password", password)):
            entry = self.driver.find_element("name", name)
            entry.clear()
            entry.send_keys(value)
        self.driver.find_element("css selector", "form[action='/login'] button").click()

    def log_out(self):
        self.driver.find_element("css selector", "form[action='/logout'] button").click()

    def picture(self, name):
        """Take a picture, if the environment names a folder for them."""
        folder = os.environ.get("PORTAL_PICTURES")
        if folder:
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.fixture
def browser(chromium, portal):
    chromium.delete_all_cookies()
    return Browser(chromium, portal)


def test_a_visit(browser):
    """A wrong password says so; the right one shows the profile; the logout ends it, also for the back button."""
    browser.open("/")
    assert browser.sees("h1", "Log in")
    browser.picture("1-login")
    browser.log_in("wrong")
    assert browser.sees(".error", "The e-mail or the password is wrong.")
    browser.picture("2-wrong")
    browser.log_in(CUSTOMER_PASSWORD)
    assert browser.sees("h1", "John Smith")
    assert browser.path == "/profile"
    assert browser.sees("dd", FIRST_CUSTOMER_EMAIL)
    browser.picture("3-profile")
    browser.log_out()
    assert browser.sees("h1", "Log in")
    browser.driver.back()
    assert browser.sees("h1", "Log in")
    browser.open("/profile")
    assert browser.path == "/login"


def test_a_token_that_is_revoked(browser, sandbox):
    """A token revoked at the server leads back to the login page, and from there in again."""
    browser.open("/login")
    browser.log_in(CUSTOMER_PASSWORD)
    assert browser.sees("h1", "John Smith")
    sandbox.revoke_all()
    browser.open("/profile")
    assert browser.sees(".notice", "You have been logged out. Please log in again.")
    browser.picture("4-revoked")
    browser.log_in(CUSTOMER_PASSWORD)
    assert browser.sees("h1", "John Smith")


def test_carecloud_is_away(browser, sandbox):
    """When CareCloud fails, a page says that it is not the customer's fault."""
    browser.open("/login")
    browser.log_in(CUSTOMER_PASSWORD)
    assert browser.sees("h1", "John Smith")
    sandbox.faults.add("GET /customers", status=403)
    browser.open("/profile")
    assert browser.sees("h1", "Not available")
    browser.picture("5-failed")
