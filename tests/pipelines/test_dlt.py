"""dlt: nights into DuckDB, from a sandbox."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from dlt_nights import fetch, ids
from lists import SPELLINGS, SpellingServer, hexes
from lying import lie
from thorough import variants

from benchmarks.api_rules import broken_rules
from carecloud_async import ConfigurationError
from carecloud_async.sandbox import USER_PASSWORD

pytest.importorskip("dlt", reason="dlt is not installed")
carecloud_source = pytest.importorskip("carecloud_async.dlt").carecloud_source


def test_nights_bring_all_then_nothing_then_what_changed(sandbox, pipeline, night):
    """First night everything, a calm night a dozen requests and no row, a night with three changes three rows."""
    rows, _ = night("customers", "cards")
    assert (rows["customers"], rows["cards"]) == (60, 20)
    sandbox.advance(86_400)
    rows, requests = night("customers", "cards")
    assert sum(rows.values()) == 0
    assert requests <= 12
    changed = [sandbox.customers.id_at(index) for index in (3, 17, 50)]
    for item in changed:
        sandbox.customers.update(item, {"personal_information": {"first_name": "Anew"}})
    sandbox.advance(86_400)
    rows, _ = night("customers", "cards")
    assert rows["customers"] == 3
    assert rows.get("cards", 0) == 0
    assert len(ids(pipeline)) == len(set(ids(pipeline))) == 60
    query = "SELECT customer_id FROM customers WHERE personal_information__first_name = 'Anew'"
    assert sorted(row[0] for row in fetch(pipeline, query)) == sorted(changed)
    assert not broken_rules(sandbox)


def test_the_columns_are_the_models_and_times_the_right_instants(sandbox, pipeline, night):
    """A table has the model's columns with their types; a local time of summer and one of winter are the instants."""
    summer, winter = (sandbox.customers.id_at(index) for index in (0, 1))
    sandbox.customers.update(summer, {"last_change": "2026-07-01 12:00:00"})
    sandbox.customers.update(winter, {"last_change": "2026-11-01 12:00:00"})
    night("customers", "cards", filters={"cards": {"card_number": "nobody's"}})
    stored = dict(fetch(pipeline, "SELECT customer_id, epoch(last_change) FROM customers"))
    assert stored[summer] == datetime(2026, 7, 1, 10, tzinfo=UTC).timestamp()
    assert stored[winter] == datetime(2026, 11, 1, 11, tzinfo=UTC).timestamp()
    kinds = fetch(pipeline, "SELECT DISTINCT typeof(last_change) FROM customers")
    assert kinds == [("TIMESTAMP WITH TIME ZONE",)]
    assert ids(pipeline, "cards", "card_id") == []  # and yet it is there
    columns = pipeline.default_schema.get_table("customers")["columns"]
    assert columns["personal_information__birthdate"]["data_type"] == "date"
    assert columns["customer_id"]["primary_key"] is True


@pytest.mark.thorough
def test_a_full_run_forgets_the_deleted(sandbox, pipeline, night):
    """Deletions show in no list of changes; a full run replaces the table, and the next night goes on from there."""
    night("customers")
    gone = sandbox.customers.id_at(5)
    sandbox.customers.delete(gone)
    sandbox.advance(86_400)
    night("customers")
    assert gone in ids(pipeline)
    sandbox.advance(86_400)
    rows, _ = night("customers", full=True)
    assert rows["customers"] == 59
    assert gone not in ids(pipeline)
    sandbox.advance(86_400)
    rows, requests = night("customers")
    assert sum(rows.values()) == 0
    assert requests <= 4


@pytest.mark.parametrize("deletions", [*variants(False), True])
def test_the_first_run_may_be_a_full_one(sandbox, pipeline, night, tmp_path, deletions):
    """Tables of nested lists that a full run made take the changes of the next night."""
    options = {"deletions": deletions, "state_folder": tmp_path / "states"} if deletions else {}
    night("customers", "segments", full=True, **options)
    changed = sandbox.customers.id_at(3)
    sandbox.customers.update(changed, {"personal_information": {"first_name": "Anew"}})
    sandbox.advance(86_400)
    night("customers", "segments", **options)
    query = "SELECT customer_id FROM customers WHERE personal_information__first_name = 'Anew'"
    assert [row[0] for row in fetch(pipeline, query)] == [changed]
    assert len(ids(pipeline)) == 60


