"""`client.cards`, `client.card_types`, `client.entrances`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Unpack

from carecloud_async.calls.operation import ENTERPRISE_ONLY
from carecloud_async.paging.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, gets, lists, posts, puts
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.models.cards import (
        Card,
        CardChanges,
        CardInput,
        CardType,
        CardTypeChanges,
        CardTypeInput,
        Entrance,
        EntranceChanges,
        EntranceCustomerStats,
        EntranceInput,
        EntrancesOverview,
        IsicCardValidation,
    )


class Cards(Updating, call="cards"):
    """Cards."""

    @lists("getCards", "/cards", "cards", key="card_id")
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
            is_valid: only valid ones, or only those that are not.
            card_number_list: any of these numbers, up to 1,000.
            search_secondary_card_number: whether secondary card numbers are searched too.
        """
        ...

    @posts("postCard", "/cards", answer="card_id", interfaces=ENTERPRISE_ONLY)
    async def create(self, card: CardInput) -> str:
        """Create a card and return its id (`POST /cards`). Enterprise API only."""
        ...

    @gets("getCard", "/cards/{card_id}")
    async def get(self, card_id: str) -> Card:
        """Return the card with this id (`GET /cards/{card_id}`)."""
        ...

    @puts("putCard", "/cards/{card_id}")
    async def replace(self, card_id: str, card: CardInput) -> None:
        """Replace a card (`PUT /cards/{card_id}`): what is left out is deleted."""
        ...

    async def update(
        self, card_id: str, changes: CardChanges, *, if_unchanged: Card | None = None, allow_unknown: bool = False
    ) -> None:
        """Change what is named of a card and nothing else (`GET`, then `PUT /cards/{card_id}`).

        The arguments and errors are those of `Customers.update`.
        """
        await self._update(card_id, changes, if_unchanged=if_unchanged, allow_unknown=allow_unknown)

    @posts("postAssignCard", "/cards/actions/assign-free-card", answer="card_id")
    async def assign_free_card(self, *, card_type_id: str, customer_id: str, card_number: str | None = None) -> str:
        """Assign a free card to a customer and return its id (`POST /cards/actions/assign-free-card`).

        Args:
            card_type_id: id of the card type.
            customer_id: id of the customer.
            card_number: number of the card.
        """
        ...

    @posts("postValidateFreeCard", "/cards/actions/validate-free-card", answer="is_free_to_use", safe_to_repeat=True)
    async def validate_free_card(self, *, card_number: str) -> bool:
        """Return whether a card is free: it exists, is not blocked and belongs to nobody.

        `POST /cards/actions/validate-free-card`.

        Args:
            card_number: number of the card.
        """
        ...

    @posts("postGenerateDigitalCard", "/cards/actions/generate-digital-card-file", answer="file_url")
    async def generate_digital_card_file(self, *, card_id: str, file_type: str) -> str:
        """Make a digital card and return the URL of its file (`POST /cards/actions/generate-digital-card-file`).

        Args:
            card_id: id of the card.
            file_type: see `CardFileType`.
        """
        ...

    @posts("postGeneratePassMachine", "/cards/actions/generate-pass-machine-card", answer="file_url")
    async def generate_pass_machine_card(self, *, customer_id: str, passmachine_template_id: str | None = None) -> str:
        """Return the URL of a PassMachine card; the customer must have a card.

        `POST /cards/actions/generate-pass-machine-card`.

        Args:
            customer_id: id of the customer.
            passmachine_template_id: id of the passmachine template.
        """
        ...

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
        ...

    @posts("postBatchCards", "/cards/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(self, cards: Sequence[CardInput], *, error_processing: int | None = None) -> None:
        """Write up to 1,000 cards (`POST /cards/batch`). Enterprise API only.

        `error_processing` says what happens when a record is at fault: all is undone, or the others are written.

        Args:
            cards: the cards to write, up to 1,000.
            error_processing: see `ErrorProcessing`; the server rolls everything back if left out.
        """
        ...


class CardTypeCards(Resource, call="card_types.cards"):
    """The cards of one card type."""

    @lists("getSubCardTypeCards", "/card-types/{card_type_id}/cards", "cards", key="card_id")
    def list(
        self, *, customer_id: str | None = None, is_valid: bool | None = None, **paging: Unpack[Paging]
    ) -> Listing[Card]:
        """List cards of the card type that match all filters (`GET /card-types/{card_type_id}/cards`).

        Args:
            customer_id: id of the customer.
            is_valid: only valid ones, or only those that are not.
        """
        ...


class CardTypes(Updating, call="card_types"):
    """Card types."""

    @lists("getCardTypes", "/card-types", "card_types", key="card_type_id")
    def list(
        self, *, name: str | None = None, text_id: str | Sequence[str] | None = None, **paging: Unpack[Paging]
    ) -> Listing[CardType]:
        """List card types that match all filters (`GET /card-types`).

        Args:
            name: part of the name.
            text_id: the text, or several.
        """
        ...

    @posts("postCardType", "/card-types", answer="card_type_id")
    async def create(self, card_type: CardTypeInput) -> str:
        """Create a card type and return its id (`POST /card-types`)."""
        ...

    @gets("getCardType", "/card-types/{card_type_id}")
    async def get(self, card_type_id: str) -> CardType:
        """Return the card type with this id (`GET /card-types/{card_type_id}`)."""
        ...

    @puts("putCardType", "/card-types/{card_type_id}")
    async def replace(self, card_type_id: str, card_type: CardTypeInput) -> None:
        """Replace a card type (`PUT /card-types/{card_type_id}`): what is left out is deleted."""
        ...

    async def update(
        self,
        card_type_id: str,
        changes: CardTypeChanges,
        *,
        if_unchanged: CardType | None = None,
        allow_unknown: bool = False,
    ) -> None:
        """Change what is named of a card type and nothing else (`GET`, then `PUT /card-types/{card_type_id}`).

        The arguments and errors are those of `Customers.update`.
        """
        await self._update(card_type_id, changes, if_unchanged=if_unchanged, allow_unknown=allow_unknown)

    def cards(self, card_type_id: str) -> CardTypeCards:
        """Bind the cards of the card type with this id."""
        return CardTypeCards(self._caller, acting=self._acting, card_type_id=card_type_id)


class Entrances(Updating, call="entrances"):
    """Entrances."""

    @lists("getEntrances", "/entrances", "entrances", key="entrance_id")
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
            is_valid: only valid ones, or only those that are not.
            is_cancelled: only cancelled ones, or only those that are not.
            valid_from: start of the validity to look for.
            valid_to: end of the validity to look for.
            product_id: id of the product.
            external_turnstile_permission_id: id of the external turnstile permission.
            order_item_id: id of the order item.
        """
        ...

    @gets("getEntrance", "/entrances/{entrance_id}")
    async def get(self, entrance_id: str) -> Entrance:
        """Return the entrance with this id (`GET /entrances/{entrance_id}`)."""
        ...

    @puts("putEntrance", "/entrances/{entrance_id}")
    async def replace(self, entrance_id: str, entrance: EntranceInput) -> None:
        """Replace an entrance (`PUT /entrances/{entrance_id}`): what is left out is deleted."""
        ...

    async def update(
        self,
        entrance_id: str,
        changes: EntranceChanges,
        *,
        if_unchanged: Entrance | None = None,
        allow_unknown: bool = False,
    ) -> None:
        """Change what is named of an entrance and nothing else (`GET`, then `PUT /entrances/{entrance_id}`).

        The arguments and errors are those of `Customers.update`.
        """
        await self._update(
            entrance_id, changes, inside=("entrance_id",), if_unchanged=if_unchanged, allow_unknown=allow_unknown
        )

    @gets("getEntrancesOverview", "/entrances/actions/overview")
    async def overview(
        self, *, valid_from: date | str | None = None, valid_to: date | str | None = None, pos_id: int | None = None
    ) -> EntrancesOverview:
        """Return the numbers of entrances in an interval (`GET /entrances/actions/overview`).

        Args:
            valid_from: start of the validity to look for.
            valid_to: end of the validity to look for.
            pos_id: see `PosSystem`.
        """
        ...

    @gets("getEntrancesCustomerStats", "/entrances/actions/customer-stats")
    async def customer_stats(self, *, customer_id: str) -> EntranceCustomerStats:
        """Return how a customer used entrances in an interval (`GET /entrances/actions/customer-stats`).

        Args:
            customer_id: id of the customer.
        """
        ...
