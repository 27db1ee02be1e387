"""`python -m benchmarks.rates`: how soon, and at which cost in refusals, a rate limit is found.

A client without any setting is simulated (see `benchmarks.rate_simulation`) on servers of several kinds, in several
states. The table shows the calls served per second, as a part of the limit, or of what so many callers could send at
this latency where that is less (a full bucket or window can take it above 1), and the part of all requests that got a
429.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product

from attrs import frozen

from benchmarks.rate_servers import Bucket, FixedWindow, Server, SlidingWindow
from benchmarks.rate_simulation import Callers, Simulation
from carecloud_async import RateLimit

SERVERS: dict[str, Callable[[float], Server]] = {
    "bucket of 1": lambda rate: Bucket(rate, 1),
    "bucket of 10": lambda rate: Bucket(rate, 10),
    "bucket of 40": lambda rate: Bucket(rate, 40),
    "fixed window": FixedWindow,
    "sliding window": SlidingWindow,
}
#: A bucket of 1 refuses what comes a moment before its turn: its limit has to be configured.
SPACED = "bucket of 1"
#: The states, and for each the limits until the measurement begins, as parts of the limit, and for how long (seconds).
STATES: dict[str, tuple[tuple[float, float], ...]] = {
    "cold": (),
    "a limit where there was none": ((1e9, 5.0),),
    "lowered to a fifth": ((5.0, 20.0),),
    "five times as high": ((0.2, 20.0),),
    "after five seconds of a stranger": ((1.0, 20.0), (0.2, 5.0)),
}
#: States of a client whose callers did something else before.
AFTER_REST, AFTER_SLOW_CALLS = "after a minute of rest", "after a minute of one caller"
LIMITS = (10, 40, 200)
LATENCIES = (0.005, 0.03, 0.1)
CALLERS = (8, 20, 100)
#: The seconds that are measured.
WINDOWS = ((0, 3), (3, 10), (10, 30))
LEAST_SERVED, MOST_REFUSED = 0.85, 0.05


@frozen(kw_only=True)
class Case:
    """A server in one state, and who calls it."""

    state: str
    server: str
    limit: int
    latency: float
    callers: int
    seed: int = 1


@frozen(kw_only=True)
class Finding:
    """The shares that a case came to in each of `WINDOWS`, and the calls that were given up."""

    case: Case
    served: tuple[float, ...]
    refused: tuple[float, ...]
    lost: int


def cases(
    *,
    states: Iterable[str] = (*STATES, AFTER_REST, AFTER_SLOW_CALLS),
    servers: Iterable[str] = SERVERS,
    limits: Iterable[int] = LIMITS,
    latencies: Iterable[float] = LATENCIES,
    callers: Iterable[int] = CALLERS,
) -> Iterator[Case]:
    """Yield every combination."""
    for state, server, limit, latency, number in product(states, servers, limits, latencies, callers):
        yield Case(state=state, server=server, limit=limit, latency=latency, callers=number)


def find(case: Case) -> Finding:
    """Simulate a case."""
    callers = Callers(number=case.callers, latency=case.latency, jitter=0.1)
    server = SERVERS[case.server](case.limit)
    start, change = 0.0, {}
    for part, seconds in STATES.get(case.state, ()):
        change[start] = part * case.limit
        start += seconds
    change[start] = case.limit
    server.rate = change[0.0]
    simulation = Simulation(server, RateLimit.adaptive(), callers, seed=case.seed)
    if case.state in (AFTER_REST, AFTER_SLOW_CALLS):
        is_rest = case.state == AFTER_REST
        before = simulation if is_rest else Simulation(server, RateLimit.adaptive(), Callers(number=1, latency=0.2))
        before.run(seconds=20 if is_rest else 60)
        before.clock.now += 60 * is_rest
        simulation = Simulation(server, None, callers, make=lambda _: before.limiter, clock=before.clock)
    outcome = simulation.run(seconds=start + WINDOWS[-1][1], change=change)
    most = min(case.limit, case.callers / case.latency)
    served, refused = [], []
    for begin, end in WINDOWS:
        answers, refusals = (
            sum(start + begin <= at < start + end for at in times) for times in (outcome.served, outcome.refused)
        )
        served.append(answers / (end - begin) / most)
        refused.append(refusals / max(answers + refusals, 1))
    return Finding(case=case, served=tuple(served), refused=tuple(refused), lost=outcome.lost)


def table(findings: Sequence[Finding]) -> str:
    """Return the findings as a table in Markdown: of each state and server the worst shares."""
    titles = [f"{begin} to {end} s" for begin, end in WINDOWS]
    lines = [f"| state | server | {' | '.join(titles)} |", "| --- " * (len(titles) + 2) + "|"]
    for state, server in dict.fromkeys((finding.case.state, finding.case.server) for finding in findings):
        group = [finding for finding in findings if (finding.case.state, finding.case.server) == (state, server)]
        cells = [
            f"{min(each.served[window] for each in group):.2f}, {max(each.refused[window] for each in group):.1%}"
            for window in range(len(WINDOWS))
        ]
        lines.append(f"| {state} | {server} | {' | '.join(cells)} |")
    return "\n".join(lines)


def is_missed(finding: Finding) -> bool:
    """Return whether a case serves too little, or refuses too much, from the tenth second on."""
    return finding.case.server != SPACED and (finding.served[-1] < LEAST_SERVED or finding.refused[-1] > MOST_REFUSED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 1 if a case is outside the bounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rates", description=__doc__)
    parser.add_argument("--state", action="append", help="a state; may be repeated; all if left out")
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor() as pool:
        chosen = list(cases(states=options.state) if options.state else cases())
        findings = list(pool.map(find, chosen, chunksize=8))
    print(table(findings))
    missed = [finding for finding in findings if is_missed(finding)]
    lost = sum(finding.lost for finding in findings)
    print(f"\n{len(findings)} cases, {len(missed)} outside the bounds, {lost} calls lost")
    for finding in missed:
        print(finding)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
