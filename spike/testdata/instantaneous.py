"""Makes instantaneous.json: what Elephant's instantaneous_rate answers.

    pip install elephant==1.2.1 neo==0.14.6 numpy==2.4.6 scipy==1.17.1 quantities==0.16.4
    python instantaneous.py > instantaneous.json

Tolerance of the samples, of the largest one: 1e-13, since Elephant sums by a Fourier transform of another length;
1e-6 for an alpha kernel on its median, which Elephant has to 1e-7; 1e-8 for an automatic kernel, whose width is found
to 1e-9. Everything else (number of samples, time axis, refusals) is exact.

Where Elephant is wrong, what it should say is made from what it says right (cases with "ours"):

- A sampling period of zero is an OverflowError.
- An interval whole but for rounding is left out at the end (issue 374): it is asked with a t_stop some ulp later.
- Trimmed rates of kernels that are not symmetric are moved to the median of the kernel: their time is that of the rest.
- Border correction with trimming takes the trimmed ends for borders: the untrimmed rate is cut.
- Border correction with t_start and t_stop counts spikes outside of them: it is asked without these.
- Border correction with pooling is an IndexError: the mean is taken here.
- The alpha kernel's median is found only if sigma is about 1 in its unit: sigma is.
"""
import math
import sys
import warnings

import elephant
import neo
import numpy as np
import quantities as pq
import scipy
from elephant import kernels
from elephant.statistics import instantaneous_rate

from exact import Q, hexed, hexes, lines, pair, quantity, samples

warnings.simplefilter("ignore")
np.seterr(all="ignore")
rng = np.random.RandomState(283)
shapes = {n.removesuffix("Kernel").lower(): getattr(kernels, n) for n in kernels.__all__}
size = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}

sets, sets_out = [], []


def add(*trains, seeds=None):
    """Adds a set of trains (times, unit, t_start, t_stop); gives its index. Seeds stand for the times of long trains."""
    sets.append([neo.SpikeTrain(np.asarray(t, dtype=float), units=u, t_start=a * pq.Quantity(1.0, u), t_stop=b * pq.Quantity(1.0, u)) for t, u, a, b in trains])
    sets_out.append([])
    for i, (t, u, a, b) in enumerate(trains):
        out = {"unit": u, "t_start": hexed(a), "t_stop": hexed(b)}
        out.update({"seed": seeds[i], "n": len(t)} if seeds else {"times": hexes(t)})
        sets_out[-1].append(out)
    return len(sets) - 1


cases = []


def rate(name, trains, period, kernel=None, sigma=None, invert=False, cutoff=None, t_start=None, t_stop=None, trim=False, keep=False, border=False, pool=False, refuse=None, ours=None, stride=1):
    case = {"name": name, "trains": trains, "period": pair(period)}
    for key, value in (("kernel", kernel), ("sigma", pair(sigma)), ("invert", invert), ("cutoff", cutoff), ("t_start", pair(t_start)), ("t_stop", pair(t_stop)), ("trim", trim),
                       ("keep", keep), ("border", border), ("pool", pool), ("ours", ours)):
        if value not in (None, False):
            case[key] = value
    cases.append(case)
    st = sets[trains]
    k, stop = "auto", t_stop
    try:
        if kernel:
            k = shapes[kernel](Q(sigma), invert=invert)
        if not refuse:
            lo = Q(t_start).rescale(st[0].units) if t_start else st[0].t_start
            hi = Q(t_stop).rescale(st[0].units) if t_stop else st[0].t_stop
            while hi > lo and 1 - 1e-8 <= ((hi - lo) / Q(period)).simplified.item() % 1:
                case["ours"] = "whole"
                hi = np.nextafter(hi.item(), np.inf) * st[0].units
                stop = hi.item(), st[0].units.dimensionality.string
        inside = st
        if border and (t_start or t_stop):
            inside = [s[(s >= lo) & (s <= hi)] for s in st]
        kw = dict(sampling_period=Q(period), kernel=k, cutoff=5.0 if cutoff is None else cutoff, t_start=Q(t_start), t_stop=Q(stop), center_kernel=not keep, border_correction=border)
        if len(inside) == 1 and k == "auto":
            inside = inside[0]
        r = instantaneous_rate(inside, trim=trim and not border, pool_spike_trains=pool and not border, **kw)
        if border and pool:
            r = neo.AnalogSignal(np.mean(r.magnitude, axis=1, keepdims=True), units="Hz", t_start=r.t_start, sampling_rate=r.sampling_rate, **r.annotations)
        values, start, used = r.magnitude, r.t_start, r.annotations["kernel"]
        if trim:
            s = k.sigma if kernel else Q((float(used["sigma"].split()[0]), used["sigma"].split()[1]))
            half = math.ceil(max(kw["cutoff"], k.min_cutoff if kernel else 3) * (s / Q(period)).simplified.item())
            whole = instantaneous_rate(inside, trim=False, pool_spike_trains=pool and not border, **kw)
            if border:
                values = values[half:len(values) - half]
            at = whole.t_start + half * pq.CompoundUnit("%r*s" % Q(period).rescale("s").item())
            if kernel not in ("exponential", "alpha") and not border:
                assert at == start, (name, at, start)
            start = at
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as e:
        assert refuse, (name, e)
        case["refuse"], case["exception"] = refuse, type(e).__name__
        return
    assert not refuse, name
    assert r.units == pq.Hz and np.isfinite(values).all(), name
    case.update(n=values.shape[0], channels=values.shape[1], stride=stride, values=[float("%.15g" % v) for v in values[::stride].ravel()], max=hexed(values.max(initial=0)), start=quantity(start), rate=quantity(r.sampling_rate), used=used["type"])
    if not kernel:
        case["width"] = hexed(float(used["sigma"].split()[0]))


