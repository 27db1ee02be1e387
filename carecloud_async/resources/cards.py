# pyright: reportReturnType=false
"""`client.cards`, `client.card_types`, `client.entrances`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, Key
from carecloud_async.resources.batches import batches
from carecloud_async.resources.declare import Paging, Resource, SubResource, gets, lists, posts, puts
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.models import *


class Cards(Updating["CardChanges", "Card"], call="cards"):
    """Customers' cards, and cards that are still free."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(Key(name="card_id", by_id=True), Key(name="card_number", filter="card_number_list", many=True))
    )

    @lists("getCards", "/cards", id_field="card_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        card_number: str | None = None,
        card_type_id: str | None = None,
        state: int | None = None,
        is_valid: bool | None = None,
        card_number_list: Sequence[str] | None = None,
        search_secondary_card_number: bool | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Card]:
        """List cards that match all filters (`GET /cards`).

        Args:
            customer_id: id of the customer.
            card_number: number of the card.
            card_type_id: id of the card type.
            state: see `BlockableState`.
            is_valid: `True` for valid ones only, `False` for those that are not.
            card_number_list: any of these numbers, up to 1,000.
            search_secondary_card_number: whether secondary card numbers are searched too.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @posts("postCard", "/cards", unwrap="card_id", interfaces=ENTERPRISE_ONLY)
    async def create(self, card: CardInput) -> str:
        """Create a card and return its id (`POST /cards`). Enterprise API only."""

    @gets("getCard", "/cards/{card_id}")
    async def get(self, card_id: str) -> Card:
        """Return the card with this id (`GET /cards/{card_id}`)."""

    @puts("putCard", "/cards/{card_id}")
    async def replace(self, card_id: str, card: CardInput) -> None:
        """Replace a card (`PUT /cards/{card_id}`): omitted fields are deleted."""

    @posts("postAssignCard", "/cards/actions/assign-free-card", unwrap="card_id")
    async def assign_free_card(self, *, card_type_id: str, customer_id: str, card_number: str | None = None) -> str:
        """Give a customer `card_number` or a free card and return its id (`POST /cards/actions/assign-free-card`)."""

    @posts("postValidateFreeCard", "/cards/actions/validate-free-card", unwrap="is_free_to_use", safe_to_repeat=True)
    async def validate_free_card(self, *, card_number: str) -> bool:
        """Return whether a card is free: of no customer, and not blocked (`POST /cards/actions/validate-free-card`)."""

    @posts("postGenerateDigitalCard", "/cards/actions/generate-digital-card-file", unwrap="file_url")
    async def generate_digital_card_file(self, *, card_id: str, file_type: str) -> str:
        """Return the URL of a card's file of a `CardFileType` (`POST /cards/actions/generate-digital-card-file`)."""

    @posts("postGeneratePassMachine", "/cards/actions/generate-pass-machine-card", unwrap="file_url")
    async def generate_pass_machine_card(self, *, customer_id: str, passmachine_template_id: str | None = None) -> str:
        """Return the URL of a PassMachine card; the customer must have a card.

        `POST /cards/actions/generate-pass-machine-card`.

        Args:
            customer_id: id of the customer.
            passmachine_template_id: id of the passmachine template.
        """

    @posts("postValidateIsicCard", "/cards/actions/validate-isic-card", safe_to_repeat=True)
    async def validate_isic_card(
        self, *, card_number: str, last_name: str, check_usage: bool | None = None
    ) -> IsicCardValidation:
        """Return whether an ISIC card is valid and, if asked, free to use (`POST /cards/actions/validate-isic-card`).

        Args:
            card_number: number of the card.
            last_name: family name.
            check_usage: also check whether the card is still free to use.
        """

    @batches("postBatchCards", "/cards/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(self, cards: Sequence[CardInput], *, error_processing: int | None = None) -> None:
        """Write up to 1,000 cards (`POST /cards/batch`). Enterprise API only.

        `error_processing` is an `ErrorProcessing`; left out, one error undoes everything. With `KEEP_VALID` a success
        does not prove that every row was written; the `report` of a `BadRequestError` says which ones were refused.
        """


class CardTypeCards(Resource, call="card_types.cards"):
    """The cards of one card type."""

    @lists("getSubCardTypeCards", "/card-types/{card_type_id}/cards", id_field="card_id")
    def list(
        self, *, customer_id: str | None = None, is_valid: bool | None = None, **paging: Unpack[Paging]
    ) -> Listing[Card]:
        """List the type's cards by customer and `is_valid` (`GET /card-types/{card_type_id}/cards`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class CardTypes(Updating["CardTypeChanges", "CardType"], call="card_types"):
    """The kinds of cards, such as a loyalty card."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(
            Key(name="card_type_id", by_id=True),
            Key(name="text_id", filter="text_id"),
            Key(name="name", filter="name"),
        )
    )

    cards: SubResource[CardTypeCards] = SubResource(CardTypeCards)

    @lists("getCardTypes", "/card-types", id_field="card_type_id")
    def list(
        self, *, name: str | None = None, text_id: str | Sequence[str] | None = None, **paging: Unpack[Paging]
    ) -> Listing[CardType]:
        """List card types by part of the `name`, one `text_id` or several (`GET /card-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts("postCardType", "/card-types", unwrap="card_type_id")
    async def create(self, card_type: CardTypeInput) -> str:
        """Create a card type and return its id (`POST /card-types`)."""

    @gets("getCardType", "/card-types/{card_type_id}")
    async def get(self, card_type_id: str) -> CardType:
        """Return the card type with this id (`GET /card-types/{card_type_id}`)."""

    @puts("putCardType", "/card-types/{card_type_id}")
    async def replace(self, card_type_id: str, card_type: CardTypeInput) -> None:
        """Replace a card type (`PUT /card-types/{card_type_id}`): omitted fields are deleted."""


class Entrances(Updating["EntranceChanges", "Entrance"], call="entrances", ids_in_record=("entrance_id",)):
    """Customers' entrances to resorts."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(Key(name="entrance_id", by_id=True), Key(name="external_entrance_id", filter="external_entrance_id"))
    )

    @lists("getEntrances", "/entrances", id_field="entrance_id")
    def list(
        self,
        *,
        pos_id: int | None = None,
        external_order_id: str | None = None,
        name: str | None = None,
        resort_name: str | None = None,
        customer_category_name: str | None = None,
        card_id: str | None = None,
        customer_id: str | None = None,
        entrance_type_id: int | None = None,
        state: int | None = None,
        external_entrance_id: str | None = None,
        is_valid: bool | None = None,
        is_cancelled: bool | None = None,
        valid_from: date | str | None = None,
        valid_to: date | str | None = None,
        product_id: str | None = None,
        external_turnstile_permission_id: str | None = None,
        order_item_id: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Entrance]:
        """List entrances that match all filters (`GET /entrances`).

        Args:
            pos_id: see `PosSystem`.
            external_order_id: id of the external order.
            name: part of the name.
            resort_name: name of the resort.
            customer_category_name: name of the customer's category.
            card_id: id of the card.
            customer_id: id of the customer.
            entrance_type_id: see `EntranceType`.
            state: see `EntranceState`.
            external_entrance_id: id of the external entrance.
            is_valid: `True` for valid ones only, `False` for those that are not.
            is_cancelled: `True` for cancelled ones only, `False` for those that are not.
            valid_from: start of the validity to look for.
            valid_to: end of the validity to look for.
            product_id: id of the product.
            external_turnstile_permission_id: id of the external turnstile permission.
            order_item_id: id of the order item.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getEntrance", "/entrances/{entrance_id}")
    async def get(self, entrance_id: str) -> Entrance:
        """Return the entrance with this id (`GET /entrances/{entrance_id}`)."""

    @puts("putEntrance", "/entrances/{entrance_id}")
    async def replace(self, entrance_id: str, entrance: EntranceInput) -> None:
        """Replace an entrance (`PUT /entrances/{entrance_id}`): omitted fields are deleted."""

    @gets("getEntrancesOverview", "/entrances/actions/overview")
    async def overview(
        self, *, valid_from: date | str | None = None, valid_to: date | str | None = None, pos_id: int | None = None
    ) -> EntrancesOverview:
        """Return the numbers of entrances between two days at a `PosSystem` (`GET /entrances/actions/overview`)."""

    @gets("getEntrancesCustomerStats", "/entrances/actions/customer-stats")
    async def customer_stats(self, *, customer_id: str) -> EntranceCustomerStats:
        """Return how the customer `customer_id` used entrances (`GET /entrances/actions/customer-stats`)."""
