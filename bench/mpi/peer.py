"""Measures mpi4py.futures as main.go does package mpi, and prints the table.

mpiexec -n 3 python -m mpi4py.futures peer.py measure
python peer.py table RESULTS...
"""

import json
import resource
import sys
import time

ELEMENTS, ARRAYS, IDLE = 1_000_000, 64, 3


def noop(x):
    return x


def cpu(_):
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


def report(metric, value, unit):
    print(json.dumps({"metric": metric, "executor": "mpi4py.futures", "value": value, "unit": unit}), flush=True)


def median(call):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[2]


def measure():
    import numpy
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor() as pool:
        pool.bootup()
        n = 5_000
        report("noop/batch=1", n / median(lambda: list(pool.map(noop, range(n)))), "tasks/s")
        best = 0
        for chunk, n in ((10, 20_000), (100, 100_000), (1000, 500_000), (10_000, 1_000_000)):
            best = max(best, n / median(lambda: list(pool.map(noop, range(n), chunksize=chunk))))
        report("noop/batch=auto", best, "tasks/s")
        trips = []
        for i in range(2_000):
            start = time.perf_counter()
            pool.submit(noop, i).result()
            trips.append(time.perf_counter() - start)
        report("round-trip", 1e6 * sorted(trips)[len(trips) // 2], "us")
        arrays = [numpy.arange(ELEMENTS, dtype=float) + k for k in range(ARRAYS)]
        seconds = median(lambda: list(pool.map(noop, arrays)))
        report("payload-8MB", ARRAYS * 2 * 8 * ELEMENTS / seconds / 1e6, "MB/s")
        before, own = pool.submit(cpu, 0).result(), cpu(0)
        time.sleep(IDLE)
        report("idle/root", 100 * (cpu(0) - own) / IDLE, "%")
        del before


def show(value):
    return "" if value is None else f"{value:,.1f}"


def table(files):
    bars = {  # what the figure is compared with, and the bar
        "noop/batch=1": ("mpi4py.futures", 20),
        "noop/batch=auto": ("mpi4py.futures", 1),
        "round-trip": ("raw/round-trip", 3),
        "payload-8MB": ("raw/payload-8MB", 0.7),
        "idle/worker": (None, 3),
    }
    for file in files:
        mpi = file.rsplit("/", 1)[-1].removesuffix(".jsonl")
        values = {}
        with open(file) as lines:
            for line in lines:
                r = json.loads(line)
                values.setdefault((r["executor"], r["metric"]), []).append(r["value"])
        middle = {k: sorted(v)[len(v) // 2] for k, v in values.items()}
        print(f"\n{mpi:18}{'Parade':>14}{'mpi4py.futures':>16}{'MPI itself':>14}   ratio (bar)")
        for metric, (against, bar) in bars.items():
            own = middle["parade", metric]
            peer = middle.get(("mpi4py.futures", metric))
            raw = middle.get(("parade", "raw/" + metric))
            ratio = ""
            if against:
                other = peer if against == "mpi4py.futures" else raw
                ratio = f"{own / other:.2f} ({bar})"
            else:
                ratio = f"{own:.2f} % ({bar} %)"
            print(f"{metric:18}{show(own):>14}{show(peer):>16}{show(raw):>14}   {ratio}")


if __name__ == "__main__":
    if sys.argv[1] == "table":
        table(sys.argv[2:])
    else:
        measure()
