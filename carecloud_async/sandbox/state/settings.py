"""Settings of the server's behaviour; every field may be changed while it runs."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import attrs


class Settings:
    """Settings of a sandbox, read again for every request.

    Attributes:
        zone: Time zone of the project; every timestamp in an answer is local to it and says no offset.
        token_lifetime: Seconds that the token of an enterprise login is valid.
        reuse_tokens: Seconds before a token's end until which a further login of the same user is handed the same token
            again; `None` makes a new token at each login.
        login_status: Status of a successful enterprise login, 200 or 201.
        login_refusal: Status for a wrong password; `None`: as the vendor documents, 403 for users, 401 for customers.
        unbound_status: Status for customer data asked for with a device token that no customer is logged in on.
        max_count: Most records in a page, for any `count`; `None`: no cap.
        pretty: Whether JSON answers are pretty-printed.
        total_items_first: Whether `total_items` is written before the records of a list.
        unstable_ties: Whether records that are equal in the sort field come in another order each time.
        shuffled: Whether every page is taken from another order, with any sort.
        sorts: Whether `sort_field` and `sort_direction` are honoured.
        filters: Whether filters are honoured; if not, each finds everything.
        totals: Whether lists say `total_items`.
        uneven_names: Whether every fourth `invalid_params` names its parameter by a list, a number or an object.
        latency: Seconds that every answer takes.
        rate_limit: Requests a second above which the answer is 429; `None` sets no limit.
        rate_limit_retry_after: Seconds in the `Retry-After` of such a 429; `None` leaves the header out.
        set_cookies: Whether each answer sets a cookie.
        date_header: Whether answers carry `Date`.
        date_offset: Seconds by which that `Date` is ahead of the server's clock.
        request_id_header: Whether answers carry `X-Request-Id`.
        batch_report: Whether a batch that kept its valid rows answers 400 with the invalid rows; otherwise 204.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone: ZoneInfo = zone
        self.token_lifetime: float = 7 * 3600
        self.reuse_tokens: float | None = None
        self.login_status: int = 200
        self.login_refusal: int | None = None
        self.unbound_status: int = 401
        self.max_count: int | None = None
        self.pretty: bool = False
        self.total_items_first: bool = False
        self.unstable_ties: bool = False
        self.shuffled: bool = False
        self.sorts: bool = True
        self.filters: bool = True
        self.totals: bool = True
        self.uneven_names: bool = True
        self.latency: float = 0.0
        self.rate_limit: float | None = None
        self.rate_limit_retry_after: float | None = None
        self.set_cookies: bool = False
        self.date_header: bool = True
        self.date_offset: float = 0.0
        self.request_id_header: bool = True
        self.batch_report: bool = True


@attrs.frozen(kw_only=True)
class Overrides:
    """False answers that a test asked for; see `Sandbox.lie`.

    Attributes:
        total_items: Total of every list, instead of the true one.
        valid_to: End of every new enterprise token as text, instead of the true one.
        repeat_page: Whether every page is the first one, at any `offset`.
        empty_from: Offset from which on pages are empty although `total_items` promises more.
    """

    total_items: int | None = None
    valid_to: str | None = None
    repeat_page: bool = False
    empty_from: int | None = None
