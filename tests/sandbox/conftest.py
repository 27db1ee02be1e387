"""A plain httpx client that speaks to the sandbox as the vendor's documents say, with nothing of this package in it."""

import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from carecloud_async.sandbox import (
    CUSTOMER_APPLICATION_ID,
    CUSTOMER_PASSWORD,
    FIRST_CUSTOMER_EMAIL,
    USER_APPLICATION_ID,
    USER_LOGIN,
    USER_PASSWORD,
    Sandbox,
)

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:  # for the manifest, which tests/contract reads
    sys.path.insert(0, ROOT)

HEADERS = {"Content-Type": "application/json", "Accept-Language": "cs, en-gb;q=0.8"}


class Api:
    """One interface of the sandbox; calls show `token`, unless they name another one."""

    def __init__(self, http):
        self.http = http
        self.token = None

    async def call(self, method, path, *, token="", **options):
        shown = self.token if token == "" else token
        headers = {} if shown is None else {"Authorization": f"Bearer {shown}"}
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path, *, token="", **params):
        return await self.call("GET", path, token=token, params=params)

    async def user_token(self, password=USER_PASSWORD):
        body = {"user_external_application_id": USER_APPLICATION_ID, "login": USER_LOGIN, "password": password}
        answer = await self.call("POST", "/users/actions/login", json=body)
        return answer.json()["data"]["bearer_token"]

    async def device_token(self, device_id="123456", application=CUSTOMER_APPLICATION_ID):
        body = {
            "device": {
                "device_id": device_id,
                "device_system": "OSX",
                "device_name": "Test device",
                "device_type": "iPhone",
            },
            "setup": {"language_id": "en", "allowed_gps": True, "allowed_notifications": False},
            "external_application_id": application,
        }
        answer = await self.call("POST", "/tokens", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]["token_id"]

    async def customer_login(self, token, value=FIRST_CUSTOMER_EMAIL, *, kind="email", password=CUSTOMER_PASSWORD):
        body = {"login_type": kind, "login_value": value, "password": password}
        return await self.call("POST", f"/tokens/{token}/actions/login", token=token, json=body)


@asynccontextmanager
async def connected(sandbox, interface, base=None):
    transport = sandbox.transport() if base is None else None
    url = f"{base or 'https://sandbox.example.com'}/webservice/rest-api/{interface}-interface/v1.0"
    async with httpx.AsyncClient(transport=transport, base_url=url, headers=HEADERS, timeout=60) as http:
        yield Api(http)


@pytest.fixture
def sandbox():
    return Sandbox(customers=300, seed=1)


@pytest.fixture
def connect():
    return connected


@pytest.fixture
async def enterprise(sandbox):
    async with connected(sandbox, "enterprise") as api:
        yield api


@pytest.fixture
async def customer(sandbox):
    async with connected(sandbox, "customer") as api:
        yield api


@pytest.fixture
async def api(enterprise):
    """The enterprise interface, with a token."""
    enterprise.token = await enterprise.user_token()
    return enterprise


@pytest.fixture
def new_customer():
    def body(email="new@example.com", **changes):
        return {
            "customer": {"personal_information": {"first_name": "New", "email": email, "language_id": "en"}},
            "customer_source": {"customer_source_id": "86e05affc7a7abefcd513ab400"},
            "autologin": False,
            **changes,
        }

    return body
