"""Makes intervals.json: what Elephant says of inter-spike intervals and of Fano factors, and NumPy of sums.

    pip install elephant==1.2.1 neo==0.14.6 numpy==2.4.6 scipy==1.17.1 quantities==0.16.4
    python intervals.py > intervals.json

Tolerance 0: exact. Every float is written in hexadecimal and compared bit by bit. Cases with "stricter" are refused by
package spike though Elephant answers: it warns, or takes a bare number for milliseconds.
"""
import sys
import warnings

import elephant
import neo
import numpy as np
import quantities as pq
import scipy
from elephant.statistics import cv, cv2, fanofactor, isi, lv, lvr

from exact import Q, hexed, hexes, lines, pair, samples

warnings.simplefilter("ignore")
np.seterr(all="ignore")
rng = np.random.RandomState(281)
size = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0, "ns": 1e-9}


# --- intervals ---------------------------------------------------------------

cases = []


def measures(iv, r, strict=None):
    """All the measures of intervals, each a number or the kind of refusal."""
    out = {}
    for name, f in (("cv", cv), ("cv2", cv2), ("lv", lv), ("lvr", lambda v: lvr(v) if r is None else lvr(v, Q(r)))):
        try:
            v = f(iv)
            if name == "cv":
                assert hexed(v) == hexed(cv(iv.magnitude))
        except ValueError as e:
            out[name] = {"refuse": "few" if len(iv) < 2 else strict or "refractory", "exception": type(e).__name__}
            continue
        out[name] = {"value": hexed(v)}
        if strict and name == "lvr":
            out[name] = {"refuse": strict, "stricter": hexed(v)}
    return out


def train(name, times, u, r=None, seed=None):
    """A case of a train; a seed stands for its times, which are then sample numbers / 30000."""
    times = np.asarray(times, dtype=float)
    lo, hi = (times.min(), times.max()) if len(times) else (0.0, 1.0)
    iv = isi(neo.SpikeTrain(times, units=u, t_start=lo, t_stop=hi))
    assert iv.units == pq.Quantity(1.0, u).units
    case = {"name": name, "unit": u, "r": pair(r), "t_start": hexed(lo), "t_stop": hexed(hi)}
    if seed is None:
        case["times"], case["isi"] = hexes(times), hexes(iv.magnitude)
    else:
        case["seed"], case["n"] = seed, len(times)
    case.update(measures(iv, r))
    cases.append(case)


def given(name, values, u, r=None, strict=None):
    """A case of intervals that come from no train."""
    case = {"name": name, "unit": u, "r": pair(r), "intervals": hexes(values)}
    case.update(measures(pq.Quantity(np.asarray(values, dtype=float), u), r, strict))
    cases.append(case)


for k in range(60):
    u = list(size)[k % 6]
    n = [2, 3, 4, 5, 7, 8, 9, 10, 17, 33, 60][k % 11]
    t = rng.uniform([0, -5, 1234.5, 1e6][k % 4], [10, 5, 1300, 1e6 + 10][k % 4], n)
    if k % 3:
        t.sort()
    r = [None, (2.0, "ms"), (0.003, "s"), (0.0, "ms"), (700.0, "us")][k % 5]
    train(f"random {k}", t, u, r)
# Every length about the blocks of NumPy's sums, and about its buffers.
for n in list(range(0, 20)) + list(range(124, 142)) + list(range(252, 266)) + [1000, 8191, 8192, 8193, 8194, 20000, 100003]:
    train(f"30 kHz, {n} spikes", samples(n + 1, n) / 30000.0, ["s", "ms"][n % 2], seed=n + 1)
