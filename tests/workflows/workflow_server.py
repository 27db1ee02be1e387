"""A server of some operations for the tests of workflows: notes requests, refuses and loses answers on demand."""

import json
import re

import httpx
from clocks import InstantClock
from kit import CREDENTIALS, served

from carecloud_async import Device, DeviceSetup, DeviceToken, RetryPolicy

DEVICE = DeviceToken(
    external_application_id="81eaeea1",
    device=Device(device_id="1", device_system="OSX", device_name="Test", device_type="iPhone"),
    setup=DeviceSetup(language_id="en", allowed_gps=True, allowed_notifications=False),
)


class LostAnswerError(Exception):
    """Raised by a handler that did its work: the caller never hears of it."""


class RefusedError(Exception):
    """Raised by a handler: an error of the API."""

    def __init__(self, status, *params):
        super().__init__(status)
        entries = [{"name": name, "reason": reason} for name, reason in params]
        self.answer = httpx.Response(status, json={"error": {"error_data": {"invalid_params": entries}}})


class Server:
    """Answers by handlers, `"POST /cards"` for example; whatever no handler is for is a failure of the test.

    A handler takes the request's body, or a dict of the query of a GET, and returns what is under `data`.
    """

    def __init__(self):
        self.handlers = {}
        self.requests = []

    def on(self, name, handler):
        """Let a handler, or always the same data, answer an operation; `{}` in a path is any id."""
        pattern = re.escape(name).replace(r"\{\}", "[^/]+")
        self.handlers[pattern] = handler if callable(handler) else lambda sent: handler

    def lose(self, name, *, times=1, status=None):
        """Lose the next answers of an operation, after its handler has done its work.

        With a status the answer is not lost but is an error, as a gateway's 504.
        """
        pattern = re.escape(name).replace(r"\{\}", "[^/]+")
        handler, left = self.handlers[pattern], times

        def losing(sent):
            nonlocal left
            left -= 1
            if left == 0:
                self.handlers[pattern] = handler
            handler(sent)
            raise LostAnswerError if status is None else RefusedError(status)

        self.handlers[pattern] = losing

    def fail_after(self, name, *, status):
        """Lose the next answer of an operation, and refuse every request afterwards."""
        self.lose(name)
        losing = self.handlers[re.escape(name).replace(r"\{\}", "[^/]+")]

        def refuse(sent):
            raise RefusedError(status)

        def last(sent):
            self.handlers = {".*": refuse}
            losing(sent)

        self.handlers[re.escape(name).replace(r"\{\}", "[^/]+")] = last

    def sent(self, name):
        """All that an operation was sent."""
        return [sent for one, sent in self.requests if re.fullmatch(re.escape(name).replace(r"\{\}", "[^/]+"), one)]

    def client(self, auth=CREDENTIALS):
        """Make a client of it, an enterprise user's if not told otherwise."""
        return served(self.handle, auth=auth, retry=RetryPolicy(attempts=1), clock=InstantClock())

    def handle(self, request):
        path = request.url.path.partition("/v1.0")[2]
        name = f"{request.method} {path}"
        sent = dict(request.url.params) if request.method == "GET" else json.loads(request.content)
        self.requests.append((name, sent))
        handler = next((one for pattern, one in self.handlers.items() if re.fullmatch(pattern, name)), None)
        assert handler is not None, f"unexpected request: {name}"
        try:
            data = handler(sent)
        except RefusedError as error:
            return error.answer
        except LostAnswerError:
            raise httpx.ReadError("the line was cut", request=request) from None
        return httpx.Response(204) if data is None else httpx.Response(200, json={"data": data})


def page(key, *records):
    return {key: list(records), "total_items": len(records)}
