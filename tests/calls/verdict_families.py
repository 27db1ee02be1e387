"""The families of calls that could take an answer for a verdict, each as one call against a scripted server."""

from __future__ import annotations

import os
import tempfile

import attrs
import httpx
from kit import DEVICE, KnownUser
from write_calls import write

from carecloud_async import (
    AuthenticationTokenSession,
    AuthProvider,
    CareCloud,
    CustomerSession,
    EnterpriseCredentials,
    RetryPolicy,
    SocialNetworkSession,
    SsoCredentials,
)
from carecloud_async.pytest_plugin.clock import FakeClock
from carecloud_async.sandbox import FIRST_CUSTOMER_ID
from carecloud_async.workflows import (
    PasswordLogin,
    check_login,
    dossier,
    find_at_point_of_sale,
    find_customer,
    find_purchase,
    send_password_link,
)

APPLICATION = "89d1a6111b3fb6e74665d948"
TWICE = RetryPolicy(attempts=2, base=1e-6)


def connect(server, **options):
    """Return a client of a server that wants no login, which repeats no call in real time."""
    options = {"auth": KnownUser(), "rate_limit": None, "clock": FakeClock(), **options}
    return CareCloud("x.example.com", transport=httpx.MockTransport(server), **options)


def device():
    return attrs.evolve(DEVICE, device=attrs.evolve(DEVICE.device, device_id=None), remember=False)


def password_session():
    return CustomerSession(device(), login_type="email", login_value="jan@example.com", password="p")


def session():
    return CustomerSession.resume(token_id="token", customer_id=FIRST_CUSTOMER_ID)


class Server:
    """Answers each request that `is_judged` picks with the answer of the grid's cell, and others with success.

    Args:
        answer: the status and the body of the cell.
        is_judged: whether a request, by method and path, gets it.
    """

    def __init__(self, answer, is_judged):
        self._answer, self._is_judged = answer, is_judged
        self.requests = []

    def __call__(self, request):
        path = request.url.path.partition("/v1.0")[2]
        self.requests.append((request.method, path))
        if self._is_judged(request.method, path):
            status, body = self._answer
            return httpx.Response(status, content=body)
        if path == "/tokens":
            return httpx.Response(200, json={"data": {"token_id": "device-token"}})
        if request.method == "GET" and path.endswith(("/customers", "/cards")):
            return httpx.Response(200, json={"data": {path[1:]: [], "total_items": 0}})
        if request.method == "GET":  # the record that an update reads before it writes
            return httpx.Response(200, json={"data": {"booking_id": "x", "card_id": "x"}})
        return httpx.Response(204)


def _export(client):
    target = f"{tempfile.gettempdir()}/verdicts-{os.getpid()}.jsonl"  # never made: the export fails
    return client.customers.list(count=10).export(target, overwrite=True)


def _send_password_link(client):
    return send_password_link(client, email="jan@example.com", message_template_id="t", parameters={})


def _import(client):
    rows = [{"email": "new@example.com", "first_name": "N", "last_name": "N", "language_id": "en"}]
    return client.customers.bulk_write(rows, match="email", defaults={"customer_source_id": "s"})


def _import_by_id(client):
    return client.cards.bulk_write([{"card_id": "x", "customer_id": "c"}], match="card_id")


def every_request(method, path):
    return True


def only(method, end):
    """Return the predicate of requests with a method whose path ends so."""
    return lambda sent, path: sent == method and path.endswith(end)


@attrs.frozen
class Family:
    """A family of calls.

    Attributes:
        name: its name in the table.
        call: makes the call, given a client; what it returns is a verdict unless it is an error.
        auth: the identity.
        is_judged: picks the requests that get the cell's answer.
    """

    name: str
    call: object
    auth: AuthProvider = attrs.field(factory=KnownUser)
    is_judged: object = every_request

    def connect(self, answer):
        server = Server(answer, self.is_judged)
        return connect(server, auth=self.auth, retry=TWICE)


user = EnterpriseCredentials(external_application_id=APPLICATION, login="u", password="p")
single_sign_on = SsoCredentials(external_application_id=APPLICATION, sso_token="t")
social = SocialNetworkSession(device(), social_network_id="n", social_network_token="t")
handover = AuthenticationTokenSession(device(), token="t", token_request_id="r")

KNOWN = PasswordLogin(login_type="email", login_value="jan@example.com", password="p")
READS = [
    Family("read", lambda client: client.customers.get(FIRST_CUSTOMER_ID)),
    Family("list", lambda client: client.customers.list(email="jan@example.com").collect(limit=5)),
    Family("total", lambda client: client.customers.list().total()),
    Family("page of an export", _export),
    Family("ping", lambda client: client.ping()),
    Family("dossier", lambda client: dossier(client, FIRST_CUSTOMER_ID)),
    Family("GET that issues a token", lambda client: write(client, "getTokenAuthentication"), session()),
    Family("/me of a resumed session", lambda client: client.customers.me(), session()),
    Family("workflow: find_customer", lambda client: find_customer(client, customer_source_id="s", external_id="7")),
    Family("workflow: find_at_point_of_sale", lambda client: find_at_point_of_sale(client, typed="jan@example.com")),
    Family("workflow: find_purchase", lambda client: find_purchase(client, store_id="s", bill_id="b")),
    Family("workflow: send_password_link", _send_password_link),
    Family("check_login", lambda client: check_login(client, credentials=KNOWN, shop_knows=False)),
    Family("bulk write: look-up by e-mail", _import, is_judged=only("GET", "/customers")),
]
LOGINS = [
    Family("login of a user", CareCloud.login, user),
    Family("login by single sign-on", CareCloud.login, single_sign_on),
    Family("login of a device", CareCloud.login, device()),
    Family("login of a customer: the device", CareCloud.login, password_session()),
    Family("login of a customer: the password", CareCloud.login, password_session(), only("POST", "/actions/login")),
    Family("login of a customer by a social network", CareCloud.login, social, only("POST", "/social-network-login")),
    Family("login of a customer by a token", CareCloud.login, handover, only("POST", "/authentication-token-login")),
    Family("login() of a resumed session", CareCloud.login, session()),
    Family("a call that logs in first", lambda client: client.customers.get(FIRST_CUSTOMER_ID), user),
]
ROWS = [
    Family("bulk write: look-up by id", _import_by_id, is_judged=only("GET", "/cards/x")),
    Family("bulk write: a new row", _import, is_judged=only("POST", "/customers")),
    Family("bulk write: a changed row", _import_by_id, is_judged=only("PUT", "/cards/x")),
]
