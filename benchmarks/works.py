"""The works: everything that is measured, with the targets beside it."""

from benchmarks.ceiling import call_paths, page_paths
from benchmarks.hosting import Host
from benchmarks.task import Task
from benchmarks.work import Comparison, Measure, Work

SDK = "carecloud-async"
HTTPX = "httpx + json"
HTTPX2 = "httpx2 + json"
CATTRS = "httpx + json + cattrs"
GENERATED = "generated client"
LIMIT = "aiohttp + msgspec"

_PEERS = {
    SDK: "carecloud",
    HTTPX: "httpx_script",
    HTTPX2: "httpx2_script",
    CATTRS: "cattrs_alone",
    GENERATED: "generated",
    LIMIT: "aiohttp_msgspec",
}
#: Widths and page sizes that "auto" is measured by.
_GRID = ((8, 1000), (20, 500), (20, 1000))
_COMMON_HTTP = (HTTPX, HTTPX2, LIMIT)


def all_works(*, quick: bool) -> list[Work]:
    """Return every work; with `quick`, small ones that show that the harness runs, not how fast anything is."""
    size = 0.1 if quick else 1.0
    return [
        _pages(1000, int(80_000 * size), target=1.7, aim=2.0),
        _pages(100, int(30_000 * size), target=1.9, aim=2.3),
        _pages(1000, int(40_000 * size), target=1.4, aim=1.6, untidy=True),
        _jsonl(int(150_000 * size)),
        _columns("parquet", int(40_000 * size), aim=2.5),
        _columns("csv", int(40_000 * size), aim=3.0),
        _small_calls(int(2000 * size)),
        *(_concurrent_calls(at_once, int(3000 * size)) for at_once in (1, 10, 100, 1000)),
        _flat(int(3000 * size)),
        *(_neighbour(count, 10_000 if quick else 80_000) for count in (1000, 5000)),
        _auto(int(60_000 * size)),
        _latency(8 * 100 if quick else 64 * 100),
        _single_flight(int(10_000 * size)),
        _import(2 if quick else 15),
        _first_call(2 if quick else 15),
        _memory(*((5000, 20_000) if quick else (50_000, 1_000_000))),
    ]


def _each(labels: tuple[str, ...], kind: str, done: int, *, count: int = 1000, in_flight: int = 8) -> dict[str, Task]:
    return {label: Task(peer=_PEERS[label], kind=kind, done=done, count=count, in_flight=in_flight) for label in labels}


def _against_httpx(*others: str) -> tuple[Comparison, ...]:
    return tuple(Comparison(who=label, against=HTTPX) for label in others)


def _pages(count: int, records: int, *, target: float, aim: float, untidy: bool = False) -> Work:
    return Work(
        name=f"{'untidy' if untidy else 'pages'}-{count}",
        title=f"typed pages of {count}, 8 in flight" + (", every tenth record untidy" if untidy else ""),
        unit="customers",
        host=Host(records=records, untidy=untidy),
        contestants=_each((SDK, HTTPX, HTTPX2, CATTRS, GENERATED, LIMIT), "pages", records, count=count),
        comparisons=(
            Comparison(who=SDK, against=HTTPX, target=target, aim=aim),
            *_against_httpx(HTTPX2, CATTRS, GENERATED, LIMIT),
        ),
        paths=tuple(page_paths(records, count)),
    )


def _jsonl(records: int) -> Work:
    return Work(
        name="jsonl",
        title="JSONL export, 1000 a page",
        unit="customers",
        host=Host(records=records),
        contestants=_each((SDK, *_COMMON_HTTP), "jsonl", records),
        comparisons=(Comparison(who=SDK, against=HTTPX, target=3.8, aim=5.0), *_against_httpx(HTTPX2, LIMIT)),
        paths=tuple(page_paths(records, 1000)),
    )


