"""Random rows, keys, modes, blanks, server states, faults and stops against a model that knows no journal."""

import copy
import csv
import io
import json
import shutil
import tempfile
from pathlib import Path

import anyio
import anyio.lowlevel
import attrs
import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, counts, read
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from thorough import examples, variants

from carecloud_async import CareCloudError
from carecloud_async.bulk import engine, finding
from carecloud_async.pytest_plugin.clock import FakeClock

#: E-mail addresses: some are one key in two spellings, one the server refuses to look up.
EMAILS = ["a@x.cz", "A@X.cz ", "b@x.cz", "c@x.cz", "d@x.cz", "e@x.cz", "f@x.cz", "!@x.cz", ""]
LOST = ["after", "before", "cut after", "cut before", "garbage", 3.0, 29.0]
STOPS = ["cancel", "cancel, answer lost", "kill", "kill, answer lost"]
FAULTS = ["none", "none", "none", *LOST, "busy", "no connection"]


@attrs.frozen(kw_only=True)
class Story:
    """One run and what happens to it."""

    suffix: str
    rows: list
    match: str | None
    mode: str
    blank: str
    dry_run: bool
    known: list
    lower: bool
    most: int
    longest: int
    writes: list
    reads: list
    stops: list
    chunk: int
    values: int
    width: int


#: A row: e-mail, or the place of a known customer; last name, whether a new one; first name; date; language.
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "email": st.sampled_from(EMAILS),
            "customer": st.integers(0, 5),
            "last_name": st.sampled_from(["Own", "Own", "Known", "Refused"]),
            "first_name": st.sampled_from(["Ann", "Eva", ""]),
            "birthdate": st.sampled_from(["1990-01-02", "2.1.1990", "31.02.1990", ""]),
            "language_id": st.sampled_from(["en", "en", "en", ""]),
        }
    ),
    max_size=9,
)
KNOWN = st.lists(
    st.fixed_dictionaries(
        {
            "email": st.sampled_from(["a@x.cz", "B@X.CZ", "c@x.cz", "c@x.cz", "g@x.cz"]),
            "last_name": st.sampled_from(["Known", "Other"]),
            "first_name": st.sampled_from(["Ann", "Eva"]),
            "birthdate": st.sampled_from(["1990-01-02", "1971-12-31"]),
            "language_id": st.just("en"),
        }
    ),
    max_size=6,
)
STORIES = st.builds(
    Story,
    suffix=st.sampled_from(["csv", "jsonl"]),
    rows=ROWS,
    match=st.sampled_from(["email", "email", "email", "customer_id", None]),
    mode=st.sampled_from(["upsert", "upsert", "create", "update"]),
    blank=st.sampled_from(["keep", "clear"]),
    dry_run=st.sampled_from([False, False, False, True]),
    known=KNOWN,
    lower=st.booleans(),
    most=st.sampled_from([1, 3, 1000]),
    longest=st.sampled_from([260, 8000]),
    writes=st.lists(st.sampled_from(FAULTS), max_size=8),
    reads=st.lists(st.sampled_from([200, 200, 503, 429]), max_size=6),
    stops=st.lists(st.tuples(st.integers(1, 14), st.sampled_from(STOPS)), max_size=3),
    chunk=st.sampled_from([2, 450]),
    values=st.sampled_from([1, 2, 900]),
    width=st.sampled_from([1, 3]),
)


def cells_of(story):
    """The rows as they stand in the file: names are their own, so that the server tells which row made a record."""
    made = []
    for number, row in enumerate(story.rows):
        cells = {name: row[name] for name in ("email", "first_name", "birthdate", "language_id")}
        cells["last_name"] = f"Own {number}" if row["last_name"] == "Own" else row["last_name"]
        if story.match == "customer_id":
            cells = {"customer_id": f"{row['customer']:026x}", **cells}
            del cells["email"]
        made.append(cells)
    return made


def text_of(story, cells):
    """The source file."""
    if story.suffix == "csv":
        text = io.StringIO()
        names = (
            "customer_id" if story.match == "customer_id" else "email",
            "first_name",
            "birthdate",
            "language_id",
            "last_name",
        )
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(cells)
        return text.getvalue()
    return "".join(json.dumps({name: one or None for name, one in row.items()}) + "\n" for row in cells)


