"""A sandbox whose answers are changed on the way: false totals, pages that repeat, another order, other text."""

import json
from urllib.parse import parse_qsl, urlencode

PAGING = {"count", "offset", "sort_field", "sort_direction"}


def lie(sandbox, **lies):
    """Make a sandbox answer falsely from now on; without lies, make it answer correctly again.

    Transports and servers that were made before the first call see none of it.

    Args:
        sandbox: the sandbox.
        **lies: `total_items`, the total of every list; `valid_to`, the end of every new token; `repeat_page`, every
            page is the first one; `empty_from`, an offset from which pages are empty; `filters=False`, filters are
            ignored; `reorder`, a function of all records and the query that returns them in the order of this page;
            `pretty`, the text is indented; `date=False`, answers have no `Date`; `cookies`, each answer sets one;
            `answers`, by status another status and its JSON.
    """
    if not isinstance(sandbox.app, LyingApp):
        sandbox.app = LyingApp(sandbox.app)
    sandbox.app.lies = lies


class LyingApp:
    """The ASGI app around a sandbox's."""

    def __init__(self, app):
        self._app = app
        self.connections = app.connections
        self.lies = {}
        self._visitors = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or not self.lies:
            await self._app(scope, receive, send)
            return
        lies, query = self.lies, parse_qsl(scope["query_string"].decode())
        asked = [item for item in query if item[0] != "offset" or not lies.get("repeat_page")]
        asked = [item for item in asked if item[0] in PAGING or lies.get("filters", True)]
        if "reorder" in lies:
            asked = [item for item in asked if item[0] not in {"count", "offset"}] + [("count", 10**6)]
        if asked != query:
            scope = {**scope, "query_string": urlencode(asked).encode()}
        start, body = {}, b""

        async def collect(message):
            nonlocal body
            if message["type"] == "http.response.start":
                start.update(message)
            elif message.get("more_body"):  # a fault cuts this answer
                await send(start)
                await send(message)
            else:
                body = message["body"]

        await self._app(scope, receive, collect)
        if start and start["status"] < 300 and body:
            body = self._changed(body, dict(query))
        if start["status"] in lies.get("answers", {}):
            start["status"], document = lies["answers"][start["status"]]
            body = b"" if document is None else json.dumps(document).encode()
        gone = {b"content-length", *([] if lies.get("date", True) else [b"date"])}
        headers = [header for header in start["headers"] if header[0] not in gone]
        if lies.get("cookies"):
            self._visitors += 1
            headers.append((b"set-cookie", b"sandbox_session=visitor-%d; Path=/; HttpOnly" % self._visitors))
        await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    def _changed(self, body, query):
        lies, document = self.lies, json.loads(body)
        data = document["data"]
        key = next((name for name, value in data.items() if isinstance(value, list)), None)
        offset, count = int(query.get("offset", 0)), int(query.get("count", 100))
        if "valid_to" in lies and "valid_to" in data:
            data["valid_to"] = lies["valid_to"]
        if key is not None and "reorder" in lies:
            data[key] = lies["reorder"](data[key], query)[offset : offset + count]
        if key is not None and offset >= lies.get("empty_from", offset + 1):
            data[key] = []
        if "total_items" in data:
            data["total_items"] = lies.get("total_items", data["total_items"])
        return json.dumps(document, ensure_ascii=False, indent=4 if lies.get("pretty") else None).encode()
