"""Exports of lists in any order: no record that stays is missing, or the report is not exact."""

import json
import random

import pytest
from erratic_plan import ErraticPlan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from list_machine import ListMachine, ListWithNull, numbered
from thorough import examples, variants

from carecloud_async import ExportError

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
        return [one for index in range(count // 3 + 1) for one in (index, str(index), f"#{index}")][:count]
    if kind == "not unique":
        return [str(100 + index // 2) for index in range(count)]
    return [f"{dice.getrandbits(40):010x}" for _ in range(count)]


@st.composite
def machines(draw):
    """A list server of any kind, that changes between any two requests."""
    seed = draw(st.integers(0, 10**6), label="seed")
    dice = random.Random(seed)
    kind = draw(st.sampled_from(["numbers", "numbers", "cases", "punctuation", "types", "not unique", "hex"]))
    names = make_ids(kind, draw(st.integers(0, 100), label="records"), seed)
    orders = ANY + (["number"] * 3 if kind in {"numbers", "types", "not unique"} else [])
    order = draw(st.lists(st.sampled_from(orders), min_size=1, max_size=1), label="order")
    most = draw(st.integers(0, 4), label="changes")
    quiet_after = draw(st.sampled_from([0, 3, 30, 1000]), label="requests with changes")
    fresh = iter(range(-1, -(10**6), -1))

    def churn(machine):
        if machine.requests > quiet_after:
            return
        for _ in range(dice.randint(0, most)):
            if machine.records:
                machine.delete(dice.randrange(len(machine.records)))
        taken = {one for one, _ in machine.records} | {one for one, _ in machine.gone}
        for _ in range(dice.randint(0, most)):
            one = str(dice.randrange(1, 12000)) if "number" in orders else make_ids(kind, 1, dice.random())[0]
            if one not in taken:
                machine.records.append((one, next(fresh)))
                taken.add(one)

    return ListMachine(
        records=[(one, number) for number, one in enumerate(names)],
        order=tuple(order),
        descending=(draw(st.sampled_from([False, False, True]), label="descending"),),
        cap=draw(st.sampled_from([None, None, 1, 2, 3, 7]), label="cap"),
        total=draw(st.sampled_from(["true", "true", "none", "low", "short", "high", "random"]), label="total"),
        churn=churn if most and quiet_after else None,
        dice=dice,
    )


@given(
    machine=machines(),
    count=st.sampled_from([2, 5, 10, 50, "any"]),
    concurrency=st.sampled_from([1, 3, 8]),
)
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
def test_records_that_stay_are_written_once_or_the_report_says_so(tmp_path_factory, machine, count, concurrency):
    """With any order, cap, total, changes and pages, also of another size each time, an exact report is right."""
    path, start = tmp_path_factory.mktemp("orders") / "c.jsonl", set(machine.records)
    plan = ErraticPlan(machine.dice, most=machine.dice.choice([2, 5, 12, 60])) if count == "any" else None
    try:
        report, missing, twice = machine.export(path, count=count, concurrency=concurrency, plan=plan)
    except ExportError:
        return  # as good as a report that is not exact
    assert not report.exact or (missing, twice) == (set(), set())
    assert not twice & (start - machine.gone)


@given(
    records=st.integers(0, 150), most=st.integers(2, 40), cap=st.none() | st.integers(2, 40), seed=st.integers(0, 999)
)
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
def test_a_calm_list_is_calm_whatever_pages_are_asked_for(tmp_path_factory, records, most, cap, seed):
    """Pages of all sizes, cut short by a cap or by the plan, are no change of a list: one pass reads it whole."""
    machine = ListMachine(records=[(f"{number:04}", number) for number in range(records)], cap=cap)
    path, plan = tmp_path_factory.mktemp("calm") / "c.jsonl", ErraticPlan(random.Random(seed), most=most)
    report, missing, twice = machine.export(path, count="auto", plan=plan)
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
    machine = numbered(names, order=(order,), churn=lambda machine: machine.requests == 1 and machine.delete(0))
    report, missing, twice = machine.export(tmp_path / "c.jsonl", count=page, concurrency=concurrency)
    assert (missing, twice) == (set(), set())
    assert (report.exact, report.passes, report.list_changed) == (True, 1, True)


@pytest.mark.parametrize("total", ["true", *variants("none", "low", "high")])
@pytest.mark.parametrize("order", ["text", "shuffled"])
def test_one_record_a_page_is_read_whole_and_not_exact(tmp_path, order, total):
    """A calm list of 50 whose server sends one record at a time, with any total."""
    machine = ListMachine(records=[(f"{index:03}", 0) for index in range(50)], order=(order,), cap=1, total=total)
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=20, concurrency=8)
    assert not missing
    assert not report.exact


@pytest.mark.parametrize("total", ["true", "none"])
def test_a_list_of_one_record_is_exact(tmp_path, total):
    """A list of one record is exact: the record was there before and after the place after it was seen to be empty."""
    report, missing, _ = ListMachine(records=[("a", 0)], total=total).export(tmp_path / "c.jsonl", count=20)
    assert not missing
    assert report.exact
    assert report.requests <= 4


def test_records_whose_ids_have_one_text_are_told_apart(tmp_path):
    """A list that shows the numbers 5 and 6 beside the texts "5", "#5", "6" and "#6" has six records."""
    names = [5, "5", "#5", 6, "6", "#6"]
    machine = ListMachine(records=[(one, 0) for one in names], order=("number",))
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=3)
    assert not missing
    assert report.records == 6


@pytest.mark.parametrize("order", ["number", "shuffled"])
@pytest.mark.parametrize("after", [1, 4, 9])
def test_ids_that_become_numbers_name_the_same_records(tmp_path, order, after):
    """A list whose answers show ids as texts first, and as numbers later, is exported with each record once."""
    machine = ListMachine(records=[(str(95 + index), 0) for index in range(60)], order=(order,))

    def turn(machine):
        if machine.requests > after:
            machine.records = [(int(one), changed) for one, changed in machine.records]

    machine.churn = turn
    machine.export(tmp_path / "c.jsonl", count=7)
    found = [str(json.loads(line)["customer_id"]) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert sorted(found) == sorted(str(95 + index) for index in range(60))


def test_records_of_one_id_side_by_side_are_told_apart(tmp_path):
    """Two hundred records with a hundred ids, sorted by them: all are written."""
    machine = ListMachine(records=[(str(100 + index // 2), index) for index in range(200)])
    report, missing, twice = machine.export(tmp_path / "c.jsonl", count=10)
    assert (report.records, missing, twice) == (200, set(), set())


@pytest.mark.parametrize("total", ["true", "none"])
def test_records_of_one_id_far_apart_are_reported(tmp_path, total):
    """Two hundred records with a hundred ids in no order: all are written, or the report is not exact."""
    machine = ListMachine(
        records=[(str(100 + index // 2), index) for index in range(200)], order=("shuffled",), total=total
    )
    report, missing, twice = machine.export(tmp_path / "c.jsonl", count=5)
    assert not twice
    assert not missing or not report.exact


class Endless(ListMachine):
    """A list whose pages are all the same."""

    page_of = staticmethod(lambda count: [{"customer_id": str(index)} for index in range(count)])

    def page(self, offset, count):
        self.requests += 1
        assert self.requests < 200
        return {"customers": self.page_of(count), "total_items": self.total}


class Nulls(Endless):
    """A list of nulls."""

    page_of = staticmethod(lambda count: [None] * count)


@pytest.mark.parametrize("total", [10**9, None])
@pytest.mark.parametrize("kind", [Endless, Nulls])
def test_lists_without_an_end_are_an_error(tmp_path, kind, total):
    """An endless run of the same page, or of pages of nulls, soon ends the export with an error, with any total."""
    machine = kind(records=[], total=total)
    with pytest.raises(ExportError, match="the server sends"):
        machine.export(tmp_path / "c.jsonl", count=50, concurrency=8)
    assert not (tmp_path / "c.jsonl").exists()


def test_a_list_with_a_null_is_not_exact(tmp_path, caplog):
    """A null may stand for any record: the file lacks it, and the report does not vouch for the file."""
    machine = ListWithNull(records=[(f"{index:05}", 0) for index in range(120)])
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=50, concurrency=8)
    assert missing
    assert not report.exact
    assert "null" in caplog.text
