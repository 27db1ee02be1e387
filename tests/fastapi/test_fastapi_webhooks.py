"""Webhooks: who may call, what may be sent, and what the handler gets."""

import json

import httpx
import pytest
from every import every
from kit import KnownUser
from webhook_app import DELIVERY, HEADERS, PATH, SECRET, Handler, settings, webhook_app

from carecloud_async import CareCloudError, ConfigurationError, ResponseCache
from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL, FIRST_CUSTOMER_ID

pytestmark = pytest.mark.anyio


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def app(make, handler):
    return webhook_app(make, handler)


async def test_the_handler_gets_body_and_record(app, enter, handler):
    """With the secret, the handler gets what was sent and the record of its id."""
    async with enter(app) as http:
        assert (await http.post(PATH, json=DELIVERY, headers=HEADERS)).status_code == 204
    (call,) = handler.calls
    assert call.body == DELIVERY
    assert call.record_id == FIRST_CUSTOMER_ID
    assert call.record.personal_information.email == FIRST_CUSTOMER_EMAIL


async def test_the_record_is_read_past_the_cache(sandbox, make, enter, handler):
    """Each delivery reads the record from the server, also where the client has a kept answer."""
    client = make(cache=ResponseCache(reference_seconds=300))
    app = webhook_app(lambda: client, handler, read=lambda carecloud, key: carecloud.stores.get(key), id_field=None)
    async with enter(app) as http:
        store = await client.stores.list().first()
        for _ in range(2):
            await client.stores.get(store.store_id)  # kept
            await http.post(PATH, json={"customer_id": store.store_id}, headers=HEADERS)
    assert [call.record.store_id for call in handler.calls] == [store.store_id] * 2
    assert sandbox.count("GET /stores/{store_id}") == 3


@pytest.mark.parametrize("headers", [{}, {"X-Secret": f"{SECRET}, {SECRET}"}], ids=["missing", "joined"])
async def test_a_wrong_or_missing_secret(app, enter, handler, sandbox, headers, caplog):
    """Without the secret the answer is 401 before the body is read, and nothing is asked of the project."""
    sent = []

    async def body():
        sent.append(1)
        yield json.dumps(DELIVERY).encode()

    async with enter(app) as http:
        answer = await http.post(PATH, content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_secret")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (sent, handler.calls, sandbox.count()) == ([], [], 0)
    assert [record.getMessage() for record in caplog.records if record.name == "carecloud_async.fastapi"] == [
        f"POST {PATH} answers 401: wrong_secret"
    ]


async def test_a_secret_from_a_callable(make, enter, handler):
    """A callable is asked for each request, so a new secret needs no restart; text beyond ASCII is sent as UTF-8."""
    secrets = ["first", "druhý"]

    async def fetch():
        return secrets.pop(0)

    app = webhook_app(make, handler, secret=fetch, id_field=None)
    async with enter(app) as http:
        for secret in ("first", "druhý"):
            answer = await http.post(PATH, json=DELIVERY, headers={"X-Secret": secret.encode()})
            assert answer.status_code == 204


class Endless(httpx.AsyncByteStream):
    """A body without an end, and without a generator that httpx would leave open."""

    def __init__(self):
        self.sent = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.sent += 1
        return b" " * 1000


async def test_a_body_in_chunks_is_refused_at_the_bound(make, enter, handler):
    """A body without a length is refused while the sender still sends."""
    body = Endless()
    async with enter(webhook_app(make, handler, max_bytes=5000)) as http:
        answer = await http.send(httpx.Request("POST", http.base_url.join(PATH), headers=HEADERS, stream=body))
    assert (answer.status_code, body.sent < 20, handler.calls) == (413, True, [])


#: A body that is refused, the answer's status and code, and the names and reasons of its errors.
REFUSED = [
    (b"event=1&customer_id=2", 400, "no_json_object", None),
    ({"customer_id": ""}, 422, "invalid_body", ("customer_id", "required")),
    ({"customer_id": "../tokens"}, 422, "invalid_body", ("customer_id", "invalid")),
    ({"event": {}}, 422, "invalid_body", ("event", "invalid")),
    ({"more": "x" * 70_000}, 413, "body_too_large", None),
]


@every("sent, status, code, error", REFUSED, ids=lambda value: str(value)[:40])
async def test_a_refused_body_is_a_problem(app, enter, handler, sandbox, sent, status, code, error):
    """What is no delivery is answered with its reason, and nothing is asked of the project."""
    body = sent if isinstance(sent, bytes) else json.dumps(DELIVERY | sent).encode()
    async with enter(app) as http:
        answer = await http.post(PATH, content=body, headers=HEADERS)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert error is None or answer.json()["errors"] == [{"name": error[0], "reason": error[1]}]
    assert (handler.calls, sandbox.count()) == ([], 0)


async def test_a_record_that_is_gone(app, enter, handler):
    """The handler gets `None` for a record that CareCloud does not have, and the delivery is done."""
    async with enter(app) as http:
        answer = await http.post(PATH, json=DELIVERY | {"customer_id": "gone"}, headers=HEADERS)
    assert answer.status_code == 204
    assert [(call.record, call.record_id) for call in handler.calls] == [(None, "gone")]


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"status": 503}, 503), ({"status": 429, "retry_after": 0.05}, 503), ({"status": 500}, 502), ({"cut": True}, 502)],
    ids=str,
)
@pytest.mark.parametrize("handlers", [True, False])
async def test_a_server_that_is_away(sandbox, make, enter, handler, fault, status, handlers):
    """While CareCloud is away the answer is a 5xx, and the sender's next attempt reaches the handler."""
    app = webhook_app(make, handler, handlers=handlers)
    sandbox.faults.add("GET /customers/{customer_id}", **fault)
    async with enter(app) as http:
        if handlers:
            answer = await http.post(PATH, json=DELIVERY, headers=HEADERS)
            assert answer.status_code == status
            assert ("retry-after" in answer.headers) == (status == 503)
        else:  # what a server answers with 500
            with pytest.raises(CareCloudError):
                await http.post(PATH, json=DELIVERY, headers=HEADERS)
        assert handler.calls == []
        assert (await http.post(PATH, json=DELIVERY, headers=HEADERS)).status_code == 204
    assert len(handler.calls) == 1


