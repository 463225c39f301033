"""Time the fast forms and store the record: ``python -m benchmarks.run``.

Both ways of a case run in one process, in turn, and the record keeps medians: so a
machine that slows down for a while slows both. Each number of threads has a process
of its own, started with settings of the C library that keep freed memory: otherwise
page faults are what is measured. Pages quote the record; no test times anything.
"""

import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.cases import CASES, COSTS, Way

RECORD = Path(__file__).with_name("record.json")
THREADS = (1, 2)
REPEATS = 25
SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "OPENBLAS_THREAD_TIMEOUT": "4",
}


def milliseconds(ways: dict[str, Way], repeats: int = REPEATS) -> dict[str, float]:
    """Return the median time of each way, after three rounds that are not counted."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 3):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: round(median(taken[3:]), 2) for name, taken in times.items()}


def measure(threads: int) -> list[dict[str, Any]]:
    """Time every case on so many threads."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    results = []
    for name, case in CASES.items():
        taken = milliseconds(case())
        result: dict[str, Any] = {"case": name, "threads": threads, "ms": taken}
        if name in COSTS:
            result["macs"] = {way: cost.macs for way, cost in COSTS[name].items()}
            result["elements"] = {
                way: cost.elements_moved for way, cost in COSTS[name].items()
            }
        else:
            one, other = taken.values()
            result["ratio"] = round(one / other, 2)
        results.append(result)
    return results


def processor() -> str:
    """Return the processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.machine()


def main() -> None:
    results = []
    for threads in THREADS:
        command = [sys.executable, "-m", "benchmarks.run", str(threads)]
        environment = os.environ | SETTINGS
        answer = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE
        )
        results += json.loads(answer.stdout)
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnxruntime": version("onnxruntime"),
        },
        "repeats": REPEATS,
        "results": results,
    }
    RECORD.write_text(
        json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    for result in results:
        print(result)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(json.dumps(measure(int(sys.argv[1]))))
    else:
        main()
