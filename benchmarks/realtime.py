"""Real-time predictions: milliseconds an answer, and answers a second, of `nightcast serve`.

    python benchmarks/realtime.py [--requests 2000] [--clients 4] [--learners linear boosting]

Models learn from 200,000 records. Clients keep their connections and run on the same machine, and the same
processors, as the endpoint. Amazon ML promised most answers within 100 ms, and 200 requests a second.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from insights import write_sales
from prediction import train_model

RECORDS = 200_000
SLOWEST_MS, LEAST_PER_SECOND = 100.0, 200.0
HEADERS = {"X-Amz-Target": "AmazonML_20141212.Predict"}


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """The endpoint's id and port."""
    command = [sys.executable, "-m", "nightcast.cli", "serve", str(folder), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = json.loads(process.stdout.readline() if process.stdout else "")
            yield said["mlModelId"], int(said["endpointUrl"].rpartition(":")[2])
        finally:
            process.terminate()


def ask(port: int, bodies: list[bytes]) -> list[float]:
    """Seconds of each answer, over one connection."""
    connection, taken = http.client.HTTPConnection("127.0.0.1", port, timeout=30), []
    for body in bodies:
        start = time.perf_counter()
        connection.request("POST", "/", body, HEADERS)
        answer = connection.getresponse()
        content = answer.read()
        taken.append(time.perf_counter() - start)
        if answer.status != 200:
            raise SystemExit(content.decode())
    connection.close()
    return taken


def requests(data: Path, model_id: str, count: int) -> list[bytes]:
    """Records of the data as requests."""
    import pyarrow.parquet as pq

    rows = pq.read_table(next(data.glob("*.parquet"))).slice(0, count).to_pylist()
    records = [{name: str(value) for name, value in row.items() if value is not None} for row in rows]
    return [json.dumps({"MLModelId": model_id, "Record": record}).encode() for record in records]


def measure(learner: str, data: Path, folder: Path, options: argparse.Namespace) -> None:
    """Print the figures of one kind of model."""
    train_model(learner, data, folder)
    with serving(folder) as (model_id, port), ThreadPoolExecutor(options.clients) as pool:
        bodies = requests(data, model_id, options.requests)
        ask(port, bodies[:100])
        taken = sorted(ask(port, bodies))
        start = time.perf_counter()
        found: list[Any] = list(pool.map(ask, [port] * options.clients, [bodies] * options.clients))
        seconds = time.perf_counter() - start
    ninety_ninth = 1000 * taken[len(taken) * 99 // 100]
    rate = sum(map(len, found)) / seconds
    print(f"\n{learner}: {len(bodies):,} requests, one at a time and then of {options.clients} clients")
    print(f"  median {1000 * taken[len(taken) // 2]:6.2f} ms")
    verdict = "kept" if ninety_ninth <= SLOWEST_MS else "MISSED"
    print(f"  99 %   {ninety_ninth:6.2f} ms              limit {SLOWEST_MS:g}: {verdict}")
    verdict = "kept" if rate >= LEAST_PER_SECOND else "MISSED"
    print(f"  {rate:8.0f} answers a second     limit {LEAST_PER_SECOND:g}: {verdict}", flush=True)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--learners", nargs="+", default=["linear", "boosting"], choices=["linear", "boosting", "sgd"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightcast-realtime-") as name:
        data = Path(name) / "data"
        data.mkdir()
        write_sales(data, RECORDS)
        for learner in options.learners:
            folder = Path(name) / learner
            folder.mkdir()
            measure(learner, data, folder, options)


if __name__ == "__main__":
    main()
