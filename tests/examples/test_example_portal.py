"""The portal, as it stands, without a browser: forms, cookie, forged requests."""

import base64
import re
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from portal_server import EXAMPLES

from carecloud_async import ConfigurationError
from carecloud_async.sandbox import CUSTOMER_PASSWORD, FIRST_CUSTOMER_EMAIL, FIRST_CUSTOMER_ID

KEY = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


ADDRESSES = iter(range(1, 200))


def browser(portal, **options):
    """Return a browser at an address of its own, as uvicorn hears from a proxy on this machine."""
    return httpx.Client(base_url=portal, headers={"X-Forwarded-For": f"192.0.2.{next(ADDRESSES)}"}, **options)


@pytest.fixture
def http(portal):
    with browser(portal, follow_redirects=True) as http:
        yield http


def log_in(http, email=FIRST_CUSTOMER_EMAIL, password=CUSTOMER_PASSWORD):
    token = KEY.search(http.get("/login").text)[1]
    return http.post("/login", data={"form_token": token, "email": email, "password": password})


def test_the_way_in_and_out(http, sandbox):
    """Login, profile, logout; afterwards the profile leads to the login page, and the token is dead."""
    name = {"first_name": "John", "last_name": "Smith"}  # another test may have changed it
    sandbox.customers.update(FIRST_CUSTOMER_ID, {"personal_information": name})
    assert http.get("/profile").url.path == "/login"
    answer = log_in(http)
    assert (answer.status_code, answer.url.path) == (200, "/profile")
    assert "John Smith" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    before = sandbox.count("POST /tokens/{token_id}/actions/logout")
    out = http.post("/logout", data={"form_token": KEY.search(answer.text)[1]})
    assert out.url.path == "/login"
    assert sandbox.count("POST /tokens/{token_id}/actions/logout") == before + 1
    assert http.get("/profile").url.path == "/login"


def test_the_cookie_holds_a_key_alone(http, sandbox):
    """The cookie is not for scripts, holds a random key, and gets a new one with the login."""
    first = http.get("/login").headers["set-cookie"]
    assert "httponly" in first.lower()
    assert "samesite=lax" in first.lower()
    before = http.cookies["portal"]
    log_in(http)
    after = http.cookies["portal"]
    keys = []
    for cookie in (before, after):
        payload = base64.b64decode(cookie.partition(".")[0])
        keys.append(re.fullmatch(rb'\{"key": ?"([\w-]{43})"\}', payload)[1])
    assert keys[0] != keys[1]
    tokens = {request.token for request in sandbox.requests if request.token}
    assert not any(token in after for token in tokens)


@pytest.mark.parametrize(("email", "password"), [(FIRST_CUSTOMER_EMAIL, "wrong"), ("no@example.com", "wrong")])
def test_wrong_credentials(http, email, password):
    """The page says so, does not say which of the two was wrong, and keeps the e-mail but not the password."""
    answer = log_in(http, email=email, password=password)
    assert answer.status_code == 401
    assert "The e-mail or the password is wrong." in answer.text
    assert f'value="{email}"' in answer.text
    assert password not in answer.text.replace("is wrong", "")


@pytest.mark.parametrize(("email", "password"), [("", "x"), ("  ", "x"), ("a@b.cz", ""), ("a@b.cz", "  ")])
def test_nothing_entered(http, email, password):
    """An empty field, or one of blanks, asks for what is missing."""
    assert log_in(http, email=email, password=password).status_code == 422


def test_blanks_around_the_email(http):
    """Blanks around an e-mail address, as copying brings them, do not matter."""
    assert log_in(http, email=f" {FIRST_CUSTOMER_EMAIL} ").url.path == "/profile"


def test_pages_cannot_be_framed(http):
    """Each page forbids other sites to show it within theirs."""
    for path in ("/login", "/static/portal.css"):
        assert "frame-ancestors 'none'" in http.get(path).headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_forged_forms(http, path):
    """A form without the token of this browser is refused and does nothing."""
    log_in(http)
    for token in ("", "0" * 64, "č"):
        assert http.post(path, data={"form_token": token, "email": "a@b.cz", "password": "x"}).status_code == 403
    assert http.get("/profile").url.path == "/profile"


def test_a_revoked_token(http, sandbox):
    """A token that was revoked at CareCloud leads to the login page, which says so."""
    log_in(http)
    sandbox.revoke_all()
    answer = http.get("/profile")
    assert answer.url.path == "/login"
    assert "Please log in again" in answer.text
    assert log_in(http).url.path == "/profile"


def test_carecloud_fails(http, sandbox):
    """A failure behind is a page that says so, with a fitting status and without details."""
    log_in(http)
    sandbox.faults.add("GET /customers", status=403)
    answer = http.get("/profile")
    assert answer.status_code == 502
    assert "not your fault" in answer.text
    assert http.get("/profile").status_code == 200


def test_markup_in_names(http, sandbox):
    """The names of customers are shown as text and not as markup."""
    name = {"personal_information": {"last_name": "<script>alert(1)</script>"}}
    sandbox.customers.update(sandbox.customers.id_at(0), name)
    text = log_in(http).text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("attack", ["one e-mail", "one address"])
def test_guesses_are_braked(http, portal, sandbox, attack):
    """After some refused passwords even the right one has to wait, for that e-mail and at that address."""
    customer = sandbox.customers.id_at(5 if attack == "one e-mail" else 6)
    email = sandbox.customers.get(customer)["personal_information"]["email"]
    guessed = email if attack == "one e-mail" else "nobody@example.com"
    assert [log_in(http, guessed, f"guess {n}").status_code for n in range(6)] == [401] * 5 + [429]
    with browser(portal, follow_redirects=True) as elsewhere:
        answer = log_in(elsewhere if attack == "one e-mail" else http, email, CUSTOMER_PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 300
    assert "Too many tries" in answer.text


def test_guesses_at_once_are_braked_too(portal):
    """Of a dozen wrong passwords in flight together five are tried."""

    def guess(number):
        with browser(portal) as http:
            return log_in(http, "at.once@example.com", f"guess {number}").status_code

    with ThreadPoolExecutor(12) as threads:
        assert sorted(threads.map(guess, range(12))) == [401] * 5 + [429] * 7


def test_failures_of_carecloud_are_no_guesses(http, sandbox):
    """Tries that CareCloud could not judge do not count: the customer gets in as soon as it works again."""
    fault = sandbox.faults.add("POST /tokens", status=501, times=6)
    assert {log_in(http).status_code for _ in range(6)} == {502}
    assert fault.hits == 6
    assert log_in(http).status_code == 200


def test_a_missing_id_is_named(monkeypatch):
    """Without the application's id the error names the variable to set."""
    monkeypatch.delenv("CARECLOUD_CUSTOMER_APPLICATION_ID", raising=False)
    monkeypatch.syspath_prepend(EXAMPLES / "portal")
    for name in ("sessions", "tries"):  # the example's own modules, which are not kept
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
    portal = runpy.run_path(str(EXAMPLES / "portal/app.py"))
    with pytest.raises(ConfigurationError, match="set CARECLOUD_CUSTOMER_APPLICATION_ID in the environment"):
        portal["new_device"]()