def named(story, cells):
    """What a row names: field → value, `None` for null."""
    found = {name: value for name, value in cells.items() if name not in ("customer_id",)}
    if story.suffix == "csv" and story.blank == "keep":
        found = {name: value for name, value in found.items() if value}
    found = {name: value or None for name, value in found.items()}
    if found.get("birthdate") == "2.1.1990":
        found["birthdate"] = "1990-01-02"
    return found


def normal(email):
    return (email or "").strip().lower()


def server_refuses(row):
    return row["last_name"] == "Refused" or "!" in row.get("email", "")


def expected(story, cells, before):
    """The outcome of each row and what it changes, of an undisturbed run."""
    seen = set()
    return [one_expected(story, row, before, seen) for row in cells]


def one_expected(story, row, before, seen):
    values = named(story, row)
    bad_date = values.get("birthdate") == "31.02.1990"
    found = []
    if story.match is not None:
        key = normal(row["email"]) if story.match == "email" else row["customer_id"]
        if not key or key in seen:
            return "refused", ()
        seen.add(key)
        if "!" in key:
            return "refused", ()
        found = [
            one for one in before.values() if key in (one["customer_id"], normal(one["personal_information"]["email"]))
        ]
        if len(found) > 1:
            # A list of one record a page cannot be read exactly, so that two records of one key look like one.
            return "refused" if story.match == "email" and story.most == 1 else "conflict", ()
    if not found:
        wrong = story.match == "customer_id" or bad_date or not values.get("language_id")
        wrong = wrong or (story.mode == "update" and story.match is not None)
        return ("refused" if wrong or (server_refuses(row) and not story.dry_run) else "created"), ()
    if story.mode == "create":
        return "conflict", ()
    person = found[0]["personal_information"]
    if bad_date:
        return "refused", ()
    changed = {name for name, value in values.items() if name != "email" and person.get(name) != value}
    if "email" in values and normal(values["email"]) != normal(person["email"]):
        changed.add("email")
    if not changed:
        return "unchanged", ()
    if values["last_name"] == "Refused" and not story.dry_run:
        return "refused", ()
    return "updated", tuple(sorted(changed))


async def run_story(story, folder):
    """Run a story to its end, with the stops that it says; return what a check needs."""
    clock = FakeClock()
    server = CustomerServer(clock, lower=story.lower, most=story.most, longest=story.longest)
    for one in story.known:
        server.add(**one)
    before = copy.deepcopy(server.customers)
    server.writes, server.reads = [*story.writes], [*story.reads]
    cells = cells_of(story)
    home, work = folder / "state", folder / "work"
    work.mkdir()
    home.mkdir()
    source = work / f"c.{story.suffix}"
    source.write_text(text_of(story, cells))
    results = work / "r.jsonl"
    stops = [*story.stops]
    report = None
    for _ in range(60):
        stop = stops.pop(0) if stops else None
        report = await run_once(server, clock, story, source, results, stop, folder)
        if report is not None:
            break
    assert report is not None, "the run never ended"
    return server, before, cells, report, read(results), (clock, source)


async def run_once(server, clock, story, source, results, stop, folder):
    """Run until the end, an error, or the stop; return the report of a run that ended."""
    scope, seen, saved = anyio.CancelScope(), 0, folder / "saved"

    async def arrived(request):
        nonlocal seen
        seen += 1
        if stop is not None and seen == stop[0]:
            if stop[1].startswith("kill"):
                for name in ("work", "state"):
                    shutil.copytree(folder / name, saved / name)
            scope.cancel()
            if stop[1].endswith("lost"):
                return  # it is worked on, and nothing hears of it
        if scope.cancel_called and saved.exists():
            await anyio.sleep_forever()  # after a kill nothing more arrives
        await anyio.lowlevel.checkpoint()

    server.arrived = arrived
    report = None
    async with client_of(server, clock) as client:
        with scope:
            try:
                report = await client.customers.bulk_write(
                    source, match=story.match, mode="upsert" if story.match is None else story.mode,
                    blank=story.blank, dry_run=story.dry_run, defaults=SOURCE, results=results, resume=True,
                    concurrency=story.width,
                )  # fmt: skip
            except CareCloudError as error:
                note(f"stopped by {type(error).__name__}: {error}")
    server.arrived = None
    if saved.exists():
        for name in ("work", "state"):
            shutil.rmtree(folder / name)
            (saved / name).rename(folder / name)
        saved.rmdir()
        return None
    return report


