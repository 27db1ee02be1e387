"""`client.customers`: read, create, change and replace customers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

from carecloud_async import codec
from carecloud_async.calls.caller import Caller
from carecloud_async.errors import ConfigurationError
from carecloud_async.models import (
    UNSET,
    Customer,
    CustomerChanges,
    CustomerInput,
    CustomerSourceInput,
    CustomerUpdateInput,
    PropertyRecordInput,
    SocialNetworkCredentialsInput,
    Unset,
    merge_changes,
)
from carecloud_async.paging.listing import Listing, listing
from carecloud_async.resources.bodies import drop_unset, no_content, refuse_read_models, require_input
from carecloud_async.resources.customers import operations

#: What stands beside the record in a PUT, and is never read back.
_BESIDE = ("password", "social_network_credentials", "property_records")


class Customers:
    """The customers of the project, or on the customer interface the one who is logged in.

    Args:
        caller: makes the calls.
        acting: whether this is a view (`client.acting_as`) of another identity than the client's own.
    """

    def __init__(self, caller: Caller, *, acting: bool) -> None:
        self._caller = caller
        self._acting = acting

    def list(
        self,
        *,
        count: int = 100,
        offset: int = 0,
        sort_field: str | None = None,
        sort_direction: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        customer_source_id: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        birthdate: date | str | None = None,
        email_list: Sequence[str] | None = None,
        customer_ids: Sequence[str] | None = None,
        customer_short_salutation: bool | None = None,
    ) -> Listing[Customer]:
        """List customers that match all filters (`GET /customers`).

        Args:
            count: records per page; a server may send fewer.
            offset: records to skip.
            sort_field: a first-level field, such as `last_change`.
            sort_direction: `ASC` or `DESC`.
            email: the exact e-mail.
            phone: the phone number with its international prefix.
            customer_source_id: the source the customer came by.
            first_name: the first name.
            last_name: the last name.
            birthdate: a date, or `YYYY-MM-DD`.
            email_list: any of these e-mails, up to 1,000.
            customer_ids: any of these ids, up to 1,000.
            customer_short_salutation: whether the salutation comes in its short form.

        Raises:
            ConfigurationError: a number is out of range or a list is empty or too long.
        """
        return listing(
            self._caller,
            operations.LIST,
            Customer,
            count=count,
            offset=offset,
            sort_field=sort_field,
            sort_direction=sort_direction,
            email=email,
            phone=phone,
            customer_source_id=customer_source_id,
            first_name=first_name,
            last_name=last_name,
            birthdate=birthdate,
            email_list=email_list,
            customer_ids=customer_ids,
            customer_short_salutation=customer_short_salutation,
        )

    async def get(self, customer_id: str, *, customer_short_salutation: bool | None = None) -> Customer:
        """Return one customer (`GET /customers/{customer_id}`).

        Raises:
            NotFoundError: there is no such customer.
        """
        return await self._caller.call(
            operations.GET,
            decode=partial(codec.record, into=Customer),
            path_params={"customer_id": customer_id},
            params={"customer_short_salutation": customer_short_salutation},
        )

    async def me(self) -> Customer:
        """Return the customer who is logged in (`GET /customers` on the customer interface).

        Raises:
            InterfaceError: this identity is no customer.
            SessionExpiredError: the login is over and cannot be renewed.
            ResponseError: the server names no customer: nobody is logged in on this device token.
        """
        customer = await listing(self._caller, operations.ME, Customer).first()
        if customer is None:
            raise self._caller.broken(operations.ME, "no customer is logged in on this token")
        return customer

    async def create(
        self,
        customer: CustomerInput,
        *,
        customer_source: CustomerSourceInput,
        password: str | None = None,
        property_records: Sequence[PropertyRecordInput] | None = None,
        social_network_credentials: SocialNetworkCredentialsInput | None = None,
        referral_code: str | None = None,
        autologin: bool = False,
    ) -> str:
        """Create a customer (`POST /customers`) and return the new customer's id.

        Args:
            customer: the record.
            customer_source: where the customer comes from.
            password: the customer's password; required with `autologin`.
            property_records: values of the project's own properties.
            social_network_credentials: a login through a social network.
            referral_code: the code of the customer who sent this one.
            autologin: log the calling device token in as the new customer. Only on a view made by `acting_as` for
                another device than the client's own, which would turn everyone's token into this customer's.

        Raises:
            BadRequestError: for example `has_reason("already_exists")`.
            OutcomeUnknownError: the answer was lost; look for the customer before trying again.
            ConfigurationError: `autologin` on the client's own device or without a password, or a read model as
                input.
        """
        require_input(customer, CustomerInput)
        require_input(customer_source, CustomerSourceInput)
        if autologin and not self._acting:
            raise ConfigurationError(
                "autologin binds the calling token to the new customer: use it on client.acting_as(another device), "
                "the client's own is everyone's"
            )
        if autologin and not password:
            raise ConfigurationError("autologin needs the new customer's password")
        beside = drop_unset(
            password=password,
            property_records=property_records,
            social_network_credentials=social_network_credentials,
            referral_code=referral_code,
        )
        body = {"customer": customer, "customer_source": customer_source, "autologin": autologin, **beside}
        refuse_read_models(body, "create")
        data = await self._caller.call(operations.CREATE, decode=codec.data, json=body)
        return self._caller.text(operations.CREATE, data, "customer_id")

    async def update(self, customer_id: str, changes: CustomerChanges, *, allow_unknown: bool = False) -> None:
        """Change what is named and nothing else (`GET`, then `PUT /customers/{customer_id}`).

        The record is read as the server has it and sent back with the changes merged in, unknown fields included.
        Dicts merge deeply, lists are replaced whole, `None` sends null. Whoever changes the record between the two
        requests is overwritten: the API has no way to prevent it. `password`, `social_network_credentials` and
        `property_records` are sent only if named; left out, the API keeps the first two, and the third is not
        promised either way.

        Args:
            customer_id: the customer.
            changes: the new values, by the API's names.
            allow_unknown: let names by that the SDK does not know.

        Raises:
            ConfigurationError: a name is unknown (the message has the nearest one) or read-only.
            NotFoundError: there is no such customer.
        """
        # What is wrong with the changes should show before anything is sent.
        merge_changes({}, changes, model=CustomerUpdateInput, allow_unknown=allow_unknown)
        record: Any = await self._caller.call(
            operations.GET, decode=codec.data, path_params={"customer_id": customer_id}
        )
        if not isinstance(record, dict):
            raise self._caller.broken(operations.GET, "data is no object")
        merged = merge_changes(record, changes, model=CustomerUpdateInput, allow_unknown=allow_unknown)
        beside = {name: merged.pop(name) for name in _BESIDE if name in changes and name in merged}
        await self._caller.call(
            operations.REPLACE,
            decode=no_content,
            path_params={"customer_id": customer_id},
            json={"customer": merged, **beside},
        )

    async def replace(
        self,
        customer_id: str,
        customer: CustomerInput,
        *,
        password: str | Unset | None = UNSET,
        property_records: Sequence[PropertyRecordInput] | Unset | None = UNSET,
        social_network_credentials: SocialNetworkCredentialsInput | Unset | None = UNSET,
    ) -> None:
        """Replace the whole record (`PUT /customers/{customer_id}`): what is left out of it is deleted.

        Args:
            customer_id: the customer.
            customer: the new record.
            password: a new password; left out, the old one stays.
            property_records: values of the project's own properties.
            social_network_credentials: a login through a social network; left out, the old one stays.

        Raises:
            ConfigurationError: a read model as input; `update` is what changes parts of a record.
            NotFoundError: there is no such customer.
        """
        require_input(customer, CustomerInput)
        beside = drop_unset(
            UNSET,
            password=password,
            property_records=property_records,
            social_network_credentials=social_network_credentials,
        )
        body = {"customer": customer, **beside}
        refuse_read_models(body, "replace")
        await self._caller.call(
            operations.REPLACE, decode=no_content, path_params={"customer_id": customer_id}, json=body
        )
