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

from typing import TYPE_CHECKING

from carecloud_async.workflows import cards, catalogues, checkout, customers, duplicates, events, logins, point_of_sale
from carecloud_async.workflows import dossier as _dossier
from carecloud_async.workflows.cards import *
from carecloud_async.workflows.catalogues import *
from carecloud_async.workflows.checkout import *
from carecloud_async.workflows.customers import *
from carecloud_async.workflows.dossier import *
from carecloud_async.workflows.duplicates import *
from carecloud_async.workflows.events import *
from carecloud_async.workflows.logins import *
from carecloud_async.workflows.point_of_sale import *

_MODULES = (cards, catalogues, checkout, customers, _dossier, duplicates, events, logins, point_of_sale)

if not TYPE_CHECKING:  # type checkers read the star imports
    __all__ = sorted(
        (name for module in _MODULES for name in module.__all__), key=lambda name: (not name[0].isupper(), name)
    )
