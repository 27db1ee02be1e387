"""Exports of lists that change: who stays is in the file, once, or the report is not exact."""

import itertools
import random

import httpx
import pytest
from every import every
from export_help import export, ids
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit import data, served
from lists import hexes, numbered
from lying import lie
from thorough import examples, variants

from benchmarks.api_rules import broken_rules
from benchmarks.busy_lists import BusyList, read_busy
from carecloud_async import ConnectionFailedError, ExportError, RetryPolicy
from carecloud_async.sandbox import Sandbox

#: Readings of one list, at most, and of one in no order.
SWEEPS, MOST_SWEEPS = 3, 10
PROPERTY = settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.anyio
@pytest.mark.parametrize("concurrency", [*variants(1), 8])
@pytest.mark.parametrize("kind", [*variants("delete", "insert"), "both"])
async def test_no_record_that_stays_is_missing_or_twice(tmp_path, kind, concurrency):
    """2,000 customers while each page of at most 150 deletes three, inserts three, or both, which need not be exact."""
    sandbox = Sandbox(customers=2000, seed=1, max_count=150)
    start, gone, dice = set(sandbox.customers.ids()), set(), random.Random(concurrency)

    def change(_):
        for _ in range(3):
            if kind != "insert":
                victim = sandbox.customers.id_at(dice.randrange(len(sandbox.customers)))
                sandbox.customers.delete(victim)
                gone.add(victim)
            if kind != "delete":
                sandbox.customers.insert()

    sandbox.on_page = change
    report = await export(sandbox, tmp_path / "c.jsonl", concurrency=concurrency, count=1000)
    written = ids(tmp_path / "c.jsonl")
    assert len(written) == len(set(written)) == report.records
    assert start - gone <= set(written)
    assert report.list_changed
    assert report.exact or (kind == "both" and report.passes == SWEEPS)
    assert report.requests <= SWEEPS * 5 * 14  # for each sweep five times its pages
    assert not broken_rules(sandbox)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("customers", "count", "cap"), [*variants((4000, 1000, 150), (1000, 100, None)), (600, 1000, 90)]
)
async def test_a_calm_export_costs_two_requests_more_than_pages(tmp_path, customers, count, cap):
    """Nothing changes: no change is reported, one pass in the order of ids, hardly a request more than needed."""
    sandbox = Sandbox(customers=customers, seed=1, max_count=cap)
    report = await export(sandbox, tmp_path / "c.jsonl", count=count)
    assert sorted(sandbox.customers.ids()) == ids(tmp_path / "c.jsonl")
    assert (report.list_changed, report.exact, report.total) == (False, True, customers)
    assert report.requests == sandbox.count("GET /customers") <= -(-customers // (cap or count)) + 2


@pytest.mark.parametrize("size", [0, 1, *variants(2), 49, 50, 51, *variants(98, 99, 100)])
def test_lists_of_every_length_are_whole(tmp_path, size):
    """Lists that end on a page's edge, are empty or short are exported whole, with few requests."""
    report, missing, _ = numbered(sorted(hexes(size))).export(tmp_path / "c.jsonl", count=50)
    assert (report.records, missing, report.list_changed, report.exact) == (size, set(), False, True)
    assert report.requests <= 4


@pytest.mark.parametrize("grow", [4, 60])
def test_a_list_that_grows_as_fast_as_it_is_read_ends(tmp_path, grow):
    """Records come at the end with each page, as many as it has or more: the export ends, and says so."""
    tail = itertools.count()

    def add(server):
        server.records.extend((f"b{next(tail):08}", 0) for _ in range(grow))

    server = numbered([f"a{number:08}" for number in range(100)], cap=5 if grow == 4 else None, churn=add)
    report, missing, _ = server.export(tmp_path / "c.jsonl", count=30, concurrency=2)
    assert (missing, report.exact) == (set(), False)
    assert server.requests < 200


def stop_at(request):
    """Return a change that loses the answer to a request, once."""
    lost = []

    def stop(server):
        if server.requests == request and not lost:
            lost.append(request)
            raise httpx.ReadError("the connection was lost")

    return stop


@pytest.mark.parametrize("stopped", [False, True])
def test_endless_change_ends_and_says_so(tmp_path, stopped):
    """A list in no order that never stands still is read a bounded number of times, those before a stop included."""
    fresh, stop = itertools.count(100), stop_at(20)

    def grow(server):
        server.records.append((f"{next(fresh):x}", 0))
        if stopped:
            stop(server)

    server, path = numbered([f"{number:x}" for number in range(100)], order="dealt", churn=grow), tmp_path / "c.jsonl"
    if stopped:
        with pytest.raises(ConnectionFailedError):
            server.export(path, count=30, client={"retry": RetryPolicy(attempts=1)})
    report, _, twice = server.export(path, count=30, resume=stopped)
    assert (report.exact, report.list_changed, twice) == (False, True, set())
    assert report.passes <= 10


def test_a_list_in_no_order_is_read_until_its_total_is_there(tmp_path):
    """A calm list in another order for every page is read again while its total counts more than was shown."""
    for seed in range(3):
        server = numbered(hexes(300), order="dealt", dice=random.Random(seed))
        report, missing, twice = server.export(tmp_path / "c.jsonl", count=60)
        assert (report.exact, twice) == (False, set())
        assert not missing or report.passes == MOST_SWEEPS


def test_a_run_goes_on_though_all_that_it_remembers_is_deleted(tmp_path):
    """All records that a run remembers are deleted: the next one steps back to one that is there."""
    server, path, stop = numbered(sorted(hexes(400))), tmp_path / "c.jsonl", stop_at(75)

    def delete_the_first(server):
        for _ in range(210 if server.requests == 40 else 0):
            server.delete(0)
        stop(server)

    server.churn = delete_the_first
    with pytest.raises(ConnectionFailedError):
        server.export(path, count=6, client={"retry": RetryPolicy(attempts=1)})
    report, missing, twice = server.export(path, count=6, resume=True)
    assert (report.exact, missing, twice) == (True, set(), set())


@pytest.mark.anyio
async def test_pretty_answers_give_one_line_a_record(tmp_path):
    """Records of a pretty-printing server are compact lines, unknown fields included."""
    sandbox = Sandbox(customers=30, seed=1)
    lie(sandbox, pretty=True)
    sandbox.customers.update(sandbox.customers.id_at(3), {"of_tomorrow": {"a": [1, "x\ny"]}})
    await export(sandbox, tmp_path / "c.jsonl", count=7)
    lines = (tmp_path / "c.jsonl").read_bytes().splitlines()
    assert len(lines) == 30
    assert sum(b'"of_tomorrow":{"a":[1,"x\\ny"]}' in line for line in lines) == 1


BUSY = {
    "deletions": BusyList(records=4000, deletes=50, count=100),
    "as many created as deleted": BusyList(records=4000, creates=20, deletes=20, count=100),
    "a replica that lags": BusyList(records=4000, creates=20, deletes=10, lag=5, count=100),
    "no sort": BusyList(records=2000, creates=5, deletes=5, count=100, is_sorted=False),
}


@pytest.mark.parametrize("name", BUSY)
def test_an_exact_report_of_a_busy_list_is_right(name):
    """What is called exact lacks nothing, and has nothing twice; without a replica two of three reports are exact."""
    readings = [read_busy(BUSY[name], seed) for seed in range(3)]
    exact = [reading for reading in readings if not reading.report.reasons]
    assert [(reading.lost, reading.twice) for reading in exact] == [(0, 0)] * len(exact)
    assert len(exact) >= 2 or BUSY[name].lag


#: Orders that a server may keep; `number` only for ids that are numbers.
ANY = ["text", "casefold", "collation", "shuffled", "dealt"]


def make_ids(kind, count, seed):
    dice = random.Random(seed)
    if kind == "numbers":
        first = dice.choice([1, 5, 91, 95, 990, 9990])
        return [str(first + index) for index in range(count)]
    if kind == "cases":
        return dice.sample([a + b + c for a in "aAbBcC" for b in "aBcDxY" for c in "pqRStU"], count)
    if kind == "punctuation":
        marks = ["", "-", "_", " "]
        return dice.sample([a + p + b + q for a in "abc" for p in marks for b in "abcd" for q in [*marks, "x"]], count)
    if kind == "types":
        return [name for index in range(count // 3 + 1) for name in (index, str(index), f"#{index}")][:count]
    if kind == "quotes":
        return dice.sample(
            [a + p + b for a in 'ab"\\{é:,' for p in ['"', "\\", '","customer_id":"', "/", ""] for b in "abc"], count
        )
    if kind == "not unique":
        return [str(100 + index // 2) for index in range(count)]
    return [f"{dice.getrandbits(40):010x}" for _ in range(count)]


@st.composite
def servers(draw):
    """A list of any kind, that changes between any two requests, and whose pages may have another cap each time."""
    seed = draw(st.integers(0, 10**6), label="seed")
    dice = random.Random(seed)
    kind = draw(st.sampled_from(["numbers", "numbers", "cases", "punctuation", "quotes", "types", "not unique", "hex"]))
    orders = ANY + (["number"] * 3 if kind in {"numbers", "types", "not unique"} else [])
    most = draw(st.integers(0, 4), label="changes")
    quiet_after = draw(st.sampled_from([0, 3, 30, 1000]), label="requests with changes")
    fresh = itertools.count(-1, -1)

    def churn(server):
        if server.requests > quiet_after:
            return
        for _ in range(dice.randint(0, most)):
            if server.records:
                server.delete(dice.randrange(len(server.records)))
        taken = {name for name, _ in {*server.records, *server.gone}}
        for _ in range(dice.randint(0, most)):
            name = str(dice.randrange(1, 12000)) if "number" in orders else make_ids(kind, 1, dice.random())[0]
            if name not in taken:
                server.records.append((name, next(fresh)))
                taken.add(name)

    return numbered(
        make_ids(kind, draw(st.integers(0, 100), label="records"), seed),
        order=draw(st.sampled_from(orders), label="order"),
        descending=draw(st.sampled_from([False, False, True]), label="descending"),
        cap=draw(st.sampled_from([None, None, 1, 2, 3, 7, lambda: dice.randint(1, 12)]), label="cap"),
        total=draw(st.sampled_from(["true", "true", "none", "low", "short", "high", "random"]), label="total"),
        churn=churn if most and quiet_after else None,
        dice=dice,
    )


@given(server=servers(), count=st.sampled_from([2, 5, 10, 50, "auto"]), concurrency=st.sampled_from([1, 3, 8]))
@PROPERTY
def test_records_that_stay_are_written_once_or_the_report_says_so(tmp_path_factory, server, count, concurrency):
    """With any order, cap, total, changes and pages, also of another size each time, an exact report is right."""
    path, start = tmp_path_factory.mktemp("orders") / "c.jsonl", set(server.records)
    try:
        report, missing, twice = server.export(path, count=count, concurrency=concurrency)
    except ExportError:
        return  # as good as a report that is not exact
    assert not report.exact or (missing, twice) == (set(), set())
    assert not twice & (start - server.gone)


@given(records=st.integers(0, 150), count=st.integers(2, 40) | st.just("auto"), cap=st.none() | st.integers(2, 40))
@PROPERTY
def test_a_calm_list_is_calm_whatever_pages_are_asked_for(tmp_path_factory, records, count, cap):
    """Pages of any size, cut short by a cap, are no change of a list: one pass reads it whole."""
    server, path = numbered([f"{number:04}" for number in range(records)], cap=cap), tmp_path_factory.mktemp("calm")
    report, missing, twice = server.export(path / "c.jsonl", count=count)
    assert (missing, twice) == (set(), set())
    assert (report.records, report.list_changed, report.exact) == (records, False, True)
    assert report.passes == 1 or records < 25  # a few records in tiny pages are read until their order is no chance


NUMBERS = [str(91 + index) for index in range(1209)]
CASES = [first + second for first in "aBcDeFgH" for second in "xYz123"]


@pytest.mark.parametrize("concurrency", [*variants(1), 8])
@pytest.mark.parametrize(
    ("names", "order", "page"),
    [(NUMBERS, "number", 8), *variants((NUMBERS, "number", 5)), (CASES, "casefold", 5)],
    ids=["numbers", "numbers in small pages", "cases"],
)
def test_an_order_that_begins_like_another_loses_no_record_to_one_deletion(tmp_path, names, order, page, concurrency):
    """The first page fits the order of numbers, or one that ignores case, and that of text; then a record goes."""
    server = numbered(names, order=order, churn=lambda server: server.requests == 1 and server.delete(0))
    report, missing, twice = server.export(tmp_path / "c.jsonl", count=page, concurrency=concurrency)
    assert (missing, twice) == (set(), set())
    assert (report.exact, report.passes, report.list_changed) == (True, 1, True)


@pytest.mark.parametrize("often", [0.05, 0.1])
def test_a_record_that_moves_to_the_front_leaves_out_none(tmp_path, often):
    """In a list that begins with what changed last, what moves shows nothing: the export is exact in the end."""
    dice, fresh = random.Random(17), iter(hexes(1000, 18))

    def change(server):
        if dice.random() < often:
            server.records.insert(0, server.records.pop(dice.randrange(len(server.records))))
        if dice.random() < often:
            server.records.insert(0, (next(fresh), -server.requests))

    server = numbered(hexes(200, 17), order="kept", churn=change)
    report, missing, _ = server.export(tmp_path / "c.jsonl", count=10)
    assert (report.exact, missing) == (True, set())


#: Calm lists that show too little or count too much: their names, what their server does, and the passes and reasons.
CALM = [
    *(
        (range(50), {"order": order, "cap": 1, "total": total}, SWEEPS, {"no_stable_order"})
        for order in ("text", "shuffled")
        for total in ("true", "none", "low", "high")
    ),
    *((range(5), {"order": order, "cap": 2}, None, set()) for order in ("text", "shuffled")),
    (range(300), {"order": "shuffled", "total": "high"}, SWEEPS, {"short_of_total"}),
]


@every("numbers, server, passes, reasons", CALM)
def test_calm_lists(tmp_path, numbers, server, passes, reasons):
    """A record a page, or more in the total than in the list, is not exact; a few tiny pages that are all are."""
    listed = numbered([f"{number * 7919 % 1000:03}" for number in numbers], **server)
    report, missing, _ = listed.export(tmp_path / "c.jsonl", count=2 if passes is None else 60)
    assert missing == set()
    assert {*report.reasons} == reasons
    assert passes in {None, report.passes}


@pytest.mark.parametrize("order", ["number", "shuffled"])
@pytest.mark.parametrize("after", [1, 4, 9])
def test_ids_that_become_numbers_name_the_same_records(tmp_path, order, after):
    """A list whose answers show ids as texts first, and as numbers later, is exported with each record once."""
    names = [str(95 + index) for index in range(60)]

    def turn(server):
        if server.requests > after:
            server.records = [(int(name), number) for name, number in server.records]

    numbered(names, order=order, churn=turn).export(tmp_path / "c.jsonl", count=7)
    assert sorted(map(str, ids(tmp_path / "c.jsonl"))) == sorted(names)


@pytest.mark.parametrize(
    ("names", "order", "count", "total", "exact"),
    [
        ([5, "5", "#5", 6, "6", "#6"], "number", 3, "true", False),
        ([str(100 + index // 2) for index in range(200)], "text", 10, "true", False),
        ([str(100 + index // 2) for index in range(200)], "shuffled", 5, "true", True),
        ([str(100 + index // 2) for index in range(200)], "shuffled", 5, "none", True),
    ],
    ids=["numbers beside texts", "side by side", "in no known order", "in no known order without totals"],
)
def test_records_of_one_id_are_told_apart(tmp_path, names, order, count, total, exact):
    """Records whose ids have one text, or are equal: all are written, or, if far apart, the report is not exact."""
    report, missing, twice = numbered(names, order=order, total=total).export(tmp_path / "c.jsonl", count=count)
    assert not twice
    assert not missing or (exact and not report.exact)


@pytest.mark.parametrize("total", ["none", *variants("true")])
def test_records_of_one_id_far_apart_are_not_exact(tmp_path, total):
    """Numbers beside texts in an order of its own: no page shows both records of an id, and its places show it."""
    names = [name for number in range(8) for name in (number, str(number), f"#{number}")][:22]
    report, missing, _ = numbered(names, order="shuffled", total=total).export(tmp_path / "c.jsonl", count=2)
    assert (len(missing), report.reasons) == (7, ("no_stable_order",))
    assert report.passes == SWEEPS or total == "true"


@pytest.mark.parametrize("total", ["none", *variants("true", "short")])
def test_records_of_one_id_far_apart_in_a_certain_order_are_not_exact(tmp_path, total):
    """A list whose order is certain has fewer ids than places: one record is missing, and it is read three times."""
    server = numbered([*hexes(300), 7, "7"], order="shuffled", total=total)
    report, missing, _ = server.export(tmp_path / "c.jsonl", count=20)
    assert (len(missing), report.reasons, report.passes) == (1, ("short_of_total",), SWEEPS)


@pytest.mark.anyio
@pytest.mark.parametrize("total", [10**9, None])
@pytest.mark.parametrize("record", [lambda number: {"customer_id": str(number)}, lambda _: None], ids=["same", "nulls"])
async def test_lists_without_an_end_are_an_error(tmp_path, record, total):
    """An endless run of the same page, or of pages of nulls, soon ends the export with an error, with any total."""
    pages = itertools.count()

    def answer(request):
        assert next(pages) < 200
        records = [record(number) for number in range(int(request.url.params["count"]))]
        return data({"customers": records, "total_items": total})

    async with served(answer) as client:
        with pytest.raises(ExportError, match="the server sends"):
            await client.customers.list(count=50).export(tmp_path / "c.jsonl", concurrency=8)
    assert not (tmp_path / "c.jsonl").exists()


def test_a_list_with_a_null_is_not_exact(tmp_path, caplog):
    """A null may stand for any record: the file lacks it, and the report does not vouch for the file."""
    server = numbered([f"{index:05}" for index in range(120)], null="00002")
    report, missing, _ = server.export(tmp_path / "c.jsonl", count=50, concurrency=8)
    assert (missing, report.exact) == ({("00002", 2)}, False)
    assert "null" in caplog.text


@pytest.mark.parametrize("lie", ["each page lacks some", "all pages lack the newest"])
def test_a_list_that_lacks_what_its_total_counts_is_read_again_and_not_exact(tmp_path, lie):
    """Pages leave out rows, or all answers lack one: the list is read again, and whatever a page shows is written."""
    dice, server = random.Random(4), numbered(hexes(900, 3))
    newest = server.records[-5:]
    server.lacks = lambda _, listed: newest if lie.startswith("all") else dice.sample(listed, 9)
    report, missing, _ = server.export(tmp_path / "c.jsonl", count=200)
    assert (report.exact, bool(missing)) == (False, lie.startswith("all"))
    assert report.passes == 3


@pytest.mark.parametrize("until", [5, *variants(*range(6, 14))])
def test_what_a_short_reading_showed_is_not_lost_by_the_next(tmp_path, until):
    """One record is not shown for some answers that count it, and one that was read goes: none is lost untold."""
    server = numbered(sorted(hexes(40, 3)), cap=25)
    behind = server.records[20]
    server.lacks = lambda server, _: [behind] if 3 <= server.requests <= until else ()
    server.churn = lambda server: server.requests == until and server.delete(0)
    report, missing, _ = server.export(tmp_path / "c.jsonl", count=25)
    assert (missing, report.exact) == (set(), True)


@pytest.mark.parametrize("order", ["text", *variants("shuffled")])
@pytest.mark.parametrize("deleted_after", [2, 9, *variants(*range(3, 9), *range(10, 16))])
def test_a_page_without_records_before_its_own_total_is_no_end(tmp_path, order, deleted_after):
    """A deleted record in the file does not make up for one that the last totals count and no page shows."""
    server = numbered(sorted(hexes(2, 3)), order=order)
    lacking = server.records[1:]
    server.lacks = lambda server, _: lacking if server.requests > 1 else ()
    server.churn = lambda server: server.requests == deleted_after and server.delete(0)
    report, missing, _ = server.export(tmp_path / "c.jsonl", count=2)
    assert not missing or not report.exact


def test_records_deleted_in_the_middle_are_confirmed_by_the_answers_after_it(tmp_path):
    """Twelve of 600 records go while the list is read: no second reading, and exact."""

    def delete(server):
        for _ in range(12 if server.requests == 3 else 0):
            server.delete(400)

    server = numbered(sorted(hexes(600)), churn=delete)
    report, missing, _ = server.export(tmp_path / "c.jsonl", count=50)
    assert (report.exact, report.passes, report.records, missing) == (True, 1, 588, set())


def churn_of(seed, most):
    """Return a function that deletes and creates up to that many records after each of the first sixty answers."""
    dice, fresh = random.Random(seed), iter(hexes(10_000, seed=seed + 1))

    def churn(server):
        if server.requests <= 60:
            for _ in range(dice.randint(0, most)):
                server.delete(dice.randrange(len(server.records)))
            server.records += [(next(fresh), -server.requests) for _ in range(dice.randint(0, most))]

    return churn


@pytest.mark.parametrize("most", [*variants(1), 3])
def test_a_list_that_changes_between_any_two_answers_is_exact(tmp_path, most):
    """Creations and deletions between any two answers, with four at once: exact."""
    for seed in range(examples(3)):
        server = numbered(hexes(900, seed), churn=churn_of(seed, most))
        report, missing, _ = server.export(tmp_path / "c.jsonl", count=200, concurrency=4)
        assert (report.exact, missing) == (True, set())


def test_a_list_that_loses_a_record_with_each_request_is_exact(tmp_path):
    """Deletions anywhere in a list cost some requests, and neither the guarantee nor a second reading."""
    dice = random.Random(2)
    server = numbered(hexes(600), churn=lambda server: server.delete(dice.randrange(len(server.records))))
    report, missing, _ = server.export(tmp_path / "c.jsonl", count=25, concurrency=4)
    assert (report.exact, missing) == (True, set())
    assert server.requests < 60


@pytest.mark.parametrize(("count", "most"), [("auto", 20), (200, 60)])
@pytest.mark.parametrize("cut", [{1}, *variants({3}, {2, 9}), None])
def test_pages_that_are_cut_short(tmp_path, cut, count, most):
    """A page of 18 records that comes once does not shrink the others; a cap of 80 is learnt. The list is exact."""
    pages = itertools.count(1)
    server = numbered(sorted(hexes(3000)), cap=80 if cut is None else lambda: 18 if next(pages) in cut else None)
    report, missing, twice = server.export(tmp_path / "c.jsonl", count=count)
    assert (report.exact, missing, twice) == (True, set(), set())
    assert report.requests < (most if cut else 1.2 * 3000 / 80)