@pytest.mark.thorough
def test_a_failed_load_moves_no_mark(sandbox, pipeline, night):
    """A night that fails half-way is made good by the next one."""
    night("customers", "cards")
    sandbox.customers.update(sandbox.customers.id_at(9), {"state": 0})
    sandbox.advance(86_400)
    sandbox.faults.add("GET /cards", status=403, times=99)
    with pytest.raises(Exception, match="step=extract"):
        night("customers", "cards")
    sandbox.faults.clear()
    rows, _ = night("customers", "cards")
    assert rows["customers"] == 1


def test_a_run_that_fails_after_some_rows_loads_none_of_them(sandbox, pipeline, night):
    """Rows are handed over while the list is read: if a later page fails, the table stays as it was."""
    night("customers")
    before = ids(pipeline)
    sandbox.customers.delete(sandbox.customers.id_at(5))
    sandbox.faults.add("GET /customers", status=403, after=2, times=99)
    with pytest.raises(Exception, match="step=extract"):
        night("customers", full=True, count=50)
    assert ids(pipeline) == before
    sandbox.faults.clear()
    night("customers", full=True, count=50)
    assert len(ids(pipeline)) == len(before) - 1


def test_lists_without_changes_are_replaced_by_exact_readings(sandbox, pipeline, night):
    """Records that do not say when they changed are read whole each night, and an inexact reading replaces nothing."""
    night("countries")
    countries, before = sandbox.records("countries"), ids(pipeline, "countries", "country_id")
    countries.delete(countries.ids()[0])
    lie(sandbox, total_items=9999)
    with pytest.raises(Exception, match="allow_inexact=True"):
        night("countries")
    assert ids(pipeline, "countries", "country_id") == before
    night("countries", allow_inexact=True)
    assert ids(pipeline, "countries", "country_id") == sorted(countries.ids())
    lie(sandbox)
    countries.delete(countries.ids()[0])
    night("countries")
    assert ids(pipeline, "countries", "country_id") == sorted(countries.ids())
    assert len(countries.ids()) == len(before) - 2


@pytest.mark.parametrize("options", [*variants({}), {"deletions": True}])
def test_an_empty_answer_empties_no_table(sandbox, pipeline, night, options):
    """A list that had records and is empty replaces no table, since a right that was taken away looks the same."""
    night("countries", full=True, **options)
    before = ids(pipeline, "countries", "country_id")
    countries = sandbox.records("countries")
    for record_id in countries.ids():
        countries.delete(record_id)
    for _ in range(2):
        with pytest.raises(Exception, match="allow_inexact=True"):
            night("countries", full=True, **options)
    assert ids(pipeline, "countries", "country_id") == before
    night("countries", full=True, allow_inexact=True, **options)
    assert ids(pipeline, "countries", "country_id") == []
    night("countries", full=True, **options)


@pytest.mark.thorough
@pytest.mark.parametrize("other", [*variants({}), {"full": True}])
def test_deletions_follow_runs_without_them(sandbox, pipeline, night, other):
    """A comparison does not know what other runs loaded: the first one after them replaces the table."""
    night("customers", deletions=True)
    gone = sandbox.customers.insert()
    night("customers", **other)
    sandbox.customers.delete(gone)
    night("customers", deletions=True)
    assert ids(pipeline) == sorted(sandbox.customers.ids())
    sandbox.customers.delete(sandbox.customers.id_at(5))
    rows, _ = night("customers", deletions=True)
    assert rows["customers"] == 1
    assert ids(pipeline) == sorted(sandbox.customers.ids())


def test_deleted_records_leave_the_table(sandbox, pipeline, night):
    """`deletions=True`: nights merge creations and updates, and the rows of deleted records are gone."""
    rows, _ = night("customers", "countries", deletions=True)
    assert rows["customers"] == 60
    gone, changed = sandbox.customers.id_at(5), sandbox.customers.id_at(8)
    sandbox.customers.delete(gone)
    sandbox.customers.update(changed, {"personal_information": {"first_name": "Changed"}})
    countries = sandbox.records("countries")
    countries.delete(countries.ids()[0])
    rows, _ = night("customers", "countries", deletions=True)
    assert rows["customers"] == 2
    assert ids(pipeline) == sorted(sandbox.customers.ids())
    assert ids(pipeline, "countries", "country_id") == sorted(countries.ids())
    query = "SELECT customer_id FROM customers WHERE personal_information__first_name = 'Changed'"
    assert fetch(pipeline, query) == [(changed,)]
    rows, _ = night("customers", "countries", deletions=True)
    assert sum(rows.values()) == 0


