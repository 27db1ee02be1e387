"""Findings about the families of the API: which of them this user may read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio
from attrs import evolve, field, frozen

from carecloud_async._calls.call.operation import Operation
from carecloud_async.check.probe import Param, Probe
from carecloud_async.check.replies import Outcome, Reply
from carecloud_async.check.report import CheckFinding, good, not_known, problem, warning
from carecloud_async.models.base import Model
from carecloud_async.resources.lookup.by_name import list_model, listable

__all__ = ["FamilyList", "ask_families", "family_findings"]

#: The families that are asked, as far as the requests of a check go; the others hold settings and lists of types.
_ASKED: Final = (
    "customers",
    "cards",
    "purchases",
    "vouchers",
    "rewards",
    "events",
    "points",
    "credits",
    "messages",
    "bookings",
    "orders",
    "tasks",
    "users",
    "stores",
    "products",
    "product_reservations",
    "segments",
    "statuses",
    "card_types",
    "customer_source_records",
    "customer_properties",
)
#: The records of a first page.
_FIRST_PAGE: Final = 5
_AT_ONCE: Final = 6


@frozen(kw_only=True)
class FamilyList:
    """The list of a family, and its first page.

    Attributes:
        name: the name of the family.
        operation: the list.
        into: the model of a record, of any family.
        probe: sends the requests.
        reply: its first page, or why there is none.
    """

    name: str
    operation: Operation
    into: type[Model]
    probe: Probe = field(repr=False)
    reply: Reply

    @property
    def id_field(self) -> str:
        """The field that names a record."""
        return self.operation.id_field or ""

    async def ask(self, **params: Param) -> Reply:
        """Ask for a page. A refusal counts only while the plain list comes: rights and tokens can end meanwhile."""
        reply = await self.probe.ask(self.operation, **params)
        if reply.is_page or not reply.is_evidence or await self.still_comes():
            return reply
        return evolve(reply, outcome=Outcome.GONE)

    async def still_comes(self) -> bool:
        """Return whether the plain list comes, with a token that is renewed if it has ended."""
        return (await self.probe.ask(self.operation, count=1)).is_page

    async def by_id(self, *, count: int, offset: int = 0, direction: str = "ASC") -> Reply:
        """Ask for a page in the order of the ids."""
        return await self.ask(count=count, offset=offset, sort_field=self.id_field, sort_direction=direction)


async def ask_families(probe: Probe) -> Sequence[FamilyList]:
    """Ask each family for its first records, a few at once.

    Args:
        probe: sends the requests.
    """
    found: dict[str, FamilyList] = {}
    slots = anyio.Semaphore(_AT_ONCE)
    known = listable()
    names = [name for name in _ASKED if probe.caller.interface in known[name].interfaces]

    async def ask(name: str) -> None:
        operation = known[name]
        async with slots:
            reply = await probe.ask(operation, count=_FIRST_PAGE)
        found[name] = FamilyList(name=name, operation=operation, into=list_model(operation), probe=probe, reply=reply)

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(ask, name)
    return [found[name] for name in names]


def family_findings(families: Sequence[FamilyList], *, of_device: bool) -> list[CheckFinding]:
    """Return which families can be read, why the others cannot, and which send longer pages than they are asked for.

    Args:
        families: the families and their first pages.
        of_device: whether they were asked for with the token of a device on which no customer is logged in.
    """
    names = {outcome: [one.name for one in families if one.reply.outcome is outcome] for outcome in Outcome}
    readable = names[Outcome.READ]
    found = []
    if readable:
        found.append(good("families", f"this user may read {', '.join(readable)}", "these can be read and exported"))
    elif all(one.reply.is_evidence for one in families):  # a 401 has a finding of its own
        found.append(
            problem(
                "families",
                f"none of the {len(families)} families that were asked can be read",
                "nothing can be exported, and nothing else could be examined",
                "see the findings below; ask the administrator which rights the API user has",
            )
        )
    if names[Outcome.ABSENT]:
        absent = f"the project does not have {', '.join(names[Outcome.ABSENT])} (404 or 405)"
        found.append(good("families", absent, "exports of these fail; a module that is not turned on is no fault"))
    reasons = {**_WHY, Outcome.UNAUTHORIZED: _NO_CUSTOMER} if of_device else _WHY
    found += [why.finding(names[outcome]) for outcome, why in reasons.items() if names[outcome]]
    long = [one.name for one in families if one.operation.paged and one.reply.length > _FIRST_PAGE]
    if long:
        found.append(
            problem(
                "page_size",
                f"{', '.join(long)} sent more records than count asked for",
                "pages are not what was asked: exports read more than they need, and memory is not bounded by a page",
                "tell the project's administrator; set a larger max_response_bytes if lists are long",
            )
        )
    return found


@frozen
class _Why:
    """The finding on families that cannot be read: its level, its name, what was seen, what it means, the fix."""

    level: Callable[[str, str, str, str], CheckFinding]
    name: str
    seen: str
    meaning: str
    fix: str

    def finding(self, names: Sequence[str]) -> CheckFinding:
        """Return the finding on the families of some names."""
        return self.level(self.name, self.seen.format(names=", ".join(names)), self.meaning, self.fix)


_NO_CUSTOMER: Final = _Why(
    not_known,
    "families",
    "no customer is logged in on this device, and {names} are refused (401)",
    "what a customer may read is not known; a login of a customer on this device opens these",
    "run it again with a CustomerSession",
)

_WHY: Final[Mapping[Outcome, _Why]] = {
    Outcome.FORBIDDEN: _Why(
        warning,
        "families",
        "this user may not read {names} (403)",
        "exports of these fail; bulk writes that look records up there fail as well",
        "ask the administrator for the rights, if they are needed",
    ),
    Outcome.UNAUTHORIZED: _Why(
        problem,
        "families",
        "a fresh token is refused for {names} (401)",
        "each call logs in again and fails",
        "ask the administrator; another client may end the token, or the proxy may remove the Authorization header",
    ),
    Outcome.IN_FRONT: _Why(
        problem,
        "answers",
        "something in front of CareCloud answered in place of {names}, twice: a proxy, a firewall or a login form",
        "exports and bulk writes stop at such an answer; after a write it is not known whether it happened",
        "let the proxy or firewall pass requests to the project (NO_PROXY), and check project_url",
    ),
    Outcome.NO_CONTENT: _Why(
        problem,
        "answers",
        "the answer for {names} has a success status and no body",
        "these cannot be read",
        "tell the project's administrator; if the lists are empty, see the finding on empty lists",
    ),
    Outcome.ERROR_AS_SUCCESS: _Why(
        problem,
        "answers",
        "the answer for {names} is an error with a success status",
        "these cannot be read, and a refusal looks like a fault",
        "tell the project's administrator, and report the names",
    ),
    Outcome.NOT_THE_LIST: _Why(
        problem,
        "answers",
        "the answer is not the API's for {names}: broken JSON, no list of that name under data, or too large",
        "these cannot be read",
        "check project_url; if it is right, update carecloud-async and report the names",
    ),
    Outcome.REFUSED: _Why(
        problem,
        "families",
        "the first page of {names} is refused (4xx)",
        "these cannot be listed",
        "report the names: the request is as the vendor describes it",
    ),
    Outcome.RATE_LIMITED: _Why(
        not_known,
        "families",
        "every request for {names} was refused with 429",
        "whether these can be read is not known",
        "see the finding on the rate limit, and run it again when the server is quiet",
    ),
    Outcome.FAILED: _Why(
        not_known,
        "families",
        "the server failed for {names} (5xx)",
        "whether these can be read is not known; while it fails, exports of these stop after the repeats",
        "run it again later; if it stays, tell the project's administrator",
    ),
    Outcome.NO_ANSWER: _Why(
        not_known,
        "families",
        "no answer came for {names}, or not in time",
        "whether these can be read is not known; while it is so, exports of these stop after the repeats",
        "check the network and the proxy, and run it again",
    ),
    Outcome.NOT_SENT: _Why(
        not_known,
        "unexamined",
        "{names} were not asked for: the requests of the check were used up, or too many in a row had failed",
        "whether these can be read is not known",
        "run it again when the server is quiet; each 429 and each 401 costs repeats",
    ),
}
