"""`python -m docs.builder.terminal`: draw docs/export.svg, a terminal in which the home page's command runs.

The text was copied from a run in a terminal of this width, which is still readable on a phone.
"""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

COMMAND = "carecloud export customers -o customers.jsonl --sandbox 10000"
_COLUMNS = 64
#: Pixels on a wide page; a phone shows it as wide as its screen.
_WIDTH = 640
_BAR = [("━━━━╸", "color(197)"), ("━", "color(237)")]
_PROGRESS = " 7,781 of 10,000, 3,912 a second, 0:00:01 left"
_RESULT = (
    "carecloud: 10,000 customers in customers.jsonl (2.2 s, 26 requests); next time: --changed-since "
    "2026-11-26T18:19:09+01:00"
)


def draw() -> str:
    """Return the picture as SVG."""
    with StringIO() as nowhere:
        console = Console(record=True, width=_COLUMNS, file=nowhere, force_terminal=True, color_system="256")
        console.print(Text(f"$ {COMMAND}", style="bold"))
        console.print(Text.assemble("customers ", *_BAR, _PROGRESS))
        console.print(Text(_RESULT))
    picture = console.export_svg(title="carecloud export", unique_id="export")
    picture = picture.replace(" viewBox=", f' width="{_WIDTH}" viewBox=', 1)
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # fonts of another host are not loaded


if __name__ == "__main__":
    (Path(__file__).parents[1] / "export.svg").write_text(draw(), encoding="utf-8")
