"""A call centre's lookup: search customers, show one, export a search as NDJSON.

Run it with the CARECLOUD_* variables set:

    uvicorn call_centre:app
"""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Response
from pydantic import BaseModel, ConfigDict

from carecloud_async import CareCloud, CareCloudError, Customer
from carecloud_async.fastapi import CareCloudDep, NdjsonResponse, carecloud_lifespan, install_error_handlers, ndjson

MOST_SHOWN = 50

logging.basicConfig(level=logging.INFO)  # uvicorn shows no logs of libraries
app = FastAPI(title="Call centre", lifespan=carecloud_lifespan(CareCloud.from_env))
install_error_handlers(app)


class Search(BaseModel):
    """The search of a caller; the API joins the fields with AND.

    An unknown name is refused: `?last_nam=Smith` without its filter would find every customer.
    """

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, str_min_length=1)

    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None

    def filters(self) -> dict[str, Any]:
        """Return the filters for `customers.list`."""
        return self.model_dump(exclude_none=True)


#: An id as the API makes them. Anything else is refused here, before it becomes part of a path.
CustomerId = Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,64}$")]


@app.get("/customers")
async def search(carecloud: CareCloudDep, search: Annotated[Search, Query()]) -> list[Customer]:
    """Show the first customers that match."""
    return await carecloud.customers.list(**search.filters()).collect(limit=MOST_SHOWN)


@app.get("/customers/{customer_id}")
async def show(carecloud: CareCloudDep, customer_id: CustomerId) -> Customer:
    """Show a customer."""
    return await carecloud.customers.get(customer_id)


@app.get("/exports/customers.ndjson", response_class=NdjsonResponse)
async def export(carecloud: CareCloudDep, search: Annotated[Search, Query()]) -> NdjsonResponse:
    """Send all customers that match, one JSON record a line, a page in memory at a time."""
    listing = carecloud.customers.list(count=1000, **search.filters())
    return ndjson(listing, headers={"Content-Disposition": 'attachment; filename="customers.ndjson"'})


@app.get("/health/live")
async def live() -> None:
    """Say that this worker runs. This sends nothing."""


@app.get("/health/ready")
async def ready(carecloud: CareCloudDep, response: Response) -> dict[str, bool]:
    """Say whether calls to CareCloud can be made."""
    try:
        await carecloud.with_options(timeout=2).ping()
    except CareCloudError:
        response.status_code = 503
        return {"ready": False}
    return {"ready": True}
