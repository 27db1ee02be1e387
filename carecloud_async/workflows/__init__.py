"""The vendor's integration guides as functions: some lines each, on top of the client's own methods.

Each takes the client first and everything else by name, and says in its docstring which operations it uses. They add
what the API does not do: they look before they write, never take over the record of another customer, and find out
what became of a write whose answer was lost, since the API has no idempotency key.

```python
from carecloud_async.workflows import sync_customer

synced = await sync_customer(client, customer_source_id=SHOP, external_id="A66854921C", customer=customer)
print(synced.customer_id, synced.created)
```
"""

from __future__ import annotations

from carecloud_async.workflows.cards import AssignedCard, CardOrigin, assign_card, assign_card_number
from carecloud_async.workflows.catalogues import (
    CatalogueReport,
    RowResult,
    RowStatus,
    sync_product_brands,
    sync_product_groups,
    sync_products,
)
from carecloud_async.workflows.checkout import (
    Checkout,
    SentPurchase,
    accept_payment,
    cancel_purchase,
    canceled_bill,
    close_bill,
    find_purchase,
    resend_purchase,
    send_purchase,
)
from carecloud_async.workflows.customers import (
    CreatedCustomer,
    NewCard,
    SyncedCustomer,
    create_customer,
    find_customer,
    link_customer,
    sync_customer,
)
from carecloud_async.workflows.dossier import Dossier, DossierPart, PartStatus, dossier
from carecloud_async.workflows.duplicates import DuplicatesReport, find_duplicates
from carecloud_async.workflows.events import RecordedEvent, record_event
from carecloud_async.workflows.logins import (
    HandoverToken,
    LoginCase,
    LoginCheck,
    PasswordLogin,
    SignUpCheck,
    check_login,
    check_sign_up,
    send_password_link,
    send_password_setup,
    set_password,
    sign_up,
    sign_up_for_newsletter,
)
from carecloud_async.workflows.point_of_sale import (
    CustomerOffers,
    FoundCustomer,
    MatchedBy,
    customer_offers,
    find_at_point_of_sale,
)

__all__ = [
    "AssignedCard",
    "CardOrigin",
    "CatalogueReport",
    "Checkout",
    "CreatedCustomer",
    "CustomerOffers",
    "Dossier",
    "DossierPart",
    "DuplicatesReport",
    "FoundCustomer",
    "HandoverToken",
    "LoginCase",
    "LoginCheck",
    "MatchedBy",
    "NewCard",
    "PartStatus",
    "PasswordLogin",
    "RecordedEvent",
    "RowResult",
    "RowStatus",
    "SentPurchase",
    "SignUpCheck",
    "SyncedCustomer",
    "accept_payment",
    "assign_card",
    "assign_card_number",
    "cancel_purchase",
    "canceled_bill",
    "check_login",
    "check_sign_up",
    "close_bill",
    "create_customer",
    "customer_offers",
    "dossier",
    "find_at_point_of_sale",
    "find_customer",
    "find_duplicates",
    "find_purchase",
    "link_customer",
    "record_event",
    "resend_purchase",
    "send_password_link",
    "send_password_setup",
    "send_purchase",
    "set_password",
    "sign_up",
    "sign_up_for_newsletter",
    "sync_customer",
    "sync_product_brands",
    "sync_product_groups",
    "sync_products",
]
