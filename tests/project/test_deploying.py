"""The table of timeouts in docs/deploying.md."""

import re

from project_files import ROOT

from carecloud_async import Timeout


def rows():
    text = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    table = text.partition("## Timeouts that fit together")[2].partition("\n## ")[0]
    return re.findall(r"^\| (.+?) \| (\d+) \| (.+) \|$", table, re.MULTILINE)


def test_the_timeouts_of_the_table_add_up():
    """A call's bound is its total and the limiter's wait, a route's that of two calls, and each line is longer."""
    seconds = [int(row[1]) for row in rows()]
    given = {name: float(number) for name, number in re.findall(r"(\w+)=(\d+)", rows()[0][2])}
    timeout = Timeout(**given)
    assert seconds[0] == timeout.total
    assert seconds[1] == timeout.total + timeout.limiter_seconds
    assert seconds[2] == 2 * seconds[1]
    assert seconds == sorted(set(seconds))
