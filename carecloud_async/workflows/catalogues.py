"""Products, groups and brands in batches, with the outcome of each row.

Batches are sent with `ErrorProcessing.ROLL_BACK`, so that a success means that all rows were written; in the other mode
a success can hide refused rows. The rows at fault in a refused batch are found and reported. Rows are sent
without a look-up; `bulk_write` looks records up first, reads files, and survives a kill.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import frozen

from carecloud_async._base.runtime.validators import require_int
from carecloud_async.bulk.family import MAX_BATCH
from carecloud_async.bulk.sending import send_batch
from carecloud_async.errors import BadRequestError, CareCloudError, ConfigurationError, InvalidParam
from carecloud_async.models.enums import ErrorProcessing

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.models.products import ProductBrandInput, ProductGroupInput, ProductInput

__all__ = [
    "CatalogueReport",
    "RowResult",
    "RowStatus",
    "sync_product_brands",
    "sync_product_groups",
    "sync_products",
]

R = TypeVar("R")


class RowStatus(StrEnum):
    """The outcome of a row."""

    WRITTEN = "written"
    """The server has it."""
    REFUSED = "refused"
    """The server refused the row when it was sent alone; see the result's `reasons`."""
    UNKNOWN = "unknown"
    """The answer was lost."""


@frozen(kw_only=True)
class RowResult(Generic[R]):
    """The outcome of one row of a catalogue."""

    index: int
    """Number of the row, from 0, in the order in which the rows were given."""
    row: R
    """The row."""
    status: RowStatus
    """The outcome."""
    reasons: tuple[InvalidParam, ...] = ()
    """The refused fields with the API's reason codes, if the row was refused."""


@frozen(kw_only=True)
class CatalogueReport(Generic[R]):
    """The outcome of a catalogue: one result for each row, in the order of the rows.

    If a run ends with an error, `error.report` is the outcome: rows without a result were not written.
    """

    rows: tuple[RowResult[R], ...]
    """The results."""
    requests: int
    """Batches that were sent."""

    @property
    def refused(self) -> tuple[RowResult[R], ...]:
        """The rows that the server refused."""
        return tuple(row for row in self.rows if row.status is RowStatus.REFUSED)

    @property
    def unknown(self) -> tuple[RowResult[R], ...]:
        """The rows whose answer was lost: send them again."""
        return tuple(row for row in self.rows if row.status is RowStatus.UNKNOWN)

    @property
    def written(self) -> int:
        """Number of rows that the server has."""
        return sum(row.status is RowStatus.WRITTEN for row in self.rows)


async def sync_products(
    client: CareCloud, *, products: Iterable[ProductInput], batch_size: int = MAX_BATCH
) -> CatalogueReport[ProductInput]:
    """Write products: create new ones, update known ones, and keep the fields that a row omits.

    All rows are sent, and each has a result. A batch that is refused is undone by the server and sent again in parts
    until the rows at fault stand alone. This takes a few requests for each refused row, and about two per row if all
    are refused. A batch whose answer is lost is sent once more; its rows are `unknown` if that fails too.

    Operation (Enterprise API only): `POST /products/batch` with `ErrorProcessing.ROLL_BACK`.

    Args:
        client: the client, of an enterprise user.
        products: the rows; read as they are needed.
        batch_size: rows in a request, 1 to 1,000; fewer where the server takes long.

    Raises:
        ConfigurationError: `batch_size` is out of range.
        CareCloudError: the server cannot be reached or refuses the client; `error.report` is the `CatalogueReport` of
            the rows until then. Run it again.
    """
    catalogue: _Catalogue[ProductInput] = _Catalogue(send=client.products.batch, may_resend=True)
    return await catalogue.sync(products, batch_size)


