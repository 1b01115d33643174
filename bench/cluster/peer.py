"""Measures clusters of two engines as main.go does Parade's, and prints the table.

python peer.py ipyparallel|dask|hyperqueue
python peer.py table RESULTS
"""

import json
import logging
import os
import sys
import tempfile
import time
from array import array
from importlib import metadata

MILLION, COMMANDS = 1_000_000, 10_000
EXECUTOR, RESULTS = "", sys.stdout


def noop(x):
    return x


def noops(xs):
    return array("q", map(noop, xs))


def report(metric, value, unit, remark=""):
    print(json.dumps({"metric": metric, "executor": EXECUTOR, "value": value, "unit": unit, "remark": remark}), file=RESULTS, flush=True)


def middle(values):
    return sorted(values)[len(values) // 2]


def median(call, want):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        got = call()
        times.append(time.perf_counter() - start)
        assert list(got) == want
    return middle(times)


def best(metric, run, chunks):
    """Reports run(chunk, numbers) at the chunk size at which it is fastest."""
    value, remark = 0, ""
    for chunk, n in chunks:
        numbers = list(range(n))
        rate = n / median(lambda: run(chunk, numbers), numbers)
        if rate > value:
            value, remark = rate, f"chunks of {chunk}"
    report(metric, value, "tasks/s", remark)


def round_trip(call, n):
    trips = []
    for i in range(n):
        start = time.perf_counter()
        assert call(i) == i
        trips.append(1e3 * (time.perf_counter() - start))
    report("round-trip", middle(trips), "ms")
    report("round-trip/p99", sorted(trips)[len(trips) * 99 // 100], "ms")


CHUNKS = ((1_000, 100_000), (10_000, MILLION), (100_000, MILLION), (MILLION // 2, MILLION))


def ipyparallel():
    import ipyparallel

    start = time.perf_counter()
    cluster = ipyparallel.Cluster(n=2, log_level=logging.ERROR)
    client = cluster.start_and_connect_sync()
    try:
        balanced = client.load_balanced_view()
        assert balanced.apply_sync(noop, 1) == 1
        report("first-result", time.perf_counter() - start, "s")
        numbers = list(range(1_000))
        report("noop/batch=1", len(numbers) / median(lambda: balanced.map_sync(noop, numbers), numbers), "tasks/s")
        best("noop/batched", lambda chunk, all: balanced.map_sync(noop, all, chunksize=chunk), CHUNKS)
        numbers, direct = list(range(MILLION)), client[:]
        report("noop/direct", MILLION / median(lambda: direct.map_sync(noop, numbers), numbers), "tasks/s", "a chunk an engine")
        round_trip(lambda x: balanced.apply_sync(noop, x), 200)
    finally:
        client.close()
        cluster.stop_cluster_sync()


def dask():
    from distributed import Client, LocalCluster

    start = time.perf_counter()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        assert client.submit(noop, 1, pure=False).result() == 1
        report("first-result", time.perf_counter() - start, "s")

        def mapped(size, numbers):
            return client.gather(client.map(noop, numbers, pure=False, batch_size=size))

        def chunked(size, numbers):  # arrays, since Dask looks at each element of a list
            chunks = [array("q", numbers[i : i + size]) for i in range(0, len(numbers), size)]
            return [x for part in client.gather(client.map(noops, chunks, pure=False)) for x in part]

        numbers = list(range(3_000))  # batch_size is of what the client sends; each is a task all the same
        report("noop/batch=1", len(numbers) / min(median(lambda: mapped(size, numbers), numbers) for size in (None, 500)), "tasks/s")
        best("noop/batched", chunked, CHUNKS)
        round_trip(lambda x: client.submit(noop, x, pure=False).result(), 200)


def hyperqueue():
    import tqdm.std

    tqdm.std.tqdm.disable = True
    from hyperqueue import Job
    from hyperqueue.cluster import LocalCluster, WorkerConfig

    with tempfile.TemporaryDirectory() as folder, LocalCluster(os.path.join(folder, "server"), WorkerConfig(cores=2)) as cluster:
        client = cluster.client()
        job, end = Job(), os.path.join(folder, "end")
        for _ in range(COMMANDS):
            job.program(["true"], stdout=None, stderr=None)
        job.program(["touch", end], stdout=None, stderr=None, priority=-1)
        start = time.time()
        client.wait_for_jobs([client.submit(job)])  # which looks once a second only
        report("commands", COMMANDS / (os.stat(end).st_mtime - start), "commands/s", "no output files")


ROWS = (  # metric, title, and what is asked: a peer or a limit, and a number
    ("noop/batch=1", "tasks that do nothing, one in a batch", (("IPython parallel", 50), ("Dask", 10))),
    ("noop/batched", "the same, automatic or its best batches", (("best", 1),)),
    ("noop/direct", "the same, dealt out to the engines", ()),
    ("round-trip", "one call and its result, median", (("limit", 0.5),)),
    ("round-trip/p99", "one call and its result, 99th of 100", ()),
    ("first-result", "new cluster to first result", (("limit", 0.3),)),
    ("job-million", "1,000,000 tasks in a stored job", ()),
    ("job-million/controller", "the controller's peak memory meanwhile", ()),
    ("jobs-100", "100 stored jobs of 1,000 tasks at once", ()),
    ("commands", "10,000 times the command true", ()),
)
EXECUTORS = ("Parade", "IPython parallel", "Dask", "HyperQueue")
LESS = ("ms", "s", "MiB")  # units of which less is better


def figure(value, unit):
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"


def found(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def table(file):
    values, remarks = {}, {}
    with open(file) as lines:
        for r in map(json.loads, lines):
            key = r["executor"], r["metric"]
            values.setdefault(key, []).append(r["value"])
            remarks[key] = r["unit"], r.get("remark", "")
    print(", ".join(f"{name} {metadata.version(name)}" for name in ("ipyparallel", "distributed", "hyperqueue") if found(name)) + "\n")
    print("| median of rounds | " + " | ".join(EXECUTORS) + " | Parade is better by | asked |")
    print("|---" * (len(EXECUTORS) + 3) + "|")
    for metric, title, asked in ROWS:
        cells, ratios, goals = [], {}, []
        own = middle(values["Parade", metric])
        for executor in EXECUTORS:
            key = executor, metric
            if key not in values:
                cells.append("")
                continue
            unit, remark = remarks[key]
            value = middle(values[key])
            cells.append(figure(value, unit) + (f", {remark}" if remark else ""))
            if executor != "Parade":
                ratios[executor] = value / own if unit in LESS else own / value
        for what, bar in asked:
            if what == "limit":
                met, goal = own <= bar, f"≤ {bar} {remarks['Parade', metric][0]}"
            elif what == "best":
                met, goal = min(ratios.values()) >= bar, f"≥ {bar} × the best"
            else:
                met, goal = ratios[what] >= bar, f"≥ {bar} × {what}"
            goals.append(goal + (": met" if met else ": **missed**"))
        by = ", ".join(f"{ratio:,.{0 if ratio >= 10 else 1}f} ({executor})" for executor, ratio in ratios.items())
        print(f"| {title} | " + " | ".join(cells) + f" | {by} | {'; '.join(goals)} |")


if __name__ == "__main__":
    if sys.argv[1] == "table":
        table(sys.argv[2])
    else:
        RESULTS = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what peers print is no result
        EXECUTOR = {"ipyparallel": "IPython parallel", "dask": "Dask", "hyperqueue": "HyperQueue"}[sys.argv[1]]
        globals()[sys.argv[1]]()
