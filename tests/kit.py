"""Clients for tests: of a sandbox, and of a server that a function plays."""

import inspect
import json
from datetime import timedelta
from email.utils import format_datetime

import attrs
import httpx

from carecloud_async import AuthProvider, CareCloud, EnterpriseCredentials, Token

HOST = "sandbox.crmcarecloud.com"
CREDENTIALS = EnterpriseCredentials(external_application_id="89d1a611", login="fabulous_user", password="word")


@attrs.frozen
class KnownUser(AuthProvider):
    """A user of an interface whose token needs no login."""

    interface: str = "enterprise"

    @property
    def identity_key(self):
        return f"known user of {self.interface}"

    async def obtain(self, send, previous):
        return Token("token")


def connect(sandbox, *, host=HOST, **options):
    """Make a client of a sandbox, called in process as its API user unless the options say otherwise."""
    options.setdefault("auth", sandbox.credentials())
    if "http_client" not in options:
        options.setdefault("transport", sandbox.transport())
    return CareCloud(host, **options)


def login_body(token="09359095", *, valid_to="2999-01-01 00:00:00"):
    """The body of the answer to an enterprise login."""
    return json.dumps({"data": {"bearer_token": token, "valid_to": valid_to}}).encode()


def login_answer(token="09359095", *, valid_to="2999-01-01 00:00:00", **options):
    """The answer to an enterprise login."""
    return httpx.Response(200, content=login_body(token, valid_to=valid_to), **options)


def login_answer_at(now):
    """The answer to an enterprise login at a time: with that `Date`, and a token for a week."""
    ends = now + timedelta(days=7)
    return login_answer(valid_to=f"{ends:%Y-%m-%d %H:%M:%S}", headers={"Date": format_datetime(now, usegmt=True)})


def is_login(request):
    """Whether a request is an enterprise login."""
    return request.method == "POST" and request.url.path.endswith("/actions/login")


def data(value, **options):
    """A success with this data."""
    return httpx.Response(200, json={"data": value}, **options)


def page(key, records, total=None):
    """A page of a list; without a total it is the whole list."""
    return data({key: list(records), "total_items": len(records) if total is None else total})


def cut(key, records, request):
    """The page of a list of these records that a request asks for."""
    start, count = (int(request.url.params[name]) for name in ("offset", "count"))
    return page(key, records[start : start + count], len(records))


def serving(answer):
    """Make a transport that answers logins, and all other requests by `answer(request)`, plain or a coroutine."""

    async def handle(request):
        if is_login(request):
            return login_answer()
        found = answer(request)
        return await found if inspect.isawaitable(found) else found

    return httpx.MockTransport(handle)


def served(answer, **options):
    """Make a client of a server that `answer(request)` plays, except for its logins."""
    return CareCloud(HOST, **{"auth": CREDENTIALS, "transport": serving(answer), **options})