train("30 kHz, integers as us", samples(7, 40), "us")
train("30 kHz, far from 0", 86400.0 + samples(9, 40) / 30000.0, "s")
train("no spike", [], "s")
train("one spike", [0.5], "s")
train("two spikes", [0.5, 0.75], "s")
train("regular", np.arange(10.0), "ms")
train("regular in tenths", np.arange(30) * 0.1, "s")
train("two at one time", [0.1, 0.2, 0.2, 0.5], "s")
train("three at one time", [0.1, 0.2, 0.2, 0.2, 0.5], "s")
train("all at one time", [0.2] * 5, "s")
train("falling", [5.0, 4.0, 2.5, 1.0], "ms")
train("back and forth", [1.0, 2.0, 1.0, 2.0, 1.0], "ms")
train("r in min", [1.0, 2.0, 4.0, 5.0], "s", (0.0001, "min"))
train("r infinite", [1.0, 2.0, 4.0, 5.0], "s", (float("inf"), "ms"))
given("mean 0", [1.0, -1.0, 2.0, -2.0], "ms")
given("zeros", [0.0, 0.0, 0.0], "ms")
given("one zero", [0.0], "ms")
given("negative zeros", [-0.0, -0.0], "ms")
given("not a number", [1.0, float("nan"), 2.0], "ms")
given("infinite", [1.0, float("inf"), 2.0], "ms")
given("tiny", [5e-324, 1e-310, 3e-320], "s")
given("huge", [1e308, 1.5e308, 1e307], "ns")
given("r negative", [1.0, 2.0, 4.0], "ms", (-1.0, "ms"))
given("r a rate", [1.0, 2.0, 4.0], "ms", (1.0, "Hz"), strict="dimension")
given("r not a number", [1.0, 2.0, 4.0], "ms", (float("nan"), "ms"), strict="refractory")  # Elephant: nan
given("r a bare number", [1.0, 2.0, 4.0], "ms", (5.0, "dimensionless"), strict="dimension")
given("r a voltage", [1.0, 2.0, 4.0], "ms", (5.0, "mV"), strict="dimension")

# Intervals without unit, or with that of something else: all four are refused.
strict = []
for u in ("dimensionless", "Hz", "mV"):
    v = pq.Quantity([1.0, 2.0, 4.0], u)
    strict.append({"name": "intervals in " + u, "unit": u, "intervals": hexes(v.magnitude), "refuse": "dimension", "stricter": hexed(cv2(v))})

# --- Fano factor ---------------------------------------------------------------

fanos = []


def fano(name, counts, durations=((1.0, "s"),), refuse=None):
    """Trains of so many spikes, in turn of the durations; the spikes are at 0."""
    trains = [neo.SpikeTrain(np.zeros(n), units=u, t_stop=d) for n, (d, u) in zip(counts, list(durations) * len(counts))]
    v = fanofactor(trains)
    case = {"name": name, "counts": [int(n) for n in counts], "durations": [pair(d) for d in durations]}
    case.update({"refuse": refuse, "stricter": hexed(v)} if refuse else {"value": hexed(v)})
    fanos.append(case)


fano("no trains", [])
fano("one train", [5])
fano("all silent", [0, 0, 0])
fano("one silent", [0, 7, 3])
fano("equal", [4, 4, 4, 4])
for n in (2, 3, 7, 8, 9, 50, 127, 128, 129, 300, 1001):
    fano(f"{n} trains", rng.poisson([3.0, 20.0, 0.2][n % 3], n))
fano("large counts", [100003, 99991, 100019])
fano("units mixed", [3, 5, 9], [(1.0, "s"), (1000.0, "ms"), (1e6, "us")])
fano("durations within 0.1 ms", [3, 5], [(1.0, "s"), (1.00009, "s")])
fano("durations beyond 0.1 ms", [3, 5, 4], [(1.0, "s"), (1.0, "s"), (1.00011, "s")], refuse="interval")
fano("first one longer", [3, 5, 4], [(2.0, "s"), (1.0, "s"), (1.0, "s")], refuse="interval")
fano("durations in other units", [3, 5], [(1.0, "s"), (1001.0, "ms")], refuse="interval")
fano("durations differ, all silent", [0, 0], [(1.0, "s"), (2.0, "s")], refuse="interval")

# --- sums -------------------------------------------------------------------------

sums = []
for n in list(range(0, 18)) + list(range(125, 140)) + list(range(255, 266)) + [511, 1027, 8191, 8192, 8193, 65537]:
    v = (samples(n + 3, n) % 977 - 400) / 3.0
    sums.append({"n": n, "seed": n + 3, "sum": hexed(np.sum(v)), "mean": hexed(np.mean(v)), "var": hexed(np.var(v)), "std": hexed(np.std(v))})

print("{")
print('"about": "made by intervals.py with elephant %s, neo %s, numpy %s, scipy %s, quantities %s",' % (elephant.__version__, neo.__version__, np.__version__, scipy.__version__, pq.__version__))
print('"tolerance": "0: exact",')
print(",\n".join(lines(n, x) for n, x in (("intervals", cases), ("strict", strict), ("fanos", fanos), ("sums", sums))))
print("}")
print({n: len(x) for n, x in (("intervals", cases), ("strict", strict), ("fanos", fanos), ("sums", sums))}, file=sys.stderr)
