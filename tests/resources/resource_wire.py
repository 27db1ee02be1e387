"""A caller that notes calls and answers with what it was given."""

from json import dumps, loads
from types import SimpleNamespace

from carecloud_async._base import codec
from carecloud_async._base.project import Project
from carecloud_async._calls.call.request import RequestSize


class Wire:
    """Stands for a caller: notes the calls and answers with the bodies that it was given."""

    manager = None
    #: What a listing asks for where records have no id, and an update for its time.
    context = SimpleNamespace(
        project=Project.parse("sandbox.example", timezone="Europe/Prague", language="en"),
        clock=SimpleNamespace(monotonic=lambda: 0.0),
    )

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []

    @property
    def fresh(self):
        """The same: nothing is kept here."""
        return self

    def require(self, operation):
        """Everything may be called here."""

    def request_size(self, operation, *, path_params, params):
        """Everything fits one request here."""
        return RequestSize(0, 0)

    async def call(self, request):
        assert request.bearer is None
        sent = None if request.json is None else loads(codec.encode(request.json, zone=self.context.project.timezone))
        self.calls.append((request.operation.title, request.path_params, request.params or None, sent))
        return request.decode(self.answers.pop(0) if self.answers else b"")


def answer(data):
    return dumps({"data": data}).encode()
