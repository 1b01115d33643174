#!/usr/bin/env python3
"""Measures the Python pools that Parade is compared with.

    pip install joblib==1.6.0 numpy==2.4.6
    python3 peers.py --workers 2

Prints one JSON object per line, with the fields of "parade bench --json": metric,
executor, workers, value, unit. What is measured:

    noop/batch=1, noop/batch=auto   tasks/s  tasks that return their argument
    round-trip/median, /p99         us       one call at a time, pool warm
    first-result                    ms       from nothing to the first result
    bound-80MB                      s        200 tasks with an 80 MB array bound
    bound-80MB/pickled              times    how often it was serialised; joblib's
                                             memmap then sends a reference to it
    payload-8MB-sum                 MB/s     the sum of each of 64 arrays of 8 MB

Every pool runs as its documentation shows it, with its defaults where the executor's
name does not say otherwise. Remarks go to standard error.
"""

import argparse
import functools
import json
import multiprocessing
import platform
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata

# numpy and joblib are imported where they are used: a spawned worker imports this
# file, and must not be slowed down by what its task does not need.

BOUND_TASKS = 200
BOUND_LIMIT = 120  # seconds for one way of sending the bound array


def noop(x):
    return x


def total(array):
    return float(array.sum())


class Bound:
    """An argument that counts how often it is serialised in this process."""

    pickled = 0

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        Bound.pickled += 1
        return Bound, (self.array,)


def element(bound, index):
    return float(bound.array[index])


class Report:
    def __init__(self, workers):
        self.workers = workers

    def __call__(self, metric, executor, value, unit):
        line = {
            "metric": metric,
            "executor": executor,
            "workers": self.workers,
            "value": float(f"{value:.4g}"),
            "unit": unit,
        }
        print(json.dumps(line), flush=True)


def remark(text):
    print("peers:", text, file=sys.stderr, flush=True)


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rate(run, tasks, quick):
    """Tasks per second: the median of three runs that are long enough to trust."""
    least = 0.2 if quick else 1.0
    run(100)  # the workers are up and warm
    while (took := seconds(lambda: run(tasks))) < least:
        tasks = int(tasks * min(10, 1.3 * least / took)) + 1
    times = [took] + [seconds(lambda: run(tasks)) for _ in range(2)]
    return tasks / statistics.median(times)


def first_result(report, workers, quick):
    from joblib.externals import loky

    def pool(method):
        p = multiprocessing.get_context(method).Pool(workers)
        return p.apply, p.terminate

    def futures(method):
        context = multiprocessing.get_context(method)
        p = ProcessPoolExecutor(workers, mp_context=context)
        return (lambda f, args: p.submit(f, *args).result()), p.shutdown

    def fresh_loky():
        p = loky.ProcessPoolExecutor(workers)
        return (lambda f, args: p.submit(f, *args).result()), p.shutdown

    ways = {}
    for method in ("fork", "spawn"):
        if method in multiprocessing.get_all_start_methods():
            ways[f"multiprocessing.Pool({method})"] = functools.partial(pool, method)
            ways[f"concurrent.futures({method})"] = functools.partial(futures, method)
    ways["joblib(loky)"] = fresh_loky
    for name, open_pool in ways.items():
        times = []
        for _ in range(3 if quick else 9):
            start = time.perf_counter()
            apply, close = open_pool()
            apply(noop, (1,))
            times.append(time.perf_counter() - start)
            close()
        report("first-result", name, 1e3 * statistics.median(times), "ms")


def throughput(report, workers, quick):
    from joblib import Parallel, delayed

    def measure(batch, executor, run, tasks):
        report(f"noop/batch={batch}", executor, rate(run, tasks, quick), "tasks/s")

    with multiprocessing.Pool(workers) as p:
        measure(1, "multiprocessing.Pool.map", lambda n: p.map(noop, range(n), chunksize=1), 10_000)
        measure(1, "multiprocessing.Pool.imap", lambda n: list(p.imap(noop, range(n))), 10_000)
        measure("auto", "multiprocessing.Pool.map", lambda n: p.map(noop, range(n)), 1_000_000)
    with ProcessPoolExecutor(workers) as p:
        measure(1, "concurrent.futures.map", lambda n: list(p.map(noop, range(n))), 5_000)
        measure(
            "auto",
            "concurrent.futures.map(chunksize=1000)",
            lambda n: list(p.map(noop, range(n), chunksize=1000)),
            500_000,
        )
    with Parallel(n_jobs=workers, batch_size=1) as p:
        measure(1, "joblib", lambda n: p(delayed(noop)(i) for i in range(n)), 1_000)
    with Parallel(n_jobs=workers) as p:
        measure("auto", "joblib", lambda n: p(delayed(noop)(i) for i in range(n)), 50_000)


