"""A server whose answers say who asked and which request it was, and clients of it with a cache."""

import httpx
from kit import login_answer

from carecloud_async import CareCloud, EnterpriseCredentials, ResponseCache, RetryPolicy

KEPT = {"Cache-Control": "max-age=60"}


class Server:
    """Answers lists and records with the token that asked and the number of the request.

    Attributes:
        sent: verb and path of each request but logins.
        headers: of each answer.
        hold: if set, requests wait for it.
        status: of each answer to a read.
        status_of_writes: of the others.
    """

    def __init__(self, **headers):
        self.sent = []
        self.headers = headers or KEPT
        self.hold = None
        self.status = 200
        self.status_of_writes = 204

    async def __call__(self, request):
        path = request.url.path.partition("/v1.0")[2]
        if path == "/users/actions/login":
            return login_answer("enterprise")
        self.sent.append(f"{request.method} {path}")
        number, token = len(self.sent), request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.hold is not None:
            await self.hold.wait()
        status = self.status if request.method == "GET" else self.status_of_writes
        if status >= 400:
            return httpx.Response(status, json={"error": {"type": "about:blank"}})
        if request.method != "GET":
            return httpx.Response(status)
        record = {"customer_id": token, "personal_information": {"first_name": f"answer {number}"}}
        currency = {"currency_id": token, "name": f"answer {number}", "code": request.headers["accept-language"]}
        store = {"store_id": token, "name": f"answer {number}"}
        lists = {"customers": [record], "currencies": [currency], "stores": [store]}
        family = path.split("/")[1]
        items = [] if request.url.params.get("offset", "0") != "0" else lists.get(family, [])
        data = record if path.count("/") > 1 else {family: items, "total_items": 1}
        return httpx.Response(200, json={"data": data}, headers=self.headers)


def credentials(login="u", application="a"):
    return EnterpriseCredentials(external_application_id=application * 24, login=login, password="p")


def connect(server, *, cache=None, auth=None, **options):
    options = {"retry": RetryPolicy(base=0.001), "rate_limit": None, **options}
    return CareCloud(
        "x.example.com",
        auth=auth or credentials(),
        transport=httpx.MockTransport(server),
        cache=cache or ResponseCache(),
        **options,
    )
