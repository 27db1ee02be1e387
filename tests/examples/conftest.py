"""The examples as they stand, served by uvicorn in a process of its own, over a sandbox on a socket."""

import pytest
from portal_server import EXAMPLES, portal_of_its_own, uvicorn

from carecloud_async.sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox(customers=300, seed=1)


@pytest.fixture(scope="module")
def sandbox_url(sandbox):
    with sandbox.running() as url:
        yield url


@pytest.fixture(scope="module")
def portal(sandbox_url):
    """One portal: each test comes with cookies of its own, as a browser does."""
    with portal_of_its_own(sandbox_url) as url:
        yield url


@pytest.fixture(scope="module")
def call_centre(sandbox_url):
    env = {
        "CARECLOUD_PROJECT_URL": sandbox_url,
        "CARECLOUD_EXTERNAL_APPLICATION_ID": "89d1a6111b3fb6e74665d948",
        "CARECLOUD_LOGIN": "fabulous_user",
        "CARECLOUD_PASSWORD": "password_example",
    }
    with uvicorn("call_centre:app", folder=EXAMPLES, env=env) as url:
        yield url
