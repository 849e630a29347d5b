"""The service under load: `python -m benchmarks.serve [--requests 200] [--clients 8] [--side 224] [--rounds 3]`.

Clients on this machine ask one image a request, each its next as soon as it has an answer, of the service as
`coronet serve` starts it, in a process of its own, two ways in turns:

- batched: as it is, up to 4 images through the networks together;
- unbatched: one image at a time (`batch_images` = 1, no waiting), all else the same.

Of each round the median and the 99th percentile of the seconds from request to answer, and images a second; then the
ratios of the rounds. Networks are untrained: what they have learnt changes no time. Beside it, the same with a single
client: what waiting for company costs whoever is alone. Results in `benchmarks/serve.json`.
"""

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from coronet_core.common.cpu_count import usable_cores

RESULTS = Path(__file__).with_name("serve.json")
WAYS: dict[str, dict[str, Any]] = {"batched": {}, "unbatched": {"batch_images": 1, "batch_wait_ms": 0.0}}
MAX_REQUESTS = 5000
START_S = 120


def _serve(listening: socket.socket, side_px: int, settings: dict[str, Any]) -> None:
    from serving.app import build_app
    from serving.guards.log_limit import limit_logs
    from serving.server import BindAddress, server_of
    from serving.settings import ServingSettings
    from tasks.runtime.compute.cpu import use_cpu_threads
    from tests.serving.served import served_model, trained_model

    use_cpu_threads(share=1)
    limit_logs()
    served = served_model(model=replace(trained_model(), image_size_px=side_px))
    app = build_app(served, ServingSettings(rate="1000000/second", log_requests=False, **settings))
    server_of(app, BindAddress(host="127.0.0.1", port=0, proxy=None)).run(sockets=[listening])


@contextmanager
def service(side_px: int, settings: dict[str, Any]) -> Iterator[str]:
    """Run the service in a process of its own; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(listening, side_px, settings))
        process.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            httpx.get(f"{address}/ready", timeout=START_S).raise_for_status()
            yield address
        finally:
            process.terminate()
            process.join()


def load(address: str, contents: list[bytes], requests: int, clients: int) -> dict[str, float]:
    """Ask `requests` times with `clients` at once; returns seconds and images a second."""
    seconds: list[float] = []

    def ask_on(first: int) -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            for number in range(first, requests, clients):
                began = time.perf_counter()
                client.post("/predict", files={"files": ("x", contents[number % len(contents)])}).raise_for_status()
                seconds.append(time.perf_counter() - began)

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask_on, range(clients)))
    took = time.perf_counter() - began
    p50, p99 = np.percentile(seconds, [50, 99])
    return {"p50_ms": 1000 * float(p50), "p99_ms": 1000 * float(p99), "images_per_s": requests / took}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Load both ways in turns."""
    from tests.serving.served import png

    contents = [png(number, width_px=options.image, height_px=options.image) for number in range(8)]
    rounds: dict[str, dict[str, list[dict[str, float]]]] = {}
    with service(options.side, WAYS["batched"]) as batched, service(options.side, WAYS["unbatched"]) as unbatched:
        addresses = {"batched": batched, "unbatched": unbatched}
        for address in addresses.values():
            load(address, contents, 2 * options.clients, options.clients)  # everything is loaded and warm
        for _ in range(options.rounds):
            for clients in (options.clients, 1):
                for way, address in addresses.items():
                    requests = options.requests if clients > 1 else max(options.requests // 4, 1)
                    found = load(address, contents, requests, clients)
                    rounds.setdefault(f"{clients} clients", {}).setdefault(way, []).append(found)
    return {
        "cores": usable_cores(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all cores"),
        "load_average": os.getloadavg(),
        **vars(options),
        **{name: summary(ways) for name, ways in rounds.items()},
    }


def summary(ways: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return medians of the rounds by way, and the ratios of batched to unbatched: median, smallest, largest."""
    names = ways["batched"][0]
    medians = {
        way: {name: statistics.median(one[name] for one in found) for name in names} for way, found in ways.items()
    }
    ratios = {}
    for name in names:
        by_round = [a[name] / b[name] for a, b in zip(ways["batched"], ways["unbatched"], strict=True)]
        ratios[name] = {"median": statistics.median(by_round), "smallest": min(by_round), "largest": max(by_round)}
    return medians | {"batched_to_unbatched": ratios}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description="The service under load.")
    parser.add_argument("--requests", type=int, default=200, help=f"in each round, at most {MAX_REQUESTS}")
    parser.add_argument("--clients", type=int, default=8, help="at once")
    parser.add_argument("--side", type=int, default=224, help="of what the networks take, in pixels")
    parser.add_argument("--image", type=int, default=512, help="side of the files, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.requests = min(options.requests, MAX_REQUESTS)
    results = measure(options)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
