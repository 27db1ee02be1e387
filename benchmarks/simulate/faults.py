"""What the simulation is worth: changes of one line, and after how many seeds it finds each.

python -m benchmarks.simulate.faults              # known faults, put back
python -m benchmarks.simulate.faults --random 50  # this many random changes of operators in the engine

A change of an operator is looked for in the simulations that pass its code, `--most` seeds of each theme, and for
`--seconds` of processor time at most.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final

from attrs import frozen

from benchmarks.simulate.known_faults import KNOWN, Fault

__all__ = ["Change", "operator_changes", "seeds_until_found"]

ROOT: Final = Path(__file__).parents[2]
#: The packages and files in which operators are changed.
ENGINE: Final = ("bulk", "_base/runs", "_lists/changes", "_lists/export/job.py", "_lists/export/storage")
#: Files of them that the simulation does not pass: reading and converting rows, storage services, pipes, reports.
_LEFT_OUT: Final = re.compile(
    r"sources/|convert|column|check\.py|compare|sink|parquet|urls|stoppable|errors|kinds|segment_sync|options"
    r"|remote|direct|phones|references|enumerations|reasons|report|figures|/target"
)
#: The themes that pass the code of a part of the engine.
_THEMES: Final = {
    "bulk/writer": ("a queue",),
    "bulk": ("by card", "with parts", "products by code", "two keys", "a queue", "without a key"),
    "_base": ("tills", "changes as files", "by email", "exports since"),
    "_lists/changes": ("changes", "changes as files"),
    "_lists/export": ("exports", "exports since"),
}  # fmt: skip
_SWAPS: Final = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "and": "or", "or": "and", "not": "", "+": "-",
    "-": "+", "True": "False", "False": "True",
}  # fmt: skip


@frozen(kw_only=True)
class Change:
    """One operator that is changed.

    Attributes:
        file: the file, from the package's folder.
        line, column: where.
        right, wrong: the operator, and what stands in its place.
    """

    file: str
    line: int
    column: int
    right: str
    wrong: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.right!r} → {self.wrong!r}"

    def make(self, package: Path) -> None:
        """Make the change in a copy of the package."""
        path = package / self.file
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        line = lines[self.line - 1]
        lines[self.line - 1] = line[: self.column] + self.wrong + line[self.column + len(self.right) :]
        path.write_text("".join(lines), encoding="utf-8")


def operator_changes(package: Path) -> Iterator[Change]:
    """Yield the operators of the engine that can be changed."""
    for part in ENGINE:
        path = package / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            name = file.relative_to(package).as_posix()
            if not _LEFT_OUT.search(name):
                yield from _in_file(name, file.read_text(encoding="utf-8"))


def _in_file(name: str, text: str) -> Iterator[Change]:
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        wrong = _SWAPS.get(token.string)
        is_operator = token.type in (tokenize.OP, tokenize.NAME) and wrong is not None and not _is_signature(token.line)
        # `is not`, `not in`, and the sign of a number are other operators.
        if is_operator and before not in ("is", "(", "[", ",", "=", ":", "return") and "not in" not in token.line:
            line, column = token.start
            yield Change(file=name, line=line, column=column, right=token.string, wrong=wrong or "")
        before = token.string


def _is_signature(line: str) -> bool:
    return line.lstrip().startswith(("def ", "async def ", "import ", "from ", "@", "class "))


def seeds_until_found(
    changes: Sequence[Fault | Change],
    *,
    most: int,
    theme: str | None = None,
    first: int = 0,
    seconds: float | None = None,
) -> tuple[int | None, str]:
    """Return the number of seeds until the simulation finds changes, `None` if it does not, and what it says.

    Args:
        changes: the changes, made together.
        most: seeds that are played at most.
        theme: the simulations in which they are looked for; all if left out.
        first: the first seed.
        seconds: how long they are looked for, in seconds of processor time.
    """
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        package = Path(folder, "carecloud_async")
        shutil.copytree(ROOT / "carecloud_async", package, ignore=shutil.ignore_patterns("__pycache__"))
        for change in changes:
            change.make(package)
        command = [sys.executable, "-m", "benchmarks.simulate", "--stop", "--brief"]
        command += ["--seeds", f"{first}-{first + most - 1}", *(["--theme", theme] if theme else [])]
        paths = os.pathsep.join([folder, str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"}
        if seconds is not None:
            command = ["sh", "-c", f'ulimit -t {max(round(seconds), 1)} && exec "$@"', "sh", *command]
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"^seed (\d+) \(.*", ended.stdout, re.MULTILINE)
    if found is not None:
        return int(found[1]) - first + 1, found[0]
    share = re.search(r"^.* reports are exact, less than .*", ended.stdout, re.MULTILINE)
    if share is not None:
        return most, share[0]
    if ended.returncode < 0:
        return None, "not found in time"
    if ended.returncode:
        return 1, f"it does not run: {(ended.stderr.strip().splitlines() or ['?'])[-1]}"
    return None, "not found"


def _look_for(change: Change, *, most: int, seconds: float | None) -> tuple[int | None, str]:
    """Look for a change of an operator in the themes that pass it; return the seeds of all themes until it is found."""
    themes = next(themes for part, themes in _THEMES.items() if change.file.startswith(part))
    what, before = "", _processor_seconds()
    for number, theme in enumerate(themes):
        left = None if seconds is None else before + seconds - _processor_seconds()
        if left is not None and left < 1:
            return None, f"not found in time, before {theme!r}"
        seeds, what = seeds_until_found([change], most=most, theme=theme, seconds=left)
        if seeds is not None:
            return number * most + seeds, what
    return None, what


def _processor_seconds() -> float:
    """Return the processor time of all simulations so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate.faults", description=__doc__)
    parser.add_argument("--only", help="those whose names contain this")
    parser.add_argument("--random", type=int, help="change this many operators, one at a time")
    parser.add_argument("--from", dest="draw", type=int, default=0, help="draw them from this seed")
    parser.add_argument("--most", type=int, default=1000, help="seeds that are played at most, of each theme")
    parser.add_argument("--seconds", type=float, help="for how long each is looked for, in processor time")
    parser.add_argument("--part", default="1/1", help="which part of the random ones, such as 1/2")
    options = parser.parse_args()
    if options.random is None:
        for fault in KNOWN:
            if options.only and options.only not in fault.name:
                continue
            seeds, what = seeds_until_found([fault], most=options.most, theme=fault.theme, seconds=options.seconds)
            covered = f", covered: {fault.covered_by}" if fault.covered_by else ""
            print(f"| {fault.name} | {fault.theme} | {seeds or '-'} | {what[:150]}{covered} |", flush=True)
        return
    changes = [*operator_changes(ROOT / "carecloud_async")]
    chosen = Random(options.draw).sample(changes, min(options.random, len(changes)))
    found = 0
    part, parts = map(int, options.part.split("/"))
    chosen = chosen[part - 1 :: parts]
    for change in chosen:
        seeds, what = _look_for(change, most=options.most, seconds=options.seconds)
        found += seeds is not None
        print(f"| {change} | {seeds or '-'} | {what[:150]} |", flush=True)
    print(f"{found} of {len(chosen)} found, of {len(changes)} operators")


if __name__ == "__main__":
    main()