async def test_without_our_error_handlers(make, enter, handler):
    """Without our error handlers a refusal is FastAPI's own answer with the same status."""
    async with enter(webhook_app(make, handler, handlers=False)) as http:
        answer = await http.post(PATH, json=DELIVERY)
    assert (answer.status_code, answer.json()) == (401, {"detail": "The secret is missing or wrong."})


async def test_nothing_of_a_delivery_is_shown(make, enter, handler, caplog):
    """Neither logs, answers, errors nor reprs hold the secret or anything of the body."""
    caplog.set_level(0)
    app = webhook_app(make, handler, max_bytes=200)
    shown = [repr(settings())]
    bodies = (DELIVERY, DELIVERY, DELIVERY | {"customer_id": "planted/7"}, DELIVERY | {"more": "x" * 300})
    async with enter(app) as http:
        shown += [(await http.post(PATH, json=body, headers=HEADERS)).text for body in bodies]
        shown.append((await http.post(PATH, content=b'{"planted": ', headers=HEADERS)).text)
        shown.append((await http.post(PATH, json=DELIVERY, headers={"X-Secret": "planted-guess"})).text)
    shown += [repr(call) for call in handler.calls]
    ours = [record for record in caplog.records if record.name.startswith("carecloud_async")]
    shown += [record.getMessage() + str(record.exc_info) for record in ours]
    assert len(ours) >= 4
    assert [text for text in shown if "planted" in text or FIRST_CUSTOMER_EMAIL in text] == []


async def test_the_openapi_document(app, enter):
    """The problems of a webhook are declared on its operation."""
    async with enter(app) as http:
        responses = (await http.get("/openapi.json")).json()["paths"][PATH]["post"]["responses"]
    assert set(responses) >= {"204", "400", "401", "413", "422", "500", "502", "503", "504"}


@every(
    "changes, words",
    [
        ({"header": None}, "either header= or query="),
        ({"query": "key"}, "either header= or query="),
        ({"secret": " "}, "secret is empty"),
        ({"secret": None}, "secret"),
        ({"record_field": None}, "record_field must be a name"),
        ({"record_field": "a..b"}, "record_field must be a name"),
        ({"id_field": ""}, "id_field must be a name"),
        ({"max_bytes": 0}, "max_bytes"),
    ],
)
def test_settings_that_cannot_work(changes, words):
    """A setting that cannot work is a `ConfigurationError` that names it, and shows no secret."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        settings(**changes)
    assert SECRET not in str(caught.value)


FOREIGN = {
    "HTML": b"<html><title>404 Not Found</title></html>",
    "empty": b"",
    "text": b"no healthy upstream",
    "JSON": b'{"message": "no Route matched"}',
    "{}": b"{}",
}


@every("body", [*FOREIGN.values()], thorough=[FOREIGN[name] for name in ("empty", "text", "JSON")])
async def test_an_answer_that_carecloud_did_not_write_deletes_nothing(make, enter, handler, body):
    """Whatever a proxy answers, the sender gets a 5xx, the handler is not called, and the delivery counts again."""
    now = {}
    transport = httpx.MockTransport(lambda _: httpx.Response(**now))
    app = webhook_app(lambda: make(KnownUser(), transport=transport, rate_limit=None), handler)
    async with enter(app) as http:
        for status in (400, 401, 403, 404, 405, 410, 418, 451, 429, 500, 502, 503, 504, 200):
            now |= {"status_code": status, "content": body}
            answer = await http.post(PATH, json=DELIVERY, headers=HEADERS)
            assert answer.status_code in {502, 503, 504}, (status, answer.json())
            assert answer.json()["code"] not in {"not_found", "session_expired", "login_refused"}
        assert handler.calls == []
        now |= {"status_code": 404, "content": b'{"error": {"exception": "not_found_exception"}}'}
        assert (await http.post(PATH, json=DELIVERY, headers=HEADERS)).status_code == 204
    assert [call.record for call in handler.calls] == [None]
    handler.calls.clear()
