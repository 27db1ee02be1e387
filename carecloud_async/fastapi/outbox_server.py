"""An outbox behind HTTP, for tills in any language: the application that `carecloud outbox FILE serve` serves."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async._version import __version__
from carecloud_async.errors import BadRequestError, CareCloudError, ConfigurationError
from carecloud_async.outbox import KeyInUseError, NotForOutboxError, Outbox, OutboxError
from carecloud_async.outbox.kinds import KINDS
from carecloud_async.resources.declare import declared
from carecloud_async.resources.updating import Updating
from carecloud_async.workflows import find_at_point_of_sale

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud

__all__ = ["outbox_app"]

#: The longest body (bytes): a bill of a thousand items has some 300,000.
MAX_BODY: Final = 1_000_000
#: Requests a second; one till sends a few, and a program that runs wild must not fill the disk.
MAX_RATE: Final = 100

#: The calls that an outbox sends by name; `update` of every family comes on top.
_CALLS: Final = tuple(dict.fromkeys(kind.name.partition(" ")[0] for kind in KINDS))

_DESCRIPTION = f"""
What is accepted (202) is on this machine's disk, and is sent to CareCloud once, as soon as the network is there.
Repeat a request whose answer did not come: the same request is stored once.

Operations: {", ".join(f"`{name}`" for name in _CALLS)}, and `update` of a family, such as `customers.update`.
"""


def outbox_app(client: CareCloud, outbox: Outbox, *, token: str, seconds: Callable[[], float]) -> FastAPI:
    """Make the application.

    Args:
        client: the client; open as long as the application.
        outbox: an outbox of the client; open as long as the application.
        token: the secret that requests show as `Authorization: Bearer …`.
        seconds: returns the seconds of a clock that does not step, for the rate of requests.
    """
    app = FastAPI(title="Outbox", description=_DESCRIPTION, version=__version__)
    guarded = [Depends(_guard(token))]
    app.middleware("http")(_limited(seconds))

    @app.post("/outbox/{operation}", status_code=202, dependencies=guarded, openapi_extra=_BODY, responses=_REFUSALS)
    async def put(
        operation: str,
        request: Request,
        idempotency_key: Annotated[
            str | None, Header(description="Of points and credits: the number of the sale. Bills have their own id.")
        ] = None,
    ) -> dict[str, Any]:
        """Store a call; the body has the operation's arguments as JSON."""
        args, kwargs = _arguments(client, operation, await _body(request))
        try:
            number = await outbox.put(attrgetter(operation)(client), *args, reference=idempotency_key, **kwargs)
        except TypeError as error:  # an unknown or a missing argument
            raise NotForOutboxError(str(error)) from None
        return {"entry": number, "waiting": outbox.waiting, "failed": outbox.failed}

    @app.get("/outbox", dependencies=guarded)
    async def state() -> dict[str, Any]:
        """Show what waits and why, and what failed."""
        return {
            "waiting": outbox.waiting,
            "failed": outbox.failed,
            "problem": None if outbox.problem is None else _worded(outbox.problem),
            "failures": [failed.to_dict() for failed in await outbox.failures()],
        }

    @app.get("/outbox/{entry}", dependencies=guarded)
    async def entry(
        entry: int, wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for its end.")] = 0
    ) -> dict[str, Any]:
        """Show what became of an entry: sent, waiting or failed."""
        return {"entry": entry, "state": await outbox.outcome(entry, timeout=wait)}

    @app.get("/customers", dependencies=guarded)
    async def customers(
        typed: Annotated[str, Query(description="A card number, a phone number or an e-mail address.")],
        phone_prefix: Annotated[str | None, Query(description="Prefix of phones without one, such as 420.")] = None,
    ) -> list[dict[str, Any]]:
        """Find who stands at the till; it needs the network."""
        matches = await find_at_point_of_sale(client, typed=typed, phone_prefix=phone_prefix)
        return [
            {
                "customer_id": customer.customer_id,
                "matched_by": customer.matched_by,
                "first_name": customer.first_name,
                "last_name": customer.last_name,
            }
            for customer in matches
        ]

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def status() -> str:
        return _status_page(outbox)

    @app.exception_handler(CareCloudError)
    async def refused(request: Request, error: CareCloudError) -> JSONResponse:
        del request
        return JSONResponse({"detail": _worded(error)}, _status_of(error))

    return app


