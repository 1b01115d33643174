"""Makes golden.json and the .npy files: what Elephant and Neo answer, for the tests of package spike.

    pip install elephant==1.2.1 neo==0.14.6 numpy==2.4.6 quantities==0.16.4
    python golden.py > golden.json   # the .npy files go beside the script

Tolerance 0: exact. Every float is written in hexadecimal and compared bit by bit.
"""
import json
import logging
import os
import re
import sys
import warnings

import elephant
import neo
import numpy as np
import quantities as pq
from elephant.spike_train_generation import StationaryPoissonProcess
from elephant.statistics import mean_firing_rate, time_histogram

from exact import Q, hexed, hexes, pair, quantity

rng = np.random.RandomState(28)


class Moved(logging.Handler):
    """Sums the spikes that Elephant logs as moved over an edge."""

    def emit(self, record):
        found = re.search(r"Correcting (\d+) rounding errors", record.getMessage())
        if found:
            self.n += int(found.group(1))


moved = Moved()
logging.getLogger().handlers = []
for name in ("elephant", "elephant.utils", "elephant.conversion"):
    log = logging.getLogger(name)
    log.handlers, log.propagate = [], False
import elephant.utils
elephant.utils.logger.handlers = [moved]

# --- trains ------------------------------------------------------------------

sets, sets_out = [], []


def add(*trains):
    """Adds a set of trains (times, unit, t_start, t_stop); gives its index."""
    sets.append([neo.SpikeTrain(np.asarray(t, dtype=float), units=u, t_start=a * pq.Quantity(1.0, u), t_stop=b * pq.Quantity(1.0, u)) for t, u, a, b in trains])
    sets_out.append([{"times": hexes(t), "unit": u, "t_start": hexed(a), "t_stop": hexed(b)} for t, u, a, b in trains])
    return len(sets) - 1


histograms = []


def hist(name, trains, bin, t_start=None, t_stop=None, output="counts", binary=False, refuse=None, maybe=None):
    case = {"name": name, "trains": trains, "bin": pair(bin)}
    for key, value in (("t_start", pair(t_start)), ("t_stop", pair(t_stop)), ("output", output if output != "counts" else None), ("binary", binary or None)):
        if value is not None:
            case[key] = value
    moved.n = 0
    try:
        with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
            warnings.simplefilter("always")
            st = sets[trains]
            h = time_histogram(st, Q(bin), t_start=Q(t_start), t_stop=Q(t_stop), output=output, binary=binary)
    except Exception as e:
        assert refuse or maybe, (name, e)
        case["refuse"], case["exception"] = refuse or maybe, type(e).__name__
        histograms.append(case)
        return
    assert not refuse, name
    dropped = sum(int(m.group(1)) for w in caught for m in [re.search(r"discarded (\d+) last", str(w.message))] if m)
    flat = h.magnitude.ravel()
    case.update(values=[int(v) for v in flat] if output == "counts" else hexes(flat), unit=h.units.dimensionality.string,
                start=quantity(h.t_start), rate=quantity(h.sampling_rate), stop=quantity(h.t_stop), last=hexed(h.times[-1].magnitude),
                dropped=dropped, moved=moved.n)
    if len(histograms) % 7 == 0:
        case["text"] = repr(h)
    histograms.append(case)


size = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
units = list(size)

