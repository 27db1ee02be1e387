"""Play seeds, and print a story of each one in which something did not hold.

python -m benchmarks.simulate --seed 17
python -m benchmarks.simulate --seeds 0-1000
python -m benchmarks.simulate --hours 8
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable


def main() -> int:
    """Play; return 1 if something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="play one seed")
    parser.add_argument("--seeds", help="play these, such as 0-1000")
    parser.add_argument("--hours", type=float, help="play for this many hours, from the first seed on")
    parser.add_argument("--theme", help="only simulations about this")
    parser.add_argument("--stop", action="store_true", help="stop at the first violation")
    parser.add_argument("--brief", action="store_true", help="print no stories")
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of texts have an order of their own in each process otherwise.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "benchmarks.simulate", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    return _play(options)


def _play(options: argparse.Namespace) -> int:
    from benchmarks.simulate.play import play
    from benchmarks.simulate.shares import broken_shares, told_shares

    sys.unraisablehook = lambda _: None  # coroutines of killed processes end when their memory is collected
    play(0)  # imports and caches
    gc.collect()
    gc.freeze()
    began, used = time.monotonic(), time.process_time()
    failed, seeds, requests, virtual, digest = Counter[str](), 0, 0, 0.0, 0
    reports, tallies = Counter[tuple[str, bool]](), Counter[str]()
    for seed in _seeds(options):
        if options.hours is not None and time.monotonic() - began > options.hours * 3600:
            break
        played = play(seed, theme=options.theme)
        seeds += 1
        requests += played.requests
        virtual += played.virtual
        reports.update({(played.theme, is_exact): count for is_exact, count in played.reports.items()})
        tallies += played.tallies
        digest = hash((digest, played.digest))
        if played.violations:
            failed[played.theme] += 1
            print(f"seed {seed} ({played.theme}): {played.violations[0]}" if options.brief else f"{played.story}\n")
            sys.stdout.flush()
            if options.stop:
                break
    seconds, core = time.monotonic() - began, time.process_time() - used
    print(
        f"{seeds} seeds, {sum(failed.values())} with violations {dict(failed) or ''}; {seconds:.1f} s "
        f"({seeds / seconds * 60:.0f} seeds a minute, {seeds / core * 60:.0f} on a whole core), {requests} requests, "
        f"{virtual / 3600:.1f} virtual hours; digest {digest & 0xFFFFFFFF:08x}"
    )
    if reports:
        print(f"exact reports: {told_shares(reports)}")
    if options.theme:
        print("".join(f"{count:7,} {what}\n" for what, count in sorted(tallies.items())), end="")
    broken = broken_shares(reports)
    print("\n".join(broken), end="\n" if broken else "")
    return 1 if failed or broken else 0


def _seeds(options: argparse.Namespace) -> Iterable[int]:
    if options.seed is not None:
        return [options.seed]
    if options.seeds:
        first, _, last = options.seeds.partition("-")
        return range(int(first), int(last or first) + 1)
    return itertools.count() if options.hours is not None else range(300)


if __name__ == "__main__":
    sys.exit(main())