def _columns(kind: str, records: int, *, aim: float) -> Work:
    return Work(
        name=kind,
        title=f"{'CSV' if kind == 'csv' else 'Parquet'} export, 1000 a page",
        unit="customers",
        host=Host(records=records),
        contestants=_each((SDK, HTTPX), kind, records),
        comparisons=(Comparison(who=SDK, against=HTTPX, target=1.5, aim=aim),),
        paths=tuple(page_paths(records, 1000)),
    )


def _small_calls(calls: int) -> Work:
    get, request = f"{SDK}, customers.get", f"{SDK}, request"
    return Work(
        name="small-call",
        title="one small call after another",
        unit="calls",
        host=Host(records=100),
        contestants={
            get: Task(peer="carecloud", kind="calls", done=calls, in_flight=1),
            request: Task(peer="carecloud", kind="request_calls", done=calls, in_flight=1),
            **_each((*_COMMON_HTTP, GENERATED), "calls", calls, in_flight=1),
        },
        comparisons=(
            Comparison(who=get, against=HTTPX, target=1.4, aim=2.0),
            Comparison(who=request, against=HTTPX, target=1.4, aim=2.0),
            *_against_httpx(HTTPX2, GENERATED, LIMIT),
        ),
        paths=tuple(call_paths(1000)),
    )


def _concurrent_calls(at_once: int, calls: int) -> Work:
    wanted = at_once in {10, 100}
    return Work(
        name=f"concurrency-{at_once}",
        title=f"small calls, {at_once} at a time",
        unit="calls",
        host=Host(records=100),
        contestants=_each((SDK, *_COMMON_HTTP), "calls", calls, in_flight=at_once),
        comparisons=(
            Comparison(who=SDK, against=HTTPX),
            *_against_httpx(HTTPX2, LIMIT),
            Comparison(who=SDK, against=LIMIT, target=0.6 if wanted else None, aim=0.75 if wanted else None),
        ),
        paths=tuple(call_paths(1000)),
    )


def _flat(calls: int) -> Work:
    labels = {at_once: f"{SDK}, {at_once} at a time" for at_once in (10, 100, 1000)}
    return Work(
        name="flat",
        title="a call's cost as more are in flight",
        unit="calls",
        host=Host(records=100),
        contestants={
            label: Task(peer="carecloud", kind="calls", done=calls, in_flight=at_once)
            for at_once, label in labels.items()
        },
        comparisons=(
            Comparison(who=labels[100], against=labels[10]),
            Comparison(who=labels[1000], against=labels[10]),
        ),
    )


def _neighbour(count: int, records: int) -> Work:
    idle = "an idle loop"
    kinds = {
        f"{SDK}, prefetch(8)": ("carecloud", "pages"),
        f"{SDK}, raw()": ("carecloud", "raw_pages"),
        f"{SDK}, JSONL": ("carecloud", "jsonl"),
        f"{SDK}, CSV": ("carecloud", "csv"),
        f"{SDK}, Parquet": ("carecloud", "parquet"),
        f"{SDK}, arrow(8)": ("carecloud", "arrow"),
        f"{HTTPX}, pages": ("httpx_script", "pages"),
        f"{LIMIT}, pages": ("aiohttp_msgspec", "pages"),
        f"{LIMIT}, JSONL": ("aiohttp_msgspec", "jsonl"),
    }
    tasks = {
        label: Task(peer=peer, kind=kind, done=records, count=count, neighbour=True)
        for label, (peer, kind) in kinds.items()
    }
    target = 10 if count <= 1000 else 15
    return Work(
        name=f"neighbour-{count}",
        title=f"how late another task wakes, pages of {count}",
        unit="customers",
        host=Host(records=records),
        contestants={idle: Task(peer="idle", kind="idle", done=0, neighbour=True), **tasks},
        comparisons=tuple(
            Comparison(
                who=label,
                against=idle,
                measure=Measure.DELAY_P99_MS,
                target=target if label.startswith(SDK) else None,
            )
            for label in (idle, *tasks)
        ),
        paths=tuple(page_paths(records, count)),
        rounds=1 if records <= 10_000 else 5,
    )