def round_trip(report, workers, quick):
    from joblib.externals import loky

    def measure(executor, call):
        for _ in range(100):
            call()
        times = sorted(seconds(call) for _ in range(1_000 if quick else 10_000))
        report("round-trip/median", executor, 1e6 * statistics.median(times), "us")
        report("round-trip/p99", executor, 1e6 * times[len(times) * 99 // 100], "us")

    with multiprocessing.Pool(workers) as p:
        measure("multiprocessing.Pool.apply", lambda: p.apply(noop, (1,)))
    with ProcessPoolExecutor(workers) as p:
        measure("concurrent.futures.submit", lambda: p.submit(noop, 1).result())
    with loky.ProcessPoolExecutor(workers) as p:
        measure("joblib(loky).submit", lambda: p.submit(noop, 1).result())


def bound(report, workers, quick):
    import numpy
    from joblib import Parallel, delayed

    argument = Bound(numpy.arange(10_000_000, dtype=numpy.float64))
    task = functools.partial(element, argument)
    limit = 5 if quick else BOUND_LIMIT

    def measure(executor, call):
        Bound.pickled = 0
        start = time.perf_counter()
        try:
            call()
            took = time.perf_counter() - start
        except multiprocessing.TimeoutError:
            # Each task of chunk 1 needs one copy: the rest would go on like this.
            took = (time.perf_counter() - start) * BOUND_TASKS / max(1, Bound.pickled)
            remark(f"{executor}: stopped after {limit} s at {Bound.pickled} copies, extrapolated")
        report("bound-80MB", executor, took, "s")
        report("bound-80MB/pickled", executor, Bound.pickled, "times")

    for name, chunk in (("1", 1), ("auto", None)):
        with multiprocessing.Pool(workers) as p:
            p.map(noop, range(workers))
            measure(
                f"multiprocessing.Pool.map(chunksize={name})",
                lambda: p.map_async(task, range(BOUND_TASKS), chunksize=chunk).get(limit),
            )
    with Parallel(n_jobs=workers) as p:
        p(delayed(noop)(i) for i in range(workers))
        measure("joblib(memmap)", lambda: p(delayed(element)(argument, i) for i in range(BOUND_TASKS)))


def payload(report, workers, quick):
    import numpy
    from joblib import Parallel, delayed

    count = 16 if quick else 64
    arrays = [numpy.full(1_000_000, float(i)) for i in range(count)]
    want = [1e6 * i for i in range(count)]

    def measure(executor, run):
        def call():
            if run() != want:
                raise ValueError(f"{executor}: wrong sums")

        call()
        took = statistics.median(seconds(call) for _ in range(1 if quick else 3))
        report("payload-8MB-sum", executor, count * 8 / took, "MB/s")

    with multiprocessing.Pool(workers) as p:
        measure("multiprocessing.Pool.map", lambda: p.map(total, arrays))
        measure("multiprocessing.Pool.map(chunksize=1)", lambda: p.map(total, arrays, chunksize=1))
    with Parallel(n_jobs=workers) as p:
        measure("joblib(memmap)", lambda: p(delayed(total)(a) for a in arrays))


def main():
    parser = argparse.ArgumentParser(description="Measure the Python pools that Parade is compared with.")
    parser.add_argument("--workers", type=int, default=2, help="processes in each pool (default 2)")
    parser.add_argument("--quick", action="store_true", help="shorter runs, rougher figures")
    options = parser.parse_args()
    try:
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("joblib", "numpy"))
    except metadata.PackageNotFoundError as e:
        sys.exit(f"peers: {e}; install what is in requirements.txt beside this file, best in a venv")
    remark(f"python {platform.python_version()}, {versions}, {multiprocessing.cpu_count()} CPUs")
    report = Report(options.workers)
    for part in (first_result, throughput, round_trip, bound, payload):
        part(report, options.workers, options.quick)


if __name__ == "__main__":
    main()