async def sync_product_groups(
    client: CareCloud, *, product_groups: Iterable[ProductGroupInput], batch_size: int = MAX_BATCH
) -> CatalogueReport[ProductGroupInput]:
    """Write product groups, known by their external ids; as `sync_products`. Send parents before children.

    Operation (Enterprise API only): `POST /product-groups/batch` with `ErrorProcessing.ROLL_BACK`.

    Args:
        client: the client, of an enterprise user.
        product_groups: the rows; read as they are needed.
        batch_size: rows in a request, 1 to 1,000.

    Raises:
        ConfigurationError: `batch_size` is out of range.
        CareCloudError: as `sync_products`.
    """
    catalogue: _Catalogue[ProductGroupInput] = _Catalogue(send=client.product_groups.batch, may_resend=True)
    return await catalogue.sync(product_groups, batch_size)


async def sync_product_brands(
    client: CareCloud, *, product_brands: Iterable[ProductBrandInput], batch_size: int = MAX_BATCH
) -> CatalogueReport[ProductBrandInput]:
    """Write product brands; as `sync_products`, but no row is ever written twice.

    The API does not say that a known brand is updated. So a batch whose answer is lost is not sent again: its rows are
    `unknown`.

    Operation (Enterprise API only): `POST /product-brands/batch` with `ErrorProcessing.ROLL_BACK`.

    Args:
        client: the client, of an enterprise user.
        product_brands: the rows; read as they are needed.
        batch_size: rows in a request, 1 to 1,000.

    Raises:
        ConfigurationError: `batch_size` is out of range.
        CareCloudError: as `sync_products`.
    """
    catalogue: _Catalogue[ProductBrandInput] = _Catalogue(send=client.product_brands.batch, may_resend=False)
    return await catalogue.sync(product_brands, batch_size)


class _Catalogue(Generic[R]):
    """One run over the rows of a catalogue.

    Args:
        send: sends a batch.
        may_resend: whether the API updates known rows, so that a lost batch may be resent.
    """

    def __init__(self, *, send: Callable[..., Coroutine[None, None, None]], may_resend: bool) -> None:
        self._send = send
        self._may_resend = may_resend
        self._requests = 0
        self._results: list[RowResult[R]] = []

    async def sync(self, rows: Iterable[R], batch_size: int) -> CatalogueReport[R]:
        """Write all rows and report each."""
        require_int("batch_size", batch_size, least=1)
        if batch_size > MAX_BATCH:
            raise ConfigurationError(f"batch_size must be at most {MAX_BATCH}: the API takes no more rows in a request")
        numbered = enumerate(rows)
        try:
            while batch := dict(islice(numbered, batch_size)):
                await send_batch(batch, send=self._post, is_refusal=_is_refusal, note=partial(self._note, batch))
        except CareCloudError as error:
            error.report = self._report()
            raise
        return self._report()

    def _report(self) -> CatalogueReport[R]:
        rows = sorted(self._results, key=lambda result: result.index)
        return CatalogueReport(rows=tuple(rows), requests=self._requests)

    def _note(self, batch: Mapping[int, R], numbers: Sequence[int], error: CareCloudError | None) -> None:
        status = RowStatus.WRITTEN
        if error is not None:
            status = RowStatus.UNKNOWN if error.may_have_happened else RowStatus.REFUSED
        reasons = error.invalid_params if isinstance(error, BadRequestError) else ()
        self._results += [
            RowResult(index=number, row=batch[number], status=status, reasons=reasons) for number in numbers
        ]

    async def _post(self, rows: Sequence[R], *, is_repeat: bool = False) -> None:
        """Send a batch, and once more after a lost answer where the API allows it."""
        self._requests += 1
        try:
            await self._send(rows, error_processing=ErrorProcessing.ROLL_BACK)
        except CareCloudError as error:
            if is_repeat:
                # The first request may have written the rows, unless the server now refuses them.
                error.may_have_happened |= not _is_refusal(error)
                raise
            if not self._may_resend or not error.may_have_happened:
                raise
            await self._post(rows, is_repeat=True)


def _is_refusal(error: CareCloudError) -> bool:
    return isinstance(error, BadRequestError)
