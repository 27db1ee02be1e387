"""A client whose server notes calls and gives the answers that it was given."""

from json import dumps, loads

import httpx
from kit import KnownUser, served

from carecloud_async import RetryPolicy


class Wire:
    """A server: notes the calls, and answers with these bodies in turn, then with nothing.

    Attributes:
        client: a client of it.
        calls: for each request its verb, its path, its query as pairs, and its body.
        body: the bytes of the last request's body.
    """

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), []
        self.client = served(self._answer, auth=KnownUser(), retry=RetryPolicy(attempts=1))

    def _answer(self, request):
        path, self.body = request.url.path.partition("/v1.0")[2], request.content
        sent = loads(request.content.decode(errors="replace")) if request.content else None
        self.calls.append((request.method, path, request.url.params.multi_items(), sent))
        body = self.answers.pop(0) if self.answers else b""
        return httpx.Response(200 if body else 204, content=body)

    @property
    def sent(self):
        """The body of the last request."""
        return self.calls[-1][3]

    @property
    def titles(self):
        """The verb and path of each request."""
        return [f"{method} {path}" for method, path, _, _ in self.calls]


def answer(data):
    return dumps({"data": data}).encode()


def method_of(client, operation):
    """The method of an operation, by the dotted name in the table."""
    family, *parts, name = operation.call.split(".")
    owner = getattr(client, family)
    for part in parts:
        owner = getattr(owner, part)
        owner = owner("1") if callable(owner) else owner
    return getattr(owner, name)
