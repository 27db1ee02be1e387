"""Runs that were saved stand beside others."""

import pytest

from benchmarks import report, saved
from benchmarks.runner import Result
from benchmarks.task import Failed, Measured
from benchmarks.works import all_works


def _result(work, *, seconds):
    outcome = Measured(seconds=seconds, cpu=seconds, done=10, peak_mb=100.0)
    return Result(work=work, outcomes={label: [outcome] for label in work.contestants}, ceiling=None)


def test_saved_outcomes_are_read_as_they_were(tmp_path):
    """Saved results, failures included, are read back equal."""
    work = all_works(quick=True)[0]
    result = _result(work, seconds=2.0)
    result.outcomes["httpx2 + json"] = [Failed("why")]
    saved.save([result], tmp_path / "run.json")
    assert saved.read(tmp_path / "run.json").result(work) == result


def test_another_run_has_a_column_of_its_own(tmp_path):
    """The medians of a saved run stand beside the new ones, and nothing where a work was not run."""
    pages, other = all_works(quick=True)[:2]
    saved.save([_result(pages, seconds=2.0)], tmp_path / "run.json")
    lines = report.table(
        [_result(pages, seconds=1.0), _result(other, seconds=1.0)], saved.read(tmp_path / "run.json"), markdown=True
    ).splitlines()
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    column = next(number for number, cell in enumerate(cells[0]) if cell.startswith("Python "))
    assert cells[2][column] == "1.00\N{MULTIPLICATION SIGN}"
    assert cells[2 + len(pages.comparisons)][column] == ""


@pytest.mark.parametrize("text", ["", "[]", '{"works": 1}', '{"python": "3.13", "works": {"a": {"b": [{"c": 1}]}}}'])
def test_another_file_is_no_saved_run(tmp_path, text):
    """A file that `save` did not write is refused by its name."""
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json holds no outcomes"):
        saved.read(tmp_path / "run.json")
