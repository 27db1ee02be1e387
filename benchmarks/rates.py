"""`python -m benchmarks.rates`: how soon, and at which cost in refusals, an unknown rate limit is found.

Jobs of 600 calls from cold, without a `Retry-After`, are simulated (see `benchmarks.rate_simulation`) on servers of
every kind. The served share is the calls served per second, from the first that is sent to the last answer, by the
limit, or by what so many callers could send at this latency where that is less; what a bucket or a window holds at the
start can take it above 1. The refused share is the number of 429s as a part of all requests.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product

from attrs import frozen

from benchmarks.rate_servers import Bucket, FixedWindow, Server, SlidingWindow
from benchmarks.rate_simulation import Callers, Simulation
from carecloud_async import RateLimit
from carecloud_async._calls.rate_limits.model import LONG_WINDOW, SECOND, SLOWEST, RateModel

SERVERS: dict[str, Callable[[float], Server]] = {
    "bucket of 1": lambda rate: Bucket(rate, 1),
    "bucket of 10": lambda rate: Bucket(rate, 10),
    "bucket of 40": lambda rate: Bucket(rate, 40),
    "fixed window": FixedWindow,
    "sliding window": SlidingWindow,
}
#: Windows of ten seconds: 600 calls are too few for a cold client to find them.
LONG_WINDOWS: dict[str, Callable[[float], Server]] = {
    "fixed window of 10 s": lambda rate: FixedWindow(rate, 10.0),
    "sliding window of 10 s": lambda rate: SlidingWindow(rate, 10.0),
}
LIMITS = (5, 10, 40, 200)
LATENCIES = (0.005, 0.03, 0.1)
CALLERS = (8, 20, 100)
REQUESTS = 600
LEAST_SERVED, MOST_REFUSED = 0.8, 0.05
#: Largest refused part with slow servers, and with many callers, who may all be under way at the first refusal.
MOST_REFUSED_OF_MANY = 0.1


@frozen(kw_only=True)
class Case:
    """A server and who calls it."""

    server: str
    limit: int
    latency: float
    callers: int
    jitter: float = 0.0
    seed: int = 1


@frozen(kw_only=True)
class Finding:
    """The shares that a case came to, and calls that were given up."""

    case: Case
    served: float
    refused: float
    lost: int

    @property
    def margin(self) -> float:
        """How far it is inside both bounds, as a part of what they leave; below zero where it breaks one."""
        many = self.case.callers > 20 or self.case.limit <= 5
        most = MOST_REFUSED_OF_MANY if many else MOST_REFUSED
        return min((self.served - LEAST_SERVED) / (1 - LEAST_SERVED), (most - self.refused) / most)


def cases(
    *,
    limits: Iterable[int] = LIMITS,
    latencies: Iterable[float] = LATENCIES,
    callers: Iterable[int] = CALLERS,
    jitters: Iterable[float] = (0.0,),
    seeds: Iterable[int] = (1,),
) -> Iterator[Case]:
    """Yield every combination."""
    for server, limit, latency, number, jitter, seed in product(SERVERS, limits, latencies, callers, jitters, seeds):
        yield Case(server=server, limit=limit, latency=latency, callers=number, jitter=jitter, seed=seed)


def find(case: Case) -> Finding:
    """Simulate a case."""
    callers = Callers(number=case.callers, latency=case.latency, jitter=case.jitter)
    simulation = Simulation(SERVERS[case.server](case.limit), RateLimit.adaptive(), callers, seed=case.seed)
    outcome = simulation.run(requests=REQUESTS)
    most = min(case.limit, case.callers / case.latency)
    return Finding(case=case, served=outcome.rate / most, refused=outcome.share_refused, lost=outcome.lost)


@frozen(kw_only=True)
class Belief:
    """What a client believes of the limit in the beginning.

    Attributes:
        part: the rate of its calls, as a part of the limit.
        grown: seconds for which it has grown since the last refusal.
        counted: calls that the last ten seconds are believed to have served, as a part of those that the limit allows;
            0 for a client that has just begun. No fewer than its rate says: a client counts what it calls.
        waiting: whether its calls are refused at this moment.
        served: calls believed to have been served since the last refusal.
    """

    part: float
    grown: float = 0.0
    counted: float = 0.0
    waiting: bool = False
    served: int = 0

    def model(self, limit: float, now: float) -> RateModel:
        """Return the state of a client that believes this."""
        grown = RateModel(limit=1e6).rate(self.grown) / 1e6
        model = RateModel(limit=max(self.part * limit / grown, SLOWEST), origin=now)
        model.began = -self.grown
        model.served = self.served
        model.waiting = self.waiting
        model.refused = now if self.waiting else now - self.grown
        model.pause = SECOND
        model.learnt = now - self.grown
        if self.counted:
            model.origin -= LONG_WINDOW
            model.began += LONG_WINDOW
            for second in range(int(LONG_WINDOW)):
                model.history.add(now - LONG_WINDOW + second, int(max(self.counted, min(self.part, 1)) * limit))
        return model


def recover(case: Case, belief: Belief, *, seconds: float = 20.0) -> Finding:
    """Simulate a client that believes something; return what it comes to from the tenth second on.

    Where windows are of ten seconds it is given three of them.
    """
    settled = 30.0 if case.server in LONG_WINDOWS else 10.0
    server = (SERVERS | LONG_WINDOWS)[case.server](case.limit)
    callers = Callers(number=case.callers, latency=case.latency, jitter=case.jitter)
    simulation = Simulation(server, RateLimit.adaptive(), callers, seed=case.seed)
    pace = simulation.limiter.pace
    pace.model = belief.model(case.limit, simulation.clock.now)
    outcome = simulation.run(seconds=settled + seconds)
    served, refused = (sum(settled <= at for at in times) for times in (outcome.served, outcome.refused))
    most = min(case.limit, case.callers / case.latency)
    share = refused / max(served + refused, 1)
    return Finding(case=case, served=served / seconds / most, refused=share, lost=outcome.lost)


def table(findings: Iterable[Finding]) -> str:
    """Return the findings as a table, the worst first."""
    lines = ["server            limit  latency  callers  jitter  seed   served  refused  lost"]
    for found in sorted(findings, key=lambda found: found.margin):
        case = found.case
        lines.append(
            f"{case.server:16}{case.limit:7}{1000 * case.latency:6.0f} ms{case.callers:9}{case.jitter:8.0%}"
            f"{case.seed:6}{found.served:9.2f}{found.refused:9.1%}{found.lost:6}{'' if found.margin >= 0 else '  *'}"
        )
    return "\n".join(lines)


def summary(findings: Sequence[Finding], *, limits: Sequence[int] = LIMITS) -> str:
    """Return the worst shares of each server and limit as a table in Markdown."""
    lines = [
        "| server | " + " | ".join(f"{limit} a second" for limit in limits) + " |",
        "| --- " * (len(limits) + 1) + "|",
    ]
    for server in SERVERS:
        row = []
        for limit in limits:
            group = [found for found in findings if (found.case.server, found.case.limit) == (server, limit)]
            served, refused = min(found.served for found in group), max(found.refused for found in group)
            row.append(f"{served:.2f}, {refused:.1%}")
        lines.append(f"| {server} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 1 if a limit of 10 or more was found too late or at too high a cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rates", description=__doc__)
    parser.add_argument(
        "--jitter", type=float, action="append", help="part of the latency, 0 if left out; may be repeated"
    )
    parser.add_argument("--seeds", type=int, default=1, help="runs of each case (default 1)")
    parser.add_argument("--worst", type=int, metavar="N", help="print the worst N lines only")
    parser.add_argument("--markdown", action="store_true", help="print the worst of each server and limit only")
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor() as pool:
        chosen = list(cases(jitters=options.jitter or (0.0,), seeds=range(1, options.seeds + 1)))
        findings = list(pool.map(find, chosen, chunksize=8))
    print(
        summary(findings)
        if options.markdown
        else "\n".join(table(findings).splitlines()[: (options.worst or len(chosen)) + 1])
    )
    missed = [found for found in findings if found.margin < 0 and found.case.limit >= 10]
    print(f"\n{len(findings)} cases, {len(missed)} of 10 a second and more outside the bounds")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