def _auto(records: int) -> Work:
    auto, small = f"{SDK}, prefetch()", f"{SDK}, prefetch(8) of 100"
    told = [f"{SDK}, prefetch({width}) of {count}" for width, count in _GRID]
    numbers = dict(zip(told, _GRID, strict=True))
    return Work(
        name="auto",
        title="numbers found, at 50 ms latency",
        unit="customers",
        host=Host(records=records, latency=0.05),
        contestants={
            auto: Task(peer="carecloud", kind="pages_auto", done=records),
            small: Task(peer="carecloud", kind="pages", done=records, count=100, in_flight=8),
            **{
                label: Task(peer="carecloud", kind="pages", done=records, count=count, in_flight=width)
                for label, (width, count) in numbers.items()
            },
        },
        comparisons=(
            Comparison(who=auto, against=small, target=1.0),
            *(Comparison(who=auto, against=label, target=0.9) for label in told),
        ),
        rounds=3,
    )


def _latency(records: int) -> Work:
    single, many, script = f"{SDK}, one by one", f"{SDK}, prefetch(16)", f"{HTTPX}, 16 in flight"
    return Work(
        name="latency",
        title="pages of 100 at 50 ms latency",
        unit="customers",
        host=Host(records=records, latency=0.05),
        contestants={
            single: Task(peer="carecloud", kind="pages_one_by_one", done=records, count=100, in_flight=1),
            many: Task(peer="carecloud", kind="pages", done=records, count=100, in_flight=16),
            script: Task(peer="httpx_script", kind="pages", done=records, count=100, in_flight=16),
        },
        comparisons=(Comparison(who=many, against=single), Comparison(who=many, against=script)),
    )


def _single_flight(calls: int) -> Work:
    cold, warm = f"{calls} calls wait for one login", f"{calls} calls, logged in"
    return Work(
        name="single-flight",
        title=f"{calls} calls at once before the first login",
        unit="calls",
        host=Host(records=100),
        contestants={
            cold: Task(peer="carecloud", kind="cold_crowd", done=calls, in_flight=calls),
            warm: Task(peer="carecloud", kind="warm_crowd", done=calls, in_flight=calls),
        },
        comparisons=(Comparison(who=cold, against=warm, measure=Measure.EXTRA_US_EACH),),
    )


def _import(rounds: int) -> Work:
    names = f"{SDK}, the client's names"
    return Work(
        name="import",
        title="cold import",
        unit="imports",
        host=Host(records=1),
        contestants={
            **_each((SDK, HTTPX, GENERATED), "import", 1),
            names: Task(peer="carecloud", kind="import_client", done=1),
        },
        comparisons=(
            Comparison(who=SDK, against=HTTPX, measure=Measure.EXTRA_MS, target=120, aim=60),
            Comparison(who=names, against=HTTPX, measure=Measure.EXTRA_MS, target=120, aim=60),
            Comparison(who=GENERATED, against=HTTPX, measure=Measure.EXTRA_MS),
        ),
        rounds=rounds,
    )


def _first_call(rounds: int) -> Work:
    return Work(
        name="first-call",
        title="cold start to the first customer, login included",
        unit="starts",
        host=Host(records=1),
        contestants=_each((SDK, HTTPX), "first_call", 1),
        comparisons=(Comparison(who=SDK, against=HTTPX, measure=Measure.EXTRA_MS),),
        rounds=rounds,
    )


def _memory(few: int, many: int) -> Work:
    small, large = f"{SDK}, {few:,} customers", f"{SDK}, {many:,} customers"
    return Work(
        name="memory",
        title=f"peak memory, JSONL export of {many:,}",
        unit="customers",
        host=Host(records=many),
        contestants={
            small: Task(peer="carecloud", kind="jsonl", done=few),
            large: Task(peer="carecloud", kind="jsonl", done=many),
        },
        comparisons=(Comparison(who=large, against=small, measure=Measure.EXTRA_MB, target=50, aim=20),),
        rounds=3,
        own_hosts={small: Host(records=few)},
    )
