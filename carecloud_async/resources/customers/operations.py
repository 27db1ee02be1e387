"""The operations of customers: the rows of the table that this family's methods read."""

from __future__ import annotations

from carecloud_async.calls.operation import CUSTOMER_ONLY, PAGING, Operation, table

LIST = Operation(
    operation_id="getCustomers",
    method="GET",
    path="/customers",
    call="customers.list",
    parameters=(
        *PAGING,
        "email",
        "phone",
        "customer_source_id",
        "first_name",
        "last_name",
        "birthdate",
        "email_list",
        "customer_ids",
        "customer_short_salutation",
    ),
    lists=("email_list", "customer_ids"),
    paged=True,
    result_key="customers",
    id_field="customer_id",
)
GET = Operation(
    operation_id="getCustomer",
    method="GET",
    path="/customers/{customer_id}",
    call="customers.get",
    parameters=("customer_short_salutation",),
)
CREATE = Operation(operation_id="postCustomer", method="POST", path="/customers", call="customers.create")
REPLACE = Operation(operation_id="putCustomer", method="PUT", path="/customers/{customer_id}", call="customers.replace")

OPERATIONS = table((LIST, GET, CREATE, REPLACE))

#: `me` is the list as the customer interface answers it: the customer who is logged in, alone.
ME = Operation(
    operation_id="getCustomers",
    method="GET",
    path="/customers",
    call="customers.me",
    interfaces=CUSTOMER_ONLY,
    paged=True,
    result_key="customers",
    id_field="customer_id",
)
