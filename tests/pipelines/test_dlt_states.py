"""dlt: what a pipeline knows of a list, by name, folder and way of loading."""

import pytest
from dlt_nights import ids
from kit import connect
from lying import lie
from thorough import variants

dlt = pytest.importorskip("dlt", reason="dlt is not installed")
carecloud_source = pytest.importorskip("carecloud_async.dlt").carecloud_source

pytestmark = pytest.mark.thorough  # each runs pipelines of a second and more; test_dlt.py has a night of each kind


def test_pipelines_that_share_a_folder_of_states_bring_their_own_deletions(sandbox, pipeline, night, tmp_path):
    """Two pipelines that share a folder keep their own states: neither removes or advances the other one."""
    options = {"deletions": True, "state_folder": tmp_path / "states"}
    other = dlt.pipeline(
        "other",
        destination=dlt.destinations.duckdb(str(tmp_path / "other.duckdb")),
        dataset_name="crm",
        pipelines_dir=str(tmp_path / "dlt"),
    )

    for _ in range(2):
        night("customers", **options)
        other.run(carecloud_source("customers", client=lambda: connect(sandbox), **options)).raise_on_failed_jobs()
        sandbox.customers.delete(sandbox.customers.id_at(5))
    night("customers", **options)
    other.run(carecloud_source("customers", client=lambda: connect(sandbox), **options)).raise_on_failed_jobs()
    assert ids(pipeline) == ids(other) == sorted(sandbox.customers.ids())


def test_a_state_that_is_gone_is_an_error_with_its_fix(sandbox, pipeline, night, tmp_path):
    """Without its state a run cannot know what was deleted: it says to run with `full=True`, which begins again."""
    options = {"deletions": True, "state_folder": tmp_path / "states"}
    night("countries", **options)
    for item in (tmp_path / "states").rglob("*.state"):
        item.unlink()
    with pytest.raises(Exception, match="full=True"):
        night("countries", **options)
    countries = sandbox.records("countries")
    countries.delete(countries.ids()[0])
    night("countries", full=True, **options)
    assert ids(pipeline, "countries", "country_id") == sorted(countries.ids())
    rows, _ = night("countries", **options)
    assert sum(rows.values()) == 0


@pytest.mark.parametrize("is_first", [*variants(True), False])
def test_deletions_follow_an_inexact_run_without_them(sandbox, pipeline, night, is_first):
    """What an inexact run merged, no comparison knows: the first one after it replaces the table."""
    if not is_first:
        night("customers", deletions=True)
    gone = sandbox.customers.insert()
    lie(sandbox, total_items=9999)
    night("customers")
    lie(sandbox)
    sandbox.customers.delete(gone)
    night("customers", deletions=True)
    assert ids(pipeline) == sorted(sandbox.customers.ids())


@pytest.mark.parametrize("options", [{}, *variants({"deletions": True})])
def test_table_with_write_disposition_replace_gets_the_whole_list(sandbox, pipeline, options):
    """`write_disposition="replace"`, in either form, reads everything, and an inexact reading replaces no table."""

    def run(disposition=None):
        source = carecloud_source("customers", client=lambda: connect(sandbox), **options)
        pipeline.run(source, write_disposition=disposition).raise_on_failed_jobs()

    run()
    sandbox.advance(86_400)
    run({"disposition": "replace"})
    assert len(ids(pipeline)) == 60
    lie(sandbox, total_items=9999)
    with pytest.raises(Exception, match="allow_inexact=True"):
        run("replace")
    assert len(ids(pipeline)) == 60


def test_a_list_under_two_names_has_two_states(sandbox, pipeline):
    """A resource with another name keeps what it knows to itself, so that both tables lose what is gone."""

    def run(name):
        source = carecloud_source("customers", client=lambda: connect(sandbox), deletions=True)
        if name != "customers":
            source.resources.add(source.resources.pop("customers").with_name(name))
        pipeline.run(source).raise_on_failed_jobs()

    run("customers")
    run("others")
    sandbox.customers.delete(sandbox.customers.id_at(5))
    run("others")
    run("customers")
    assert ids(pipeline) == ids(pipeline, "others") == sorted(sandbox.customers.ids())


@pytest.mark.parametrize("options", [{}, *variants({"deletions": True})])
def test_another_table_gets_the_whole_list(sandbox, pipeline, options):
    """A resource that is led to another table by a hint knows nothing of that table, and loads everything."""

    def run(table=None):
        source = carecloud_source("customers", client=lambda: connect(sandbox), **options)
        if table is not None:
            source.resources["customers"].apply_hints(table_name=table)
        pipeline.run(source).raise_on_failed_jobs()
        sandbox.advance(86_400)

    run()
    run("clients")
    run("clients")
    everyone = sorted(sandbox.customers.ids())
    assert ids(pipeline, "clients") == everyone
    # With deletions the whole list replaces what there is: dlt empties both tables of the resource first.
    assert ids(pipeline) == ([] if options else everyone)


def test_a_list_that_lost_most_of_its_records_names_what_this_source_has(sandbox, night):
    """The refusal names `full=True`, which accepts it, and not `allow_shrink`, which other programs have."""
    night("countries", deletions=True)
    countries = sandbox.records("countries")
    for record_id in countries.ids()[1:]:
        countries.delete(record_id)
    with pytest.raises(Exception, match="full=True") as caught:
        night("countries", deletions=True)
    assert "allow_shrink" not in str(caught.value)
    night("countries", deletions=True, full=True)


def test_two_pipelines_of_one_name_do_not_take_each_others_state(sandbox, pipeline, night, tmp_path):
    """Of two machines with one folder of states, one raises an error that its state is gone; no deletion is lost."""
    options = {"deletions": True, "state_folder": tmp_path / "states"}
    night("customers", **options)
    sandbox.customers.delete(sandbox.customers.id_at(5))
    other = dlt.pipeline(
        "nights",
        destination=dlt.destinations.duckdb(str(tmp_path / "other.duckdb")),
        dataset_name="crm",
        pipelines_dir=str(tmp_path / "elsewhere"),
    )
    other.run(carecloud_source("customers", client=lambda: connect(sandbox), **options)).raise_on_failed_jobs()
    with pytest.raises(Exception, match="full=True"):
        night("customers", **options)
    night("customers", full=True, **options)
    assert ids(pipeline) == sorted(sandbox.customers.ids())