_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "points.assign_points": {"value": {"customer_id": "8ea2591121e636086a4a9c0992", "amount": 50}},
                    "customers.update": {
                        "value": {"id": "8ea2591121e636086a4a9c0992", "changes": {"personal_information": {}}}
                    },
                },
            }
        },
    }
}

_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "The token is missing or wrong"},
    404: {"description": "No outbox sends this operation"},
    409: {"description": "The key was used with another content: use another key"},
    413: {"description": f"The body has more than {MAX_BODY:,} bytes"},
    422: {"description": "Nothing was stored; the reasons"},
    429: {"description": f"More than {MAX_RATE} requests in a second; see Retry-After"},
    503: {"description": "The file cannot be written: the disk is full, or the file was moved; nothing was stored"},
}


_BEARER: Final = HTTPBearer(auto_error=False)

#: What requests call the settings of a fix; the others are those of the program.
_SETTINGS: Final = {"reference": "the header Idempotency-Key"}


def _worded(error: Exception) -> str:
    """Return what is wrong, and what to do about it, for who sends requests."""
    if not isinstance(error, CareCloudError) or error.fix is None:
        return str(error)
    return f"{error.problem}: {error.fix.worded(_SETTINGS)}"


def _status_of(error: CareCloudError) -> int:
    match error:
        case KeyInUseError():
            return 409
        case ConfigurationError() | BadRequestError():
            return 422
        case OutboxError():
            return 503
    return 502


def _guard(token: str) -> Callable[..., Awaitable[None]]:
    async def check(shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> None:
        given = "" if shown is None else shown.credentials
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise HTTPException(
                401, "send the token of the token file: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"}
            )

    return check


def _limited(
    seconds: Callable[[], float],
) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    """Return a middleware that answers 429 when a second has more requests than `MAX_RATE`."""
    second, count = 0, 0

    async def limited(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        nonlocal second, count
        now = int(seconds())
        second, count = now, count + 1 if now == second else 1
        if count > MAX_RATE:
            return JSONResponse({"detail": f"more than {MAX_RATE} requests in a second"}, 429, {"Retry-After": "1"})
        return await call(request)

    return limited


async def _body(request: Request) -> dict[str, Any]:
    body = b""
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_BODY:
                raise HTTPException(413, f"the body has more than {MAX_BODY:,} bytes")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        raise HTTPException(422, "the body is not a JSON object with the operation's arguments") from None


def _arguments(client: CareCloud, operation: str, body: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call as `put` takes them: what the method takes as an input is made into one."""
    family, _, name = operation.rpartition(".")
    if name == "update" and isinstance(getattr(client, family, None), Updating):
        if body.keys() != {"id", "changes"}:
            raise HTTPException(422, f"{operation} takes an object with id and changes")
        return [body["id"], body["changes"]], {}
    if operation not in _CALLS:
        raise HTTPException(404, f"no outbox sends {operation}{did_you_mean(operation, _CALLS)}")
    method = declared(attrgetter(operation)(client))
    inputs = dict(method.inputs)
    made = {}
    for name, value in body.items():
        wanted = inputs.get(method.signature.outside_path.get(name, ""))
        made[name] = value if wanted is None or not isinstance(value, dict) else wanted.from_dict(value)
    return [], made


def _status_page(outbox: Outbox) -> str:
    """Return a page for who owns the shop: counts and what to do, and nothing of a customer."""
    if outbox.failed:
        colour, head = "#b3261e", f"Could not be sent: {outbox.failed:,}"
        text = "Ask the person who maintains the till to stop this program and run: carecloud outbox FILE list"
    elif outbox.waiting and outbox.problem is not None:
        colour, head = "#8a5300", f"Waiting for the network or for CareCloud: {outbox.waiting:,}"
        text = "Nothing is lost. They are sent as soon as CareCloud can be reached; keep this computer running."
    elif outbox.waiting:
        colour, head = "#1a5fb4", f"On the way: {outbox.waiting:,}"
        text = "They are being sent now."
    else:
        colour, head = "#1b6e3c", "Everything has been sent"
        text = "Nothing waits."
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<meta http-equiv=refresh content=10><title>Outbox</title>"
        "<body style='font:1.2rem system-ui;max-width:36rem;margin:4rem auto;padding:0 1rem'>"
        f"<h1 style='color:{colour}'>{head}</h1><p>{text}"
    )