# Random trains: times are uniform over the range, sorted or not, one may be silent.
random_sets = []
for k in range(32):
    u = units[k % 4]
    a = [0.0, 0.0, 5.0, -3.0, 1234.5][k % 5]
    b = a + [10.0, 1.0, 7.3, 100.0, 0.7][(k // 4) % 5]
    trains = []
    for j in range(1 + k % 5):
        t = rng.uniform(a, b, size=rng.randint(0, 25))
        trains.append((t if k % 3 == 0 else np.sort(t), u, a, b))
    if k % 6 == 0:
        trains.append(([], u, a, b))
    random_sets.append((add(*trains), u, a, b))
for n, (i, u, a, b) in enumerate(random_sets):
    d = b - a
    for m in range(9):
        bin = [d / 10, d / 7, d * rng.uniform(0.02, 0.9), d / 3][m % 4]
        v = u
        if m % 3 == 1:  # the bin size in another unit
            v = units[(n + m) % 4]
            bin = bin * size[u] / size[v]
        kw = {}
        if m >= 5:
            lo, hi = np.sort(rng.uniform(a, b, 2))
            if m == 6:
                lo, hi = round(lo, 2), round(hi, 2)
            if m != 7:
                kw["t_start"] = (lo, u)
            if m != 8:
                kw["t_stop"] = (hi, u)
            bin *= 0.2
        hist(f"random {n}.{m}", i, (bin, v), output=["counts", "mean", "rate"][(n + m) % 3], binary=(n + m) % 4 == 0, maybe="bin", **kw)  # a window may be shorter than a bin
    # A window in another unit than the trains.
    w = units[(n + 1) % 4]
    hist(f"random {n} window in {w}", i, (d / 20, u), t_start=((a + 0.25 * d) * size[u] / size[w], w), t_stop=((a + 0.75 * d) * size[u] / size[w], w), output="rate")

# Sample numbers of a 30 kHz recording, as times in s, ms and us.
for u, per in (("s", 30000.0), ("ms", 30.0), ("us", 0.03)):
    for a_samples in (0, 12345):
        k = np.sort(rng.randint(a_samples, a_samples + 1200, size=60))
        a, b = a_samples / per, (a_samples + 1200) / per
        i = add((k / per, u, a, b), ((rng.permutation(k[::2])) / per, u, a, b))
        for bin in ((1.0, "ms"), (2.0, "ms"), (0.1 * 40, "ms"), (0.5, "ms"), (1 / 3.0, "ms"), (30 / per, u), (7 / per, u), (100.0, "us"), (1 / 3000.0, "s")):
            hist(f"30 kHz {u} from {a_samples} bin {bin}", i, bin, output="counts")
        hist(f"30 kHz {u} from {a_samples} binary rate", i, (1.0, "ms"), output="rate", binary=True)

# Spikes on the edges of bins, in several ways of computing an edge.
for bin in (0.1, 0.7, 0.001, 1 / 3.0, 0.3, 5.0, 0.025):
    n = 25
    exact = np.arange(n + 1) * bin
    summed = np.cumsum(np.full(n, bin))
    divided = np.arange(n + 1) / (1 / bin)
    stop = max(exact[-1], summed[-1], divided[-1])
    i = add((exact, "s", 0.0, stop), (summed, "s", 0.0, stop), (divided, "s", 0.0, stop))
    for j, kw in enumerate(({}, {"t_start": (3 * bin, "s")}, {"t_start": (exact[4], "s"), "t_stop": (exact[20], "s")}, {"t_stop": (bin * 1e3 * 17, "ms")})):
        hist(f"edges {bin} window {j}", i, (bin, "s"), **kw)
        hist(f"edges {bin} window {j} in ms", i, (bin * 1000, "ms"), binary=True, output="mean", **kw)
    hist(f"edges {bin}, half bins", i, (bin / 2, "s"))
    hist(f"edges {bin}, double bins", i, (bin * 2, "s"), output="rate")

# Within and beyond the tolerance of 1e-8 bins before an edge, and after it.
for bin in (1.0, 0.1, 0.005):
    steps = np.array([-3e-8, -2e-8, -1.1e-8, -1.0000001e-8, -1e-8, -0.9999999e-8, -0.9e-8, -1e-9, -1e-15, 0, 1e-15, 1e-9, 1e-8])
    t = np.concatenate([(k + steps) * bin for k in (1, 2, 7, 10)])
    t = t[t <= 10 * bin]
    for stop in (10 * bin, 10 * bin * (1 - 5e-10), 10 * bin * (1 - 5e-9)):
        i = add((t[t <= stop], "s", 0.0, stop))
        hist(f"tolerance {bin} to {stop!r}", i, (bin, "s"))
        hist(f"tolerance {bin} to {stop!r} from bin", i, (bin, "s"), t_start=(bin, "s"))
i = add(([1.0, 2.0], "s", 0.0, 10.0), ([3.0], "s", 5e-9, 10.0 + 5e-9))
hist("t_start differs within tolerance", i, (1.0, "s"))
hist("window exceeds the trains within tolerance", i, (1.0, "s"), t_start=(-5e-9, "s"), t_stop=(10 + 9e-9, "s"))
# Signals of more than 1000 bins are printed in short.
long = add((np.sort(rng.uniform(0, 2000, 50)), "ms", 0.0, 2000.0))
while len(histograms) % 7:
    hist("filler", long, (700.0, "ms"))
hist("long", long, (1.0, "ms"))
while len(histograms) % 7:
    hist("filler", long, (300.0, "ms"))
hist("long rate", long, (1.5, "ms"), output="rate")

one, two = random_sets[1][0], add(([1.0], "s", 0.0, 10.0), ([1.0], "s", 0.0, 9.0))
ten = add(([1.0, 4.0], "s", 0.0, 10.0))
mixed = add(([1.0], "s", 0.0, 10.0), ([1.0], "ms", 0.0, 10.0))
same = add(([1.0], "s", 0.0, 10.0), ([1000.0], "ms", 0.0, 10000.0))
starts = add(([2.0], "s", 1.0, 10.0), ([2.0], "s", 0.0, 10.0))
none = add()
point = add(([1.0], "s", 1.0, 1.0))
for name, i, bin, kw, refuse in (
        ("no trains", none, (1.0, "s"), {}, "trains"),
        ("trains in s and ms", mixed, (1.0, "s"), {}, "mixed"),
        ("trains in s and ms, same times", same, (1.0, "s"), {}, "mixed"),
        ("t_stop differs", two, (1.0, "s"), {}, "interval"),
        ("t_stop differs, t_start given", two, (1.0, "s"), {"t_start": (1.0, "s")}, "interval"),
        ("t_start differs", starts, (1.0, "s"), {}, "interval"),
        ("t_start differs, t_stop given", starts, (1.0, "s"), {"t_stop": (5.0, "s")}, "interval"),
        ("window before the trains", ten, (1.0, "s"), {"t_start": (-1.0, "s")}, "interval"),
        ("window before one train", starts, (1.0, "s"), {"t_start": (0.5, "s")}, "interval"),
        ("window after the trains", ten, (1.0, "s"), {"t_stop": (10.1, "s")}, "interval"),
        ("window after one train", two, (1.0, "s"), {"t_stop": (9.5, "s")}, "interval"),
        ("window just outside", ten, (1.0, "s"), {"t_stop": (10 + 2e-8, "s")}, "interval"),
        ("window reversed", ten, (1.0, "s"), {"t_start": (5.0, "s"), "t_stop": (4.0, "s")}, "interval"),
        ("window empty", ten, (1.0, "s"), {"t_start": (5.0, "s"), "t_stop": (5.0, "s")}, "interval"),
        ("trains of no duration", point, (1.0, "s"), {}, "interval"),
        ("t_start no time", ten, (1.0, "s"), {"t_start": (1.0, "Hz")}, "dimension"),
        ("t_stop no time", ten, (1.0, "s"), {"t_stop": (1.0, "mV")}, "dimension"),
        ("t_stop bare number", ten, (1.0, "s"), {"t_stop": (1.0, "dimensionless")}, "dimension"),
        ("bin size a rate", ten, (1.0, "Hz"), {}, "dimension"),
        ("bin size a bare number", ten, (1.0, "dimensionless"), {}, "dimension"),
        ("bin size 0", ten, (0.0, "s"), {}, "bin"),
        ("bin size negative", ten, (-1.0, "s"), {}, "bin"),
        ("bin size nan", ten, (float("nan"), "s"), {}, "bin"),
        ("bin size infinite", ten, (float("inf"), "s"), {}, "bin"),
        ("bin longer than the trains", ten, (10.001, "s"), {}, "bin"),
        ("bin longer than the window", ten, (3.0, "s"), {"t_start": (5.0, "s"), "t_stop": (7.0, "s")}, "bin"),
        ("output unknown", ten, (1.0, "s"), {"output": "median"}, "output"),
):
    hist("refused: " + name, i, bin, refuse=refuse, **kw)
hist("shared window of trains that differ", two, (1.0, "s"), t_stop=(9.0, "s"))
hist("shared window of trains that differ, rounded", starts, (0.3, "s"), t_start=(1.0, "s"))
hist("bin as long as the trains", ten, (10.0, "s"))
hist("bin longer by less than the tolerance", ten, (10 * (1 + 1e-9), "s"))

# --- mean firing rate ----------------------------------------------------------

rates = []


def rate(name, i, j, t_start=None, t_stop=None, refuse=None):
    case = {"name": name, "trains": i, "train": j}
    if t_start is not None:
        case["t_start"] = pair(t_start)
    if t_stop is not None:
        case["t_stop"] = pair(t_stop)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            r = mean_firing_rate(sets[i][j], t_start=Q(t_start), t_stop=Q(t_stop))
    except Exception as e:
        assert refuse, (name, e)
        case["refuse"], case["exception"] = refuse, type(e).__name__
    else:
        assert not refuse, name
        case["value"], case["unit"], case["text"] = hexed(r.magnitude), r.dimensionality.string, str(r)
    rates.append(case)


for n, (i, u, a, b) in enumerate(random_sets):
    for j in range(len(sets[i])):
        rate(f"random {n}.{j}", i, j)
        if len(sets[i][j]) == 0:
            continue  # Elephant refuses a window on an empty train; we give 0
        lo, hi = np.sort(rng.uniform(a - 1, b + 1, 2))
        w = units[(n + j) % 4]
        rate(f"random {n}.{j} window", i, j, t_start=(lo, u), t_stop=(hi, u))
        rate(f"random {n}.{j} start in {w}", i, j, t_start=(lo * size[u] / size[w], w))
        rate(f"random {n}.{j} stop in {w}", i, j, t_stop=(hi * size[u] / size[w], w))
        rate(f"random {n}.{j} from spike to spike", i, j, t_start=(float(sets[i][j].magnitude.min()), u), t_stop=(float(sets[i][j].magnitude.max()), u))
        rate(f"random {n}.{j} reversed", i, j, t_start=(hi, u), t_stop=(lo, u))
rate("no duration", point, 0)
rate("no duration, empty", add(([], "ms", 2.0, 2.0)), 0)
rate("window of no duration on a spike", ten, 0, t_start=(4.0, "s"), t_stop=(4.0, "s"))
rate("window of no duration off a spike", ten, 0, t_start=(3.0, "s"), t_stop=(3.0, "s"))
for u in ("ns", "us", "ms", "min", "h", "d"):
    rate("in " + u, add(([0.5, 1.0, 2.0], u, 0.25, 3.5)), 0)
rate("refused: t_start no time", ten, 0, t_start=(1.0, "Hz"), refuse="dimension")
rate("refused: t_stop no time", ten, 0, t_stop=(1.0, "dimensionless"), refuse="dimension")

# --- construction and rescaling of trains -------------------------------------

up, down = (lambda v: np.nextafter(v, np.inf)), (lambda v: np.nextafter(v, -np.inf))
new_trains = []
for name, times, u, a, b, refuse in (
        ("inside", [1.0, 2.0], "s", (0.0, "s"), (3.0, "s"), None),
        ("default t_start", [1.0, 2.0], "ms", None, (3.0, "ms"), None),
        ("on both ends", [1.0, 3.0], "s", (1.0, "s"), (3.0, "s"), None),
        ("unsorted and repeated", [2.0, 1.0, 2.0], "s", (0.0, "s"), (3.0, "s"), None),
        ("empty", [], "s", (0.0, "s"), (3.0, "s"), None),
        ("no duration", [1.0], "s", (1.0, "s"), (1.0, "s"), None),
        ("no duration, empty", [], "us", (1.0, "s"), (1.0, "s"), None),
        ("negative times", [-1.0], "s", (-2.0, "s"), (0.0, "s"), None),
        ("bounds in another unit", [100.0, 650.0], "ms", (0.05, "s"), (0.7, "s"), None),
        ("700 ms is more than 0.7 s", [0.7, up(0.7)], "s", (0.0, "ms"), (700.0, "ms"), None),
        ("bounds in min", [1.0], "s", (0.01, "min"), (1 / 3.0, "min"), None),
        ("infinite t_stop", [1.0], "s", (0.0, "s"), (float("inf"), "s"), None),
        ("1 ulp before t_start", [down(1.0), 2.0], "s", (1.0, "s"), (3.0, "s"), "times"),
        ("1 ulp after t_stop", [1.0, up(3.0)], "s", (1.0, "s"), (3.0, "s"), "times"),
        ("1 ulp after 700 ms", [up(700 * 0.001)], "s", (0.0, "s"), (700.0, "ms"), "times"),
        ("before default t_start", [-0.1], "s", None, (3.0, "s"), "times"),
        ("infinite time", [float("inf")], "s", (0.0, "s"), (3.0, "s"), "times"),
        ("reversed", [], "s", (2.0, "s"), (1.0, "s"), "interval"),
        ("reversed by 1 ulp", [], "s", (1.0, "s"), (down(1.0), "s"), "interval"),
        ("reversed across units", [], "s", (1.0, "s"), (999.0, "ms"), "interval"),
        ("t_start no time", [1.0], "s", (0.0, "Hz"), (3.0, "s"), "dimension"),
        ("t_stop no time", [1.0], "s", (0.0, "s"), (3.0, "mV"), "dimension"),
        ("unit no time", [1.0], "mV", (0.0, "s"), (3.0, "s"), "dimension"),
):
    case = {"name": name, "times": hexes(times), "unit": u, "t_start": pair(a), "t_stop": pair(b)}
    kw = {} if a is None else {"t_start": Q(a)}
    try:
        t = neo.SpikeTrain(np.array(times, dtype=float), units=u, t_stop=Q(b), **kw)
    except Exception as e:
        assert refuse, (name, e)
        case["refuse"], case["exception"] = refuse, type(e).__name__
    else:
        assert not refuse, name
        case.update(start=hexed(t.t_start.magnitude), stop=hexed(t.t_stop.magnitude), text=repr(t))
        case["in"] = []
        for w in ("s", "ms", "us", "min"):
            r = t.rescale(w)
            case["in"].append({"unit": w, "times": hexes(r.magnitude), "t_start": hexed(r.t_start.magnitude), "t_stop": hexed(r.t_stop.magnitude), "text": repr(r)})
    new_trains.append(case)

# --- signals ---------------------------------------------------------------------

signals = []
values = {
    "one": [[1.5]],
    "plain": [[0.25], [10.0], [3.0]],
    "negative": [[-0.25], [10.0], [-333.125]],
    "zeros": [[0.0], [-0.0]],
    "nan and inf": [[float("nan")], [1.25], [float("-inf")], [float("inf")]],
    "only nan": [[float("nan")], [float("nan")]],
    "only -inf": [[float("-inf")], [float("nan")]],
    "thirds": (np.arange(7.0) / 3).reshape(-1, 1),
    "tiny": [[1e-5], [1.0]],
    "huge": [[1e8], [1.0]],
    "wide": [[1.0], [1000.5]],
    "wide but within": [[1.0], [1000.0]],
    "exponents of 3 digits": [[1e-200], [1.23456789012e150], [-1.0]],
    "rounds up": [[0.999999999], [9.9999999999]],
    "halves": [[0.000244140625], [0.123456785], [0.1234567850000001]],
    "three channels": rng.uniform(-5, 5, (4, 3)),
    "twelve channels": rng.uniform(-5, 5, (3, 12)),
    "wide channels": rng.uniform(-5e8, 5e8, (2, 9)),
    "ten channels with nan": np.where(rng.uniform(0, 1, (3, 10)) < 0.3, np.nan, rng.uniform(-5, 5, (3, 10))),
    "1000 samples": rng.uniform(0, 1, (1000, 1)),
    "1001 samples": rng.uniform(0, 1, (1001, 1)),
    "many channels": rng.uniform(0, 1, (5, 301)),
    "many of both": rng.uniform(0, 1, (40, 50)),
    "300 channels, 4 samples": rng.uniform(0, 1, (4, 300)).round(3),
}
for k, (name, v) in enumerate(values.items()):
    v = np.array(v)
    u = ["mV", "1/s", "dimensionless", "uV"][k % 4]
    start = [(0.0, "s"), (100.0, "ms"), (1 / 3.0, "s"), (-7.0, "us")][k % 4]
    r = [(1.0, "Hz"), (1 / 0.7, "1/s"), (30.0, "kHz"), (1 / 3.0, "1/ms"), (12.0, "1/min"), (1000.0, "Hz"), (0.03, "MHz")][k % 7]
    s = neo.AnalogSignal(v, units=u, t_start=Q(start), sampling_rate=Q(r))
    case = {"name": name, "channels": v.shape[1], "unit": u, "t_start": pair(start), "rate": pair(r), "text": repr(s),
            "stop": quantity(s.t_stop), "period": quantity(s.sampling_period), "duration": quantity(s.duration),
            "times": hexes(s.times.magnitude[-3:])}
    if v.size > 400:  # random ones would fill the file
        v = (np.arange(v.size) % 97 / 97.0).reshape(v.shape)
        s = neo.AnalogSignal(v, units=u, t_start=Q(start), sampling_rate=Q(r))
        case["ramp"], case["text"] = v.size, repr(s)
    else:
        case["samples"] = hexes(v)
    signals.append(case)
for name, u, start, r, refuse in (
        ("no sampling rate", "mV", (0.0, "s"), None, "dimension"),
        ("sampling rate a bare number", "mV", (0.0, "s"), 5.0, "dimension"),
        ("no t_start", "mV", None, (1.0, "Hz"), "dimension"),
):
    try:
        neo.AnalogSignal([[1.0]], units=u, t_start=Q(start), sampling_rate=Q(r) if isinstance(r, tuple) else r)
    except Exception as e:
        r = (r, "dimensionless") if isinstance(r, float) else r
        signals.append({"name": "refused: " + name, "channels": 1, "samples": hexes([1.0]), "unit": u, "t_start": pair(start), "rate": pair(r), "refuse": refuse, "exception": type(e).__name__})
    else:
        raise AssertionError(name)

# --- Poisson processes: what is refused, and what comes out empty -----------------

poisson = []
for name, r, a, b, refuse in (
        ("plain", (20.0, "Hz"), (0.0, "s"), (1.0, "s"), None),
        ("rate in 1/ms", (0.02, "1/ms"), (0.0, "s"), (1.0, "s"), None),
        ("unit of t_stop", (20.0, "Hz"), (0.5, "s"), (700.0, "ms"), None),
        ("t_start in min", (20.0, "Hz"), (1 / 30.0, "min"), (2500.0, "ms"), None),
        ("rate 0", (0.0, "Hz"), (0.0, "s"), (1.0, "s"), None),
        ("defaults", (20.0, "Hz"), None, None, None),
        ("rate negative", (-1.0, "Hz"), (0.0, "s"), (1.0, "s"), "rate"),
        ("rate nan", (float("nan"), "Hz"), (0.0, "s"), (1.0, "s"), "rate"),
        ("rate infinite", (float("inf"), "Hz"), (0.0, "s"), (1.0, "s"), "rate"),
        ("rate a bare number", 20.0, (0.0, "s"), (1.0, "s"), "dimension"),
        ("rate a time", (20.0, "s"), (0.0, "s"), (1.0, "s"), "dimension"),
        ("t_stop a bare number", (20.0, "Hz"), (0.0, "s"), 1.0, "dimension"),
        ("t_start a bare number", (20.0, "Hz"), 1.0, (2.0, "s"), "dimension"),
        ("t_stop a rate", (20.0, "Hz"), (0.0, "s"), (1.0, "Hz"), "dimension"),
        ("t_stop = t_start", (20.0, "Hz"), (1.0, "s"), (1.0, "s"), "interval"),
        ("t_stop before t_start", (20.0, "Hz"), (1.0, "s"), (500.0, "ms"), "interval"),
        ("t_stop infinite", (20.0, "Hz"), (0.0, "s"), (float("inf"), "s"), "rate"),
):
    def arg(x):
        return Q(x) if isinstance(x, tuple) else x
    case = {"name": name}
    for key, x in (("rate", r), ("t_start", a), ("t_stop", b)):
        case[key] = pair((x, "dimensionless") if isinstance(x, float) else x)
    kw = {k: arg(x) for k, x in (("t_start", a), ("t_stop", b)) if x is not None}
    try:
        with np.errstate(all="ignore"):
            np.random.seed(1)
            t = StationaryPoissonProcess(arg(r), **kw).generate_spiketrain()
    except Exception as e:
        assert refuse, (name, e)
        case["refuse"], case["exception"] = refuse, type(e).__name__
    else:
        assert not refuse, name
        case["unit"], case["start"], case["stop"], case["empty"] = t.units.dimensionality.string, hexed(t.t_start.magnitude), hexed(t.t_stop.magnitude), len(t) == 0
    poisson.append(case)


# --- .npy files as numpy writes them, in every version and layout -------------------

here = os.path.dirname(os.path.abspath(__file__))
times = np.array([0.5, 1.25, 0.75])
rows = np.array([[7.0, 0.5], [-1.0, 1.25], [7.0, 0.75]])
for name, a, version in (
        ("f8", times, (1, 0)),
        ("f4_v2", times.astype("<f4"), (2, 0)),
        ("big_endian_v3", times.astype(">f8"), (3, 0)),
        ("i8", np.array([5, 12, 7]), (1, 0)),
        ("empty", times[:0], (1, 0)),
        ("rows", rows, (1, 0)),
        ("rows_fortran", np.asfortranarray(rows), (1, 0)),
        ("rows_i8", (rows * 4).astype(int), (1, 0)),
        ("bad_complex", times.astype(complex), (1, 0)),
        ("bad_fields", np.zeros(3, [("a", "f8")]), (1, 0)),
        ("bad_shape", np.zeros((3, 4)), (1, 0)),
        ("bad_scalar", np.array(1.0), (1, 0)),
):
    with open(os.path.join(here, name + ".npy"), "wb") as f:
        np.lib.format.write_array(f, a, version)


def lines(name, items):
    return json.dumps(name) + ": [\n" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in items) + "\n]"


print("{")
print('"about": "made by golden.py with elephant %s, neo %s, numpy %s, quantities %s",' % (elephant.__version__, neo.__version__, np.__version__, pq.__version__))
print('"tolerance": "0: exact",')
print(",\n".join(lines(n, x) for n, x in (("trains", sets_out), ("histograms", histograms), ("rates", rates), ("newTrains", new_trains), ("signals", signals), ("poisson", poisson))))
print("}")
print({n: len(x) for n, x in (("histograms", histograms), ("rates", rates), ("trains", new_trains), ("signals", signals), ("poisson", poisson))}, file=sys.stderr)
