"""Times numpy.linalg.svd, alone and over the pools of Python, on 1000x1000 matrices.

    pip install -r requirements.txt
    python peer.py library           # the OpenBLAS that NumPy uses
    python peer.py write MATRICES    # 20 random matrices
    python peer.py one MATRICES      # one of them, several times
    python peer.py many MATRICES     # all of them: a loop, multiprocessing, joblib
    python peer.py table RESULTS     # both sides side by side

"one" and "many" print a JSON object for each run, with the sum of all singular values.
"""
import glob
import json
import multiprocessing
import os
import statistics
import sys
import time

N, COUNT, WORKERS, REPEATS = 1000, 20, 2, 5


def library():
    import numpy as np

    print(glob.glob(os.path.join(os.path.dirname(os.path.dirname(np.__file__)), "numpy.libs", "libscipy_openblas64_*"))[0])


def write(path):
    import numpy as np

    np.random.RandomState(28).randn(COUNT, N, N).tofile(path)


def read(path):
    import numpy as np

    return list(np.fromfile(path).reshape(-1, N, N))


def report(metric, executor, workers, took, results):
    print(json.dumps({"metric": metric, "executor": executor, "workers": workers, "value": took, "unit": "s", "check": float(sum(r[1].sum() for r in results))}), flush=True)


def one(path):
    import numpy as np

    a = read(path)[0]
    for run in range(1 + REPEATS):
        start = time.perf_counter()
        r = np.linalg.svd(a)
        took = time.perf_counter() - start
        if run > 0:  # the first is to warm up
            report("svd", "numpy", 1, took, [r])


def many(path):
    import numpy as np
    from joblib import Parallel, delayed

    matrices = read(path)
    small = [np.eye(2)] * 4
    np.linalg.svd(matrices[0])  # to warm up
    start = time.perf_counter()
    results = [np.linalg.svd(a) for a in matrices]
    report("svd-many", "numpy loop", 1, time.perf_counter() - start, results)
    del results
    with multiprocessing.Pool(WORKERS) as pool:
        pool.map(np.linalg.svd, small)
        start = time.perf_counter()
        results = pool.map(np.linalg.svd, matrices)
        report("svd-many", "multiprocessing.Pool.map", WORKERS, time.perf_counter() - start, results)
    del results
    for backend in "loky", "threading":
        with Parallel(n_jobs=WORKERS, backend=backend) as parallel:
            parallel(delayed(np.linalg.svd)(a) for a in small)
            start = time.perf_counter()
            results = parallel(delayed(np.linalg.svd)(a) for a in matrices)
            report("svd-many", "joblib " + backend, WORKERS, time.perf_counter() - start, results)
        del results


def table(path):
    with open(path) as f:
        results = [json.loads(line) for line in f]
    values = {}
    for r in results:
        values.setdefault((r["metric"], r["executor"]), []).append(r["value"])
    for metric in "svd", "svd-many":
        checks = [r["check"] for r in results if r["metric"] == metric]
        if max(checks) - min(checks) > 1e-10 * max(checks):
            sys.exit("the sides differ: %s" % sorted(set(checks)))
    print("library: " + ", ".join(sorted({r["library"] for r in results if "library" in r})))

    def median(metric, executor):
        return statistics.median(values[metric, executor])

    for (metric, executor), v in values.items():
        gain = "" if metric == "svd" else "  %.2f times the loop" % (median(metric, executor.split()[0] + " loop" if executor.startswith("parade") else "numpy loop") / statistics.median(v))
        print("%-9s %-25s %8.3f s (median of %d, %.3f to %.3f)%s" % (metric, executor, statistics.median(v), len(v), min(v), max(v), gain))
    print("one SVD: parade takes %.3f times as long as numpy" % (median("svd", "parade") / median("svd", "numpy")))
    best = min((e for m, e in values if m == "svd-many" and not e.startswith("parade")), key=lambda e: median("svd-many", e))
    for executor in "parade threads", "parade processes":
        print("many: %s is %.2f times as fast as Pool.map, %.2f times as %s" % (
            executor, median("svd-many", "multiprocessing.Pool.map") / median("svd-many", executor), median("svd-many", best) / median("svd-many", executor), best))


if __name__ == "__main__":
    {"library": library, "write": write, "one": one, "many": many, "table": table}[sys.argv[1]](*sys.argv[2:])
