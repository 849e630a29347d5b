"""The service under good and hostile requests: `python -m benchmarks.soak [--minutes 30] [--clients 16] [--side 224]`.

Clients on this machine draw from `benchmarks/soak_requests.py`, each its next request as soon as it has an answer: good
ones are predictions, maps, residuals, previews and pages; hostile ones broken images, a decompression bomb, too many
files, wrong names and origins, what is no HTTP, huge and half-sent headers, half-sent bodies, and clients that hang up.
The service is as `coronet serve` starts it, in a process of its own, without its rate, which one machine soon reaches.
Networks are untrained: what they have learnt changes no time.

By kind: requests, milliseconds from request to answer (median, 95th and 99th percentile, largest), how many got 503
because of too many others ("busy"), and what is unexpected: another status than this kind should have, or no answer.
Beside it the memory of the service over time, with and without its decoders, its growth, and its own counters. A table,
and `benchmarks/soak.json`.
"""

import argparse
import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.serve import service
from benchmarks.soak_requests import BUSY, KINDS, Client, Kind
from coronet_core.common.cpu_count import usable_cores
from coronet_core.common.seeds import derive_seed

RESULTS = Path(__file__).with_name("soak.json")
SAMPLES = 120
"""Of the memory."""
MIB = 2**20
WARM_UP_S = 240.0
"""After which growth is taken, or half of a shorter soak: until then the largest batches come for the first time."""
COUNTERS = ("coronet_requests_total", "coronet_connections_closed_total", "coronet_refused_total")
HEADING = f"{'kind':26} {'requests':>8} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'max ms':>8} {'busy':>6}  unexpected"


class Record:
    """What came of the requests, of all clients."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, kind: Kind, outcome: str, seconds: float) -> None:
        """Note one request."""
        with self._lock:
            self.seconds[kind.name].append(seconds)
            self.outcomes[kind.name][outcome] += 1

    def row(self, kind: Kind) -> dict[str, Any]:
        """Return the figures of one kind."""
        outcomes = self.outcomes[kind.name]
        p50, p95, p99, largest = np.percentile(self.seconds[kind.name] or [float("nan")], [50, 95, 99, 100])
        return {
            "kind": kind.name,
            "is_good": kind.is_good,
            "requests": sum(outcomes.values()),
            "p50_ms": 1000 * p50,
            "p95_ms": 1000 * p95,
            "p99_ms": 1000 * p99,
            "max_ms": 1000 * largest,
            "busy": outcomes[BUSY],
            "outcomes": dict(outcomes),
            "unexpected": {name: n for name, n in outcomes.items() if name not in kind.expected | {BUSY}},
        }


def ask_on(client: Client, record: Record, until: float) -> None:
    """Send requests until the time is up."""
    weights = [kind.weight for kind in KINDS]
    while time.monotonic() < until:
        (kind,) = client.draw.choices(KINDS, weights)
        began = time.monotonic()
        try:
            outcome = kind.send(client)
        except (httpx.HTTPError, OSError) as error:
            outcome = type(error).__name__
        record.add(kind, outcome, time.monotonic() - began)
    client.close()


def resident_mib() -> dict[str, float]:
    """Return the resident memory of the service, and of all that this process and the service have started."""
    here = psutil.Process()
    every = {child.pid: child.memory_info().rss / MIB for child in here.children(recursive=True)}
    service_mib = max(every[child.pid] for child in here.children() if child.pid in every)  # beside Python's trackers
    return {"service_mib": round(service_mib, 1), "mib": round(sum(every.values()), 1)}


def growth_mib_per_minute(memory: list[dict[str, float]]) -> float:
    """Return the slope of the service's memory once it is warm, by least squares."""
    after = min(WARM_UP_S, memory[-1]["s"] / 2)
    warm = [(sample["s"] / 60, sample["service_mib"]) for sample in memory if sample["s"] >= after]
    return float(np.polyfit(*zip(*warm, strict=True), deg=1)[0])


def counters(address: str) -> dict[str, float]:
    """Return the service's own counters."""
    lines = httpx.get(f"{address}/metrics", timeout=60).text.splitlines()
    return {name: float(value) for line in lines if line.startswith(COUNTERS) for name, value in [line.rsplit(" ", 1)]}


def soak(options: argparse.Namespace) -> dict[str, Any]:
    """Run all clients for the time; returns the results."""
    from tests.serving.served import png

    images = [png(number, width_px=options.image, height_px=options.image) for number in range(8)]
    record, memory = Record(), []
    with service(options.side, {}) as address:
        began = time.monotonic()
        until = began + 60 * options.minutes
        clients = [Client(address, images, random.Random(derive_seed(options.seed, n))) for n in range(options.clients)]  # noqa: S311
        threads = [threading.Thread(target=ask_on, args=(client, record, until)) for client in clients]
        for thread in threads:
            thread.start()
        while time.monotonic() < until:
            memory.append({"s": round(time.monotonic() - began, 1)} | resident_mib())
            time.sleep(60 * options.minutes / SAMPLES)
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        counted = counters(address)
    return {
        "cores": usable_cores(),
        "load_average": os.getloadavg(),
        **vars(options),
        "seconds": round(took, 1),
        "rows": [record.row(kind) for kind in KINDS],
        "memory": memory,
        "growth_mib_per_minute": round(growth_mib_per_minute(memory), 1),
        "counters": counted,
    }


def table(results: dict[str, Any]) -> str:
    """Return the results as text."""
    lines = [HEADING]
    for row in results["rows"]:
        times = " ".join(f"{row[f'{name}_ms']:8.0f}" for name in ("p50", "p95", "p99", "max"))
        unexpected = ", ".join(f"{name}: {n}" for name, n in row["unexpected"].items()) or "-"
        lines.append(f"{row['kind']:26} {row['requests']:8} {times} {row['busy']:6}  {unexpected}")
    for name, whose in (("service_mib", "the service"), ("mib", "it and its decoders")):
        mib = [sample[name] for sample in results["memory"]]
        quarters = [mib[len(mib) * part // 4] for part in range(4)] + mib[-1:]
        over_time = ", ".join(f"{sample:.0f}" for sample in quarters)
        lines.append(f"memory of {whose}, MiB, at 0, 1/4, 1/2, 3/4 and the end: {over_time}")
    lines.append(f"growth of the service once it is warm: {results['growth_mib_per_minute']:.1f} MiB a minute")
    lines += [f"{name} {value:g}" for name, value in results["counters"].items() if "created" not in name]
    return "\n".join(lines)


def main() -> None:
    """Soak, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Good and hostile requests, mixed.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=16, help="at once")
    parser.add_argument("--side", type=int, default=224, help="of what the networks take, in pixels")
    parser.add_argument("--image", type=int, default=512, help="side of the files, in pixels")
    parser.add_argument("--seed", type=int, default=2020)
    options = parser.parse_args()
    results = soak(options)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