@pytest.mark.parametrize("failing", [{}, *variants({"full": True})])
def test_a_failed_run_brings_its_deletions_again(sandbox, pipeline, night, tmp_path, failing):
    """A run that fails after a list was compared leaves its state, and the next one brings the same changes."""
    options = {"deletions": True, "state_folder": tmp_path / "states"}
    night("customers", "cards", **options)
    gone = sandbox.customers.id_at(5)
    sandbox.customers.delete(gone)
    sandbox.faults.add("GET /cards", status=403, times=99)
    with pytest.raises(Exception, match="step=extract"):
        night("customers", "cards", **failing, **options)
    sandbox.faults.clear()
    night("customers", "cards", **options)
    assert gone not in ids(pipeline)
    assert len(list((tmp_path / "states").rglob("*.state"))) == 4


@pytest.mark.thorough
def test_other_filters_read_everything(sandbox, pipeline, night):
    """The mark belongs to a list and its filters: with others, records that did not change are due too."""
    name = sandbox.customers.get(sandbox.customers.id_at(0))["personal_information"]["last_name"]
    first, _ = night("customers", filters={"customers": {"last_name": name}})
    assert 0 < first["customers"] < 60
    sandbox.advance(86_400)
    rows, _ = night("customers")
    assert rows["customers"] == 60


@pytest.mark.parametrize(
    ("lists", "options", "words"),
    [
        (("custmers",), {}, "did you mean customers"),
        ((), {}, "name the lists"),
        (("cards",), {"filters": {"customers": {}}}, "filters for customers"),
        (("point_history",), {}, "only with the filters customer_id"),
        (("customers.cards",), {}, "belong to a parent"),
        (("cards",), {"filters": {"cards": {"card_nmber": "1"}}}, "did you mean card_number"),
        (("cards",), {"count": 0}, "count"),
    ],
)
def test_mistakes_are_reported_before_anything_is_sent(sandbox, night, lists, options, words):
    """A wrong name, a filter of no list and a missing one are errors that say what to write."""
    with pytest.raises(ConfigurationError, match=words):
        night(*lists, **options)
    assert sandbox.count() == 0


def test_settings_come_from_the_environment(sandbox, pipeline, monkeypatch):
    """Without a client the CARECLOUD_ variables make one, lists share a login, and a running loop is no obstacle."""

    async def cell():  # of a notebook
        pipeline.run(carecloud_source("customers", "cards")).raise_on_failed_jobs()

    credentials = sandbox.credentials()
    with sandbox.running() as url:
        monkeypatch.setenv("CARECLOUD_PROJECT_URL", url)
        monkeypatch.setenv("CARECLOUD_EXTERNAL_APPLICATION_ID", credentials.external_application_id)
        monkeypatch.setenv("CARECLOUD_LOGIN", credentials.login)
        monkeypatch.setenv("CARECLOUD_PASSWORD", USER_PASSWORD)
        asyncio.run(cell())
    assert len(ids(pipeline)) == 60
    logins = sandbox.count("POST /users/actions/login")
    assert logins == 1


@pytest.mark.parametrize(
    "spelling",
    [
        spelling if spelling == "changed is null" else pytest.param(spelling, marks=pytest.mark.thorough)
        for spelling in SPELLINGS
    ],
)
def test_no_change_is_lost_however_times_are_spelled(pipeline, tmp_path, spelling):
    """A customer who changed after the first load is changed in the table after the second one."""
    names = hexes(30)
    server = SpellingServer(names, spelling)
    for _ in range(2):
        pipeline.run(carecloud_source("customers", client=server.client)).raise_on_failed_jobs()
        server.now += timedelta(minutes=10)
        server.change(names[7], names[20])
        server.now += timedelta(hours=5)
    assert ids(pipeline) == sorted(names)
    stored = fetch(pipeline, "SELECT customer_id FROM customers WHERE state = 1")
    assert {item for (item,) in stored} == {names[7], names[20]}