def check(story, server, before, cells, report, results):
    """Hold the outcomes and the server against the model."""
    counts(report)
    assert report.rows == len(cells) == len(results)
    wanted = expected(story, cells, before)
    after = server.customers
    touched = set()
    for row, result, (outcome, changed) in zip(cells, results, wanted, strict=True):
        values, got = named(story, row), result["outcome"]
        if story.match is None and got == "unknown":
            assert outcome == "created" or server_refuses(row)
        elif "!" in row.get("email", ""):
            # After a reading of the list such a row is sent without a look-up, and a lost answer cannot be looked up.
            assert got in (outcome, "created" if story.dry_run else "unknown")
        else:
            assert got == outcome, (row, result)
        if result["record_id"] and got in ("created", "updated", "unchanged") and not story.dry_run:
            person = after[result["record_id"]]["personal_information"]
            touched.add(result["record_id"])
            for name, value in values.items():
                if name == "email":
                    assert normal(person["email"]) == normal(value)
                else:
                    assert person.get(name) == value, (name, row, person)
        if got == "updated":
            assert sorted(one.rpartition(".")[2] for one in result["changed_fields"]) == list(changed)
            old, new = before[result["record_id"]], after[result["record_id"]]
            same_but(old, old if story.dry_run else new, changed)
        elif got in ("unchanged", "conflict", "refused") and result["record_id"]:
            assert after[result["record_id"]] == before[result["record_id"]]
    for known, record in before.items():
        if known not in touched or story.dry_run:
            assert after[known] == record
    creates = [row for row, (outcome, _) in zip(cells, wanted, strict=True) if outcome == "created"]
    written = [] if story.dry_run else creates
    if story.match is None:
        for row, result in zip(cells, results, strict=True):
            if row["last_name"].startswith("Own "):
                most = {"created": (1,), "unknown": (0, 1), "refused": (0,)}[result["outcome"]]
                assert server.done[row["last_name"]] in (most if not story.dry_run else (0,))
    else:
        assert len(after) == len(before) + len(written)
        for row in written:
            assert server.emails()[normal(row["email"])] == 1


def same_but(old, new, changed):
    """Nothing but what a row names differs."""
    old, new = copy.deepcopy(old), copy.deepcopy(new)
    for one in (old, new):
        one.pop("last_change")
        for name in changed:
            one["personal_information"].pop(name, None)
        one["personal_information"]["email"] = normal(one["personal_information"]["email"])
    assert old == new


async def check_again(story, server, state):
    """The same file again writes nothing to a row that was done."""
    if story.dry_run or story.match is None:
        return
    clock, source = state
    clock.advance(1000)
    server.work_late()  # a repeated PUT may come a second time
    before = copy.deepcopy(server.customers)
    results = source.with_name("again.jsonl")
    server.writes, server.reads = [], []
    first = read(source.with_name("r.jsonl"))
    assert await run_once(server, clock, attrs.evolve(story, stops=[]), source, results, None, source.parent.parent)
    assert server.customers == before
    done = "conflict" if story.mode == "create" else "unchanged"
    for old, new in zip(first, read(results), strict=True):
        wanted = done if old["outcome"] in ("created", "updated", "unchanged") else old["outcome"]
        assert new["outcome"] == ("refused" if wanted == "unknown" else wanted)  # a key that cannot be looked up


@pytest.mark.parametrize("backend", ["asyncio", *variants("trio")])
def test_any_run_ends_as_the_model_says(monkeypatch, backend):
    """Whatever the rows, the server and the stops: outcomes add up and are right, no double, nothing else changes."""

    @settings(max_examples=examples(100), derandomize=True, suppress_health_check=[*HealthCheck])
    @given(STORIES)
    def draw(story):
        async def play(folder):
            *found, state = await run_story(story, folder)
            check(story, *found)
            await check_again(story, found[0], state)

        with tempfile.TemporaryDirectory() as folder:
            monkeypatch.setenv("XDG_STATE_HOME", f"{folder}/state")
            monkeypatch.setattr(engine, "CHUNK", story.chunk)
            monkeypatch.setattr(finding, "MAX_VALUES", story.values)
            monkeypatch.setattr(finding, "FEW_LOOKUPS", 0)
            anyio.run(play, Path(folder), backend=backend)

    draw()