units = list(size)
names = list(shapes)

# Random trains, every shape, every option.
for k in range(28):
    u = units[k % 4]
    a = [0.0, 0.0, 5.0, -3.0, 1234.5][k % 5]
    d = [10.0, 1.0, 7.3, 100.0, 0.7][(k // 4) % 5]
    trains = [(t if k % 3 == 0 else np.sort(t), u, a, a + d) for t in (rng.uniform(a, a + d, size=rng.randint(1, 25)) for _ in range(1 + k % 3))]
    if k % 6 == 0:
        trains.append(([], u, a, a + d))
    i = add(*trains)
    shape = names[k % 7]
    v = units[(k + k // 7) % 4]  # the unit of the kernel's width and of the period
    s = d * rng.uniform(0.05, 0.2) * size[u] / size[v]
    if shape == "alpha":
        v, s = u, 1.0
    p = d / rng.randint(20, 40) * size[u] / size[v]
    kw = dict(kernel=shape, sigma=(s, v))
    rate("%s %d" % (shape, k), i, (p, v), **kw)
    rate("%s %d, origin kept, inverted" % (shape, k), i, (p, v), keep=True, invert=True, **kw)
    rate("%s %d, cut early, pooled" % (shape, k), i, (p, v), cutoff=0.5, pool=True, **kw)
    if 2 * math.ceil(3 * s / p) + 1 <= 20:
        rate("%s %d, trimmed" % (shape, k), i, (p, v), cutoff=3.0, trim=True, invert=k % 2 == 0, **kw)
        rate("%s %d, trimmed, origin kept" % (shape, k), i, (p, v), cutoff=2.5, trim=True, keep=True, ours="trim" if shape in ("exponential", "alpha") else None, **kw)
    lo, hi = a + 0.2 * d, a + 0.83 * d
    w = units[(k + 1) % 4]
    rate("%s %d, window" % (shape, k), i, (p, v), t_start=(lo, u), t_stop=(hi * size[u] / size[w], w), **kw)
    rate("%s %d, window beyond the train" % (shape, k), i, (p, v), t_start=(a - 0.1 * d, u), t_stop=(a + 1.2 * d, u), cutoff=3.0 + k / 10, **kw)
    if shape == "gaussian":
        for border_kw in ({}, {"pool": True, "ours": "pool"}, {"t_start": (lo, u), "ours": "window"}, {"t_start": (a - 0.1 * d, u), "t_stop": (hi, u), "pool": True, "ours": "window"}):
            rate("%s %d, border %s" % (shape, k, list(border_kw)), i, (p, v), border=True, **kw, **border_kw)
        rate("%s %d, border, trimmed" % (shape, k), i, (p, v), kernel=shape, sigma=(s / 3, v), border=True, trim=True, ours="trim")

# The automatic kernel, of a single train.
for k in range(12):
    u = units[k % 3]
    d = [10.0, 1.5, 400.0][k % 3]
    a = [0.0, 77.0][k % 2]
    t = np.sort(a + d * rng.beta(2, 3, size=rng.randint(8, 60)))
    i = add((t, u, a, a + d))
    rate("auto %d" % k, i, (d / 30, u))
    rate("auto %d, border" % k, i, (d / 25, u), border=True)
    rate("auto %d, window" % k, i, (d / 40, u), t_start=(a + d / 4, u), cutoff=3.2)

# Spikes at the edges of intervals, and periods that do not divide the window, or seem not to.
for period in (0.1, 0.7, 0.001, 1 / 3.0, 0.3, 0.025):
    exact = np.arange(26) * period
    summed = np.cumsum(np.full(25, period))
    stop = max(exact[-1], summed[-1])
    i = add((exact, "s", 0.0, stop), (summed, "s", 0.0, stop))
    for j, (p, w) in enumerate(((period, "s"), (period * 1e3, "ms"), (period * 1.7, "s"), (period / 2, "s"))):
        rate("edges %g %s" % (p, w), i, (p, w), kernel="triangular", sigma=(p, w))
i = add(([0.05, 0.15, 0.65, 0.7], "s", 0.0, 0.7))
rate("0.7 s by 100 ms", i, (100.0, "ms"), kernel="gaussian", sigma=(0.1, "s"))
rate("0.7 s by 0.1 s", i, (0.1, "s"), kernel="gaussian", sigma=(0.1, "s"))
rate("4.5 intervals", i, (0.7 / 4.5, "s"), kernel="gaussian", sigma=(0.1, "s"))
rate("one interval", i, (0.5, "s"), kernel="gaussian", sigma=(10.0, "ms"))
rate("a kernel much longer than the train", i, (10.0, "ms"), kernel="laplacian", sigma=(100.0, "s"))
rate("a kernel much narrower than a sample", i, (10.0, "ms"), kernel="gaussian", sigma=(1.0, "us"))
j = add(([], "ms", 0.0, 100.0))
for shape in names:
    rate("silent, " + shape, j, (5.0, "ms"), kernel=shape, sigma=(1.0, "ms"))
rate("silent, border", j, (5.0, "ms"), kernel="gaussian", sigma=(10.0, "ms"), border=True)
j = add(([-0.0001, 0.0, 0.0001], "s", -1.0, 1.0))
rate("around zero", j, (20.0, "ms"), kernel="gaussian", sigma=(50.0, "ms"))
j = add(([0.0], "s", 0.0, 1.0))
rate("Elephant's example", j, (200.0, "ms"), kernel="gaussian", sigma=(300.0, "ms"), t_start=(-1.0, "s"))
j = add(([0.3, 4.5, 6.7, 9.3], "s", 0.0, 10.0))
rate("Elephant's example of an automatic kernel", j, (250.0, "ms"))

# Sample numbers of a 30 kHz recording; by 20 ms they are dense enough for Fourier transforms.
for seeds, n, sigma, p, stride in (((1,), 1200, (10.0, "ms"), (1.0, "ms"), 491), ((6, 7), 1200, (2.0, "s"), (20.0, "ms"), 101),
                                  ((2, 3), 1200, (200.0, "ms"), (1.0, "ms"), 491), ((4,), 300, (150.0, "ms"), (0.5, "ms"), 491)):
    for u, per in (("s", 30000.0), ("ms", 30.0)):
        times = [samples(seed, n) / per for seed in seeds]
        j = add(*((t, u, 0.0, max(t[-1] for t in times)) for t in times), seeds=seeds)
        for shape in ("gaussian", "exponential", "rectangular"):
            rate("30 kHz in %s, %d spikes by %g %s, %s" % (u, n, *p, shape), j, p, kernel=shape, sigma=sigma, stride=stride)
        rate("30 kHz in %s, %d spikes by %g %s, trimmed" % (u, n, *p), j, p, kernel="gaussian", sigma=sigma, trim=True, stride=stride)
        rate("30 kHz in %s, %d spikes by %g %s, border, pooled" % (u, n, *p), j, p, kernel="gaussian", sigma=sigma, border=True, pool=True, stride=stride, ours="pool")
many = add(*((rng.uniform(0, 1, size=n), "s", 0.0, 1.0) for n in range(19)))
for kw in ({}, {"pool": True}, {"trim": True, "cutoff": 3.0}, {"border": True}, {"border": True, "pool": True, "ours": "pool"}):
    rate("19 trains %s" % list(kw), many, (20.0, "ms"), kernel="gaussian", sigma=(50.0, "ms"), stride=3, **kw)
j = add((1e9 + samples(5, 40) / 30, "ms", 1e9, 1e9 + 3e3))
rate("far from zero", j, (50.0, "ms"), kernel="gaussian", sigma=(100.0, "ms"))

# What is refused.
g = dict(kernel="gaussian", sigma=(0.1, "s"))
two = add(([0.5], "s", 0.0, 1.0), ([0.25], "s", 0.0, 1.0))
mixed = add(([0.5], "s", 0.0, 1.0), ([250.0], "ms", 0.0, 1000.0))
other = add(([0.5], "s", 0.0, 1.0), ([0.5], "s", 0.0, 2.0))
late = add(([0.5], "s", 0.0, 1.0), ([0.5], "s", 0.25, 1.0))
one, twice, none = add(([0.5], "s", 0.0, 1.0)), add(([0.5, 0.5], "s", 0.0, 1.0)), add(([], "s", 0.0, 1.0))
pair_of_spikes = add(([0.25, 0.5], "s", 0.0, 1.0))
point = add(([1.0], "s", 1.0, 1.0))
for name, trains, period, refuse, kw in (
        ("no trains", add(), (0.1, "s"), "trains", g),
        ("period zero", two, (0.0, "s"), "bin", g),
        ("period negative", two, (-0.1, "s"), "bin", g),
        ("period not a number", two, (float("nan"), "s"), "bin", g),
        ("period infinite", two, (float("inf"), "s"), "bin", g),
        ("period longer than the trains", two, (1.5, "s"), "bin", g),
        ("period a voltage", two, (1.0, "mV"), "dimension", g),
        ("period a rate", two, (1.0, "Hz"), "dimension", g),
        ("units differ", mixed, (0.1, "s"), "mixed", g),
        ("t_stop differs", other, (0.1, "s"), "interval", g),
        ("t_start differs", late, (0.1, "s"), "interval", g),
        ("window reversed", two, (0.1, "s"), "interval", dict(g, t_start=(0.75, "s"), t_stop=(0.5, "s"))),
        ("window empty", two, (0.1, "s"), "interval", dict(g, t_start=(0.5, "s"), t_stop=(500.0, "ms"))),
        ("train of no duration", point, (0.1, "s"), "interval", g),
        ("t_start a rate", two, (0.1, "s"), "dimension", dict(g, t_start=(0.5, "Hz"))),
        ("t_stop a voltage", two, (0.1, "s"), "dimension", dict(g, t_stop=(0.5, "V"))),
        ("sigma negative", two, (0.1, "s"), "kernel", dict(kernel="gaussian", sigma=(-0.1, "s"))),
        ("cutoff not a number", two, (0.1, "s"), "kernel", dict(g, cutoff=float("nan"))),
        ("cutoff infinite", two, (0.1, "s"), "kernel", dict(g, cutoff=float("inf"))),
        ("kernel longer than the trimmed rate", two, (0.1, "s"), "kernel", dict(g, trim=True)),
        ("automatic kernel of two trains", two, (0.1, "s"), "kernel", {}),
        ("automatic kernel of no spikes", none, (0.1, "s"), "few", {}),
        ("automatic kernel of one spike", one, (0.1, "s"), "few", {}),
        ("automatic kernel of one time", twice, (0.1, "s"), "few", {}),
        ("automatic kernel of two spikes", pair_of_spikes, (0.1, "s"), "few", {}),
        *(("border correction of " + shape, two, (0.1, "s"), "kernel", dict(kernel=shape, sigma=(0.1, "s"), border=True)) for shape in names if shape != "gaussian"),
):
    rate(name, trains, period, refuse=refuse, **kw)
rate("t_stop differs, given", other, (0.1, "s"), t_stop=(1.0, "s"), **g)
rate("t_start differs, given", late, (0.1, "s"), t_start=(250.0, "ms"), **g)

# A width of 20 periods in any two units: rounding decides whether the kernel gets one more sample on each side.
i = add(([12300.0, 40000.0, 111000.0, 150001.0], "us", 0.0, 180000.0))
widths = {"s": (0.06, 0.003), "ms": (60.0, 3.0), "us": (60000.0, 3000.0), "min": (0.001, 0.00005)}
for v in units:
    for w in units:
        rate("sigma in %s, period in %s" % (v, w), i, (widths[w][1], w), kernel="triangular", sigma=(widths[v][0], v))

for case in cases:
    for key in [k for k, v in case.items() if isinstance(v, float) and not np.isfinite(v)]:
        case[key] = hexed(case[key])
print("{")
print('"about": "made by instantaneous.py with elephant %s, neo %s, numpy %s, scipy %s, quantities %s",' % (elephant.__version__, neo.__version__, np.__version__, scipy.__version__, pq.__version__))
print(",\n".join(lines(n, x) for n, x in (("trains", sets_out), ("rates", cases))))
print("}")
print({"rates": len(cases), "refused": sum("refuse" in c for c in cases), "ours": sum("ours" in c for c in cases), "samples": sum(len(c.get("values", ())) for c in cases)}, file=sys.stderr)
