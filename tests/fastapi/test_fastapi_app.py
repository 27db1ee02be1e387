"""The application of six lines, and what can be put around it."""

from contextlib import asynccontextmanager
from typing import Annotated

import anyio
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict

from carecloud_async import CareCloud, ConfigurationError, Customer
from carecloud_async.fastapi import CareCloudDep, carecloud_dep, carecloud_lifespan, install_error_handlers
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox

pytestmark = pytest.mark.anyio


def six_lines(lifespan):
    app = FastAPI(lifespan=lifespan)
    install_error_handlers(app)

    @app.get("/customers/{customer_id}")
    async def show(customer_id: str, carecloud: CareCloudDep) -> Customer:
        return await carecloud.customers.get(customer_id)

    return app


async def test_one_login_for_all_requests(sandbox, make, enter):
    """A hundred requests at once are answered with one login, on asyncio and on trio."""
    async with enter(six_lines(carecloud_lifespan(make))) as http:
        answers = []

        async def ask():
            answers.append(await http.get(f"/customers/{FIRST_CUSTOMER_ID}"))

        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(ask)
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["personal_information"]["first_name"] for answer in answers} == {"John"}
    assert sandbox.logins == 1


def test_with_fastapis_own_test_client(sandbox, make):
    """FastAPI's TestClient enters the lifespan, as often as it is used, and each time there is a client."""
    app = six_lines(carecloud_lifespan(make))
    for number in (1, 2):
        with TestClient(app) as http:
            assert http.get(f"/customers/{FIRST_CUSTOMER_ID}").status_code == 200
        assert sandbox.logins == number


def test_a_client_that_is_not_annotated_as_a_dependency():
    """`carecloud: CareCloud` in a route names `CareCloudDep`; a model that allows arbitrary types may hold a client."""
    app = FastAPI()
    with pytest.raises(ConfigurationError, match="write `carecloud: CareCloudDep`"):

        @app.get("/")
        async def show(carecloud: CareCloud) -> None: ...

    class Holder(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        client: CareCloud


async def test_client_is_closed_at_the_end(make, enter):
    """The client is open as long as the application, and in `app.state` and `request.state`."""
    app = six_lines(carecloud_lifespan(make))
    async with enter(app):
        client = app.state.carecloud_default
        await client.ping()
    assert not hasattr(app.state, "carecloud_default")
    with pytest.raises(Exception, match="closed"):
        await client.ping()


async def test_composes_with_an_own_lifespan(make, enter):
    """The application's own lifespan finds the client, keeps its state, and ends before the client is closed."""
    seen = []

    @asynccontextmanager
    async def own(app):
        await app.state.carecloud_default.ping()
        yield {"motto": "hello"}
        await app.state.carecloud_default.ping()
        seen.append("pinged at the end")

    app = six_lines(carecloud_lifespan(make, lifespan=own))

    @app.get("/motto")
    async def motto(carecloud: CareCloudDep, request: Annotated[str, Depends(state_of)]) -> str:
        assert isinstance(carecloud, CareCloud)
        return request

    async with enter(app) as http:
        assert (await http.get("/motto")).json() == "hello"
    assert seen == ["pinged at the end"]


async def state_of(request: Request) -> str:
    return request.state.motto


async def test_several_clients(make, enter):
    """Two projects in one application: each dependency finds its own, and a name given twice is refused."""
    other = Sandbox(customers=7)
    inner = carecloud_lifespan(make)
    app = six_lines(carecloud_lifespan(lambda: make(transport=other.transport()), name="other", lifespan=inner))

    @app.get("/totals")
    async def totals(
        carecloud: CareCloudDep, other: Annotated[CareCloud, Depends(carecloud_dep("other"))]
    ) -> tuple[int, int]:
        return await carecloud.customers.list().total(), await other.customers.list().total()

    async with enter(app) as http:
        assert (await http.get("/totals")).json() == [300, 7]
    twice = six_lines(carecloud_lifespan(make, lifespan=inner))
    with pytest.raises(BaseExceptionGroup) as caught:
        async with enter(twice):
            pass
    assert caught.group_contains(ConfigurationError, match="own name")


async def test_factories_of_every_kind(make, enter):
    """A factory may be async, and may yield the client from a context of its own that ends after the client."""
    ended = []

    async def later():
        return make()

    @asynccontextmanager
    async def context():
        async with make() as client:
            yield client
        ended.append(True)

    async def later_context():
        return context()

    for factory in (later, context, later_context):
        async with enter(six_lines(carecloud_lifespan(factory))) as http:
            assert (await http.get(f"/customers/{FIRST_CUSTOMER_ID}")).status_code == 200
    assert len(ended) == 2


async def test_a_factory_of_something_else(enter):
    """What is no client is refused at the start, by name."""

    @asynccontextmanager
    async def nothing():
        yield "nothing"

    with pytest.raises(BaseExceptionGroup) as caught:
        async with enter(six_lines(carecloud_lifespan(nothing))):
            pass
    assert caught.group_contains(ConfigurationError, match="not str")


async def test_overrides_swap_in_the_sandbox(make, enter):
    """`dependency_overrides` with `carecloud_dep()` as the key needs no lifespan and no network."""
    app = six_lines(None)
    app.dependency_overrides[carecloud_dep()] = lambda: make()
    async with enter(app) as http:
        assert (await http.get(f"/customers/{FIRST_CUSTOMER_ID}")).status_code == 200


async def test_without_a_lifespan(enter, caplog):
    """A client that was not opened is a mistake of the application: 500, and the log says what to do."""
    async with enter(six_lines(None)) as http:
        answer = await http.get("/customers/x")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "carecloud_lifespan" in caplog.text


async def test_a_client_is_found_in_every_part_of_an_application(make, enter):
    """Included routers, mounted applications and dependencies of the user's have the client, and a body is kept."""
    router, app = APIRouter(prefix="/routed"), six_lines(carecloud_lifespan(make))

    @router.get("/total")
    async def total(carecloud: CareCloudDep) -> int:
        return await carecloud.customers.list().total()

    async def session(carecloud: CareCloudDep):
        yield await carecloud.customers.list().total()

    @app.get("/total")
    async def by_dependency(number: Annotated[int, Depends(session)]) -> int:
        return number

    @app.get("/size")
    async def size(carecloud: CareCloudDep, request: Request) -> int:
        await carecloud.ping()
        return len(await request.body())

    app.include_router(router)
    app.mount("/mounted", six_lines(None))
    async with enter(app) as http:
        for path in ("/routed/total", "/total"):
            assert (await http.get(path)).json() == 300
        assert (await http.get(f"/mounted/customers/{FIRST_CUSTOMER_ID}")).status_code == 200
        assert (await http.get("/mounted/customers/nobody")).status_code == 404
        assert (await http.get("/size")).json() == 0
        assert (await http.request("GET", "/size", content=b"abc")).json() == 3


def test_in_a_websocket(make):
    """The dependencies give the client to a WebSocket as to a request."""
    from fastapi import WebSocket

    app = six_lines(carecloud_lifespan(make))

    @app.websocket("/ws")
    async def ws(websocket: WebSocket, carecloud: CareCloudDep) -> None:
        await websocket.accept()
        await websocket.send_text(str(await carecloud.customers.list().total()))
        await websocket.close()

    with TestClient(app) as http, http.websocket_connect("/ws") as socket:
        assert socket.receive_text() == "300"
