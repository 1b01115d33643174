"""Makes correlation.json: what Elephant says of correlations between spike trains.

    pip install elephant==1.2.1 neo==0.14.6 numpy==2.4.6 scipy==1.17.1 quantities==0.16.4
    python correlation.py > correlation.json

Tolerance 0: exact, every float written in hexadecimal and compared bit by bit; but cases with "tolerance" are of histograms
smoothed with a kernel, which NumPy convolves by the dot products of its BLAS, with an order of additions and fused
multiply-adds of the machine's. The tolerance is absolute.

Counts are those of method "memory". Method "speed", which rounds an FFT, has too few values for lags that are not
symmetric about 0; elsewhere it is asserted to give the same. Cases with "bug" come from an Elephant that is mended below, since the released one is wrong:
 - "shift": trains that start at different times make the border correction take lags for others (negative values);
 - "truncated": valid lags are truncated quotients of times, so that one may be missing, or their number is wrong where
   t_stop is no edge of a bin;
 - "rtol": the spike time tiling coefficient compares with numpy.isclose and its relative tolerance, so that dt grows by 1e-5
   of the spike time (pull request 706 of Elephant mends it).
Each such case is asserted to differ from the released Elephant. Cases with "stricter" are refused by package spike, though
Elephant answers.
"""
import logging
import sys
import warnings

import elephant
import elephant.spike_train_correlation as stc
import neo
import numpy as np
import quantities as pq
import scipy
from elephant.conversion import BinnedSpikeTrain

from exact import Q, hexed, hexes, lines, pair, quantity

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
np.seterr(all="ignore")
rng = np.random.RandomState(1969)

# --- the mended Elephant -------------------------------------------------------

Released = stc._CrossCorrHist


class Mended(Released):
    """Counts bins, and takes lags and the border correction from the own starts of the trains."""

    @staticmethod
    def own_lags(i, j):
        return min(0, j.n_bins - i.n_bins), max(0, j.n_bins - i.n_bins)

    @staticmethod
    def get_valid_lags(i, j):
        shift = int(round((j._t_start - i._t_start) / i._bin_size))
        lo, hi = Mended.own_lags(i, j)
        return np.arange(lo + shift, hi + shift + 1, dtype=np.int32)

    def border_correction(self, values):
        lo, hi = Mended.own_lags(self.binned_spiketrain_i, self.binned_spiketrain_j)
        bins = min(self.binned_spiketrain_i.n_bins, self.binned_spiketrain_j.n_bins)
        distance = np.abs(np.subtract.outer(np.arange(self.window[0], self.window[1] + 1), np.arange(lo, hi + 1))).min(axis=1)
        return values * (float(bins) / (bins - distance))


class WithoutRelative:
    """numpy, but isclose with a tolerance relative to dt, 1e-8, and not to the spike time, 1e-5."""

    def __getattr__(self, name):
        return getattr(np, name)

    def isclose(self, a, b, atol):
        return np.isclose(a, b, rtol=0, atol=atol * (1 + 1e-8))


# --- trains ---------------------------------------------------------------------

trains, trains_out = [], []


def add(times, u="s", a=0.0, b=10.0):
    times = np.asarray(times, dtype=float)
    trains.append(neo.SpikeTrain(times, units=u, t_start=a * pq.Quantity(1.0, u), t_stop=b * pq.Quantity(1.0, u)))
    trains_out.append({"times": hexes(times), "unit": u, "t_start": hexed(a), "t_stop": hexed(b)})
    return len(trains) - 1


def rand(n, u="s", a=0.0, b=10.0, order=True):
    t = rng.uniform(a, b, n)
    return add(np.sort(t) if order else t, u, a, b)


def brief(a):
    """Floats as hexes has them, but whole numbers as such."""
    return [int(v) if v == int(v) else hexed(v) for v in np.ravel(a)] if np.isfinite(a).all() and not (np.signbit(a) & (a == 0)).any() else hexes(a)


# --- cross-correlation histograms ---------------------------------------------------

histograms = []


def elephant_cch(i, j, bin, method, **kw):
    bi, bj = (BinnedSpikeTrain(trains[k], bin_size=Q(bin)) for k in (i, j))
    return stc.cross_correlation_histogram(bi, bj, method=method, **kw)


def cch(name, i, j, bin, window="full", border=False, binary=False, kernel=None, coefficient=False, refuse=None, strict=False, bug=None):
    case = {"name": name, "a": i, "b": j, "bin": pair(bin)}
    for key, v in (("window", None if window == "full" else window), ("border", border), ("binary", binary),
                   ("kernel", None if kernel is None else hexes(kernel)), ("coefficient", coefficient), ("bug", bug)):
        if v is not None and v is not False:
            case[key] = v
    kw = dict(window=window, border_correction=border, binary=binary, kernel=None if kernel is None else np.asarray(kernel, dtype=float),
              cross_correlation_coefficient=coefficient)
    histograms.append(case)
    try:
        h, lags = released, _ = elephant_cch(i, j, bin, "memory", **kw)
    except Exception as e:
        assert bug or refuse and not strict, (name, e)
        if refuse:
            case["refuse"], case["exception"] = refuse, type(e).__name__
            return
        released = None
    else:
        assert not refuse or strict, name
        if refuse:
            case["refuse"], case["stricter"] = refuse, len(lags)
            return
    if bug:
        stc._CrossCorrHist = Mended
        h, lags = elephant_cch(i, j, bin, "memory", **kw)
        stc._CrossCorrHist = Released
        if bug == "truncated" and window == "valid":  # "speed" has the right number of values
            speed, _ = elephant_cch(i, j, bin, "speed", **kw)
            assert (speed.magnitude == h.magnitude).all() and (released is None or released.shape != h.shape), name
        else:
            assert released.shape == h.shape and not np.array_equal(released.magnitude, h.magnitude, equal_nan=True), name
    else:
        if isinstance(window, str) or window[0] == -window[1]:
            speed, _ = elephant_cch(i, j, bin, "speed", **kw)
            assert len(speed) != len(h) or np.array_equal(speed.magnitude, h.magnitude, equal_nan=True), name
    assert len(h) == len(lags), name
    case.update(values=brief(h.magnitude), lags=[int(lags[0]), int(lags[-1])], start=quantity(h.t_start), rate=quantity(h.sampling_rate))
    if kernel is not None:
        # Twice the largest error of a sum of so many terms, and of what follows it.
        plain = np.abs(elephant_cch(i, j, bin, "memory", **dict(kw, kernel=None, cross_correlation_coefficient=False))[0].magnitude).max()
        scale = 1.0
        if coefficient:
            raw, c = (elephant_cch(i, j, bin, "memory", **dict(kw, kernel=None, cross_correlation_coefficient=x))[0].magnitude.ravel() for x in (False, True))
            k, l = raw.argmin(), raw.argmax()
            scale = (c[l] - c[k]) / (raw[l] - raw[k])
        case["tolerance"] = hexed(2 * len(kernel) * 2.0**-53 * plain * scale)


bins = [(1.0, "s"), (100.0, "ms"), (0.25, "s"), (0.3, "s"), (70000.0, "us"), (1 / 300.0, "min")]
pairs = [(rand(40), rand(60)), (rand(25, order=False), rand(33)), (rand(200), rand(150, order=False)),
         (rand(30, "ms", 0.0, 10000.0), rand(30)), (rand(30, "min", 0.0, 1 / 6.0), rand(30, "ms", 0.0, 10000.0))]
pairs.append((pairs[0][0], pairs[0][0]))
n = 0
for p, (i, j) in enumerate(pairs):
    for q, bin in enumerate(bins):
        for w, window in enumerate(["full", "valid", [-3, 3], [-2, 7], [2, 5], [-6, -1], [-1, 0]]):
            border, binary, coefficient = bool(n & 1) and window != "valid", bool(n & 2), bool(n & 4)
            n += 1
            if n % 3 == 0 and window == "full":
                continue  # these are long
            cch(f"random {p}.{q}.{w}", i, j, bin, window, border, binary, None, coefficient)
# Kernels of even and odd length, to the longest one, alone and with all else.
i, j = pairs[2]
for k, kernel in enumerate([[1.0], [1, 1], [1, 2, 1], np.ones(4), np.hamming(5), np.hanning(7), np.bartlett(8), np.ones(11), np.ones(12), np.hamming(17), np.ones(21),
                            [3.0, 2.0, 1.0], [0.0, 0.0, 1.0], [-1.0, 3.0], [-1.0, -2.0]]):
    for window in (["full"] if k % 4 == 0 else []) + [[-10, 10], [3, 23], [-23, -3]]:
        cch(f"kernel {k} {window}", i, j, (0.1, "s"), window, k % 2 == 0, k % 3 == 0, kernel, False)
        cch(f"kernel and coefficient {k} {window}", i, j, (0.1, "s"), window, k % 3 == 0, k % 2 == 0, kernel, True)
# Trains of other durations and starts.
others = [("longer", rand(40), rand(90, "s", 0.0, 22.0)), ("shorter", rand(90, "s", 0.0, 22.0), rand(40)),
          ("later", rand(40), rand(50, "s", 3.0, 11.0)), ("earlier", rand(50, "s", 3.0, 11.0), rand(40, "ms", -2000.0, 9000.0)),
          ("within", rand(50, "s", 3.0, 8.0), rand(70, "s", 1.0, 13.0)), ("around", rand(70, "s", 1.0, 13.0), rand(30, "s", 3.0, 8.0)),
          ("apart", rand(20, "s", 0.0, 5.0), rand(20, "s", 105.0, 110.0)), ("far from 0", rand(20, "s", 86400.0, 86405.0), rand(20, "s", 86401.0, 86411.0))]
for name, i, j in others:
    shift = round((trains[j].t_start - trains[i].t_start).rescale("s").item())
    for bin in ((1.0, "s"), (0.25, "s"), (500.0, "ms")):
        k = round(shift / Q(bin).rescale("s").item())
        for c in (False, True):
            cch(f"{name}, {bin}, full, {c}", i, j, bin, coefficient=c)
            cch(f"{name}, {bin}, valid, {c}", i, j, bin, "valid", coefficient=c, binary=c)
            cch(f"{name}, {bin}, window, {c}", i, j, bin, [k - 2, k + 3], coefficient=c)
        cch(f"{name}, {bin}, corrected", i, j, bin, border=True, bug="shift" if k else None)
        cch(f"{name}, {bin}, window corrected", i, j, bin, [k - 2, k + 3], border=True, bug="shift" if k else None)
# Starts that are a whole number of bins apart only by rounding, and ends within a bin.
i, j, k = add([0.05, 0.15, 0.31], "s", 0.0, 0.9), add([0.33, 0.45, 0.46], "s", 0.3, 0.6), rand(9, "s", 0.7, 2.1)
cch("tenths, full", i, j, (0.1, "s"))
cch("tenths, window", i, j, (0.1, "s"), [-1, 4])
cch("tenths, valid", i, j, (0.1, "s"), "valid", bug="truncated")
cch("sevenths, full", i, k, (0.1, "s"))
cch("ends within a bin, valid", rand(30, "s", 0.0, 10.9), rand(30, "s", 0.0, 20.1), (1.0, "s"), "valid", bug="truncated")
cch("ends within a bin, full", rand(30, "s", 0.0, 10.9), rand(30, "s", 0.0, 20.1), (1.0, "s"), border=True, coefficient=True, bug="truncated")
# Spikes at edges, at the ends, within 1e-8 before an edge; many in a bin; few; none.
edges = add([0.0, 0.1, 0.2, 0.30000000000000004, 0.7 - 1e-11, 0.9999999999, 1.0], "s", 0.0, 1.0)
tail = add([0.0, 0.5, 0.99, 1.05, 1.1], "s", 0.0, 1.1)
many = add(np.repeat([0.05, 0.15, 0.55], [40, 3, 17]), "s", 0.0, 1.0)
one, none, every = add([0.4], "s", 0.0, 1.0), add([], "s", 0.0, 1.0), add(np.arange(10) / 10 + 0.05, "s", 0.0, 1.0)
names = {"edges": edges, "tail": tail, "many": many, "one": one, "none": none, "every": every}
for x in names:
    for y in names:
        for c in (False, True):
            cch(f"{x} and {y}, {c}", names[x], names[y], (0.1, "s"), border=True, binary=c, coefficient=c)
# 30 kHz, times in samples or in seconds.
s1, s2 = (np.sort(rng.randint(0, 30000, 60)) for _ in range(2))
hz1, hz2 = add(s1 / 30000.0, "s", 0.0, 1.0), add(s2 / 30000.0, "s", 0.0, 1.0)
for bin in ((1 / 30000.0, "s"), (1.0, "ms"), (0.1, "ms"), (1 / 30.0, "ms")):
    cch(f"30 kHz, {bin}", hz1, hz2, bin, [-30, 30])
# So many occupied bins that a Fourier transform counts.
i, j = rand(1300, "s", 0.0, 6.0, order=False), rand(1200, "s", 1.0, 7.0)
cch("many bins", i, j, (20.0, "ms"))
cch("many bins, window", i, j, (20.0, "ms"), [-100, 200])
cch("many bins, binary", i, j, (20.0, "ms"), binary=True, coefficient=True)
# What is refused.
i, j = pairs[0]
half, volt = rand(5, "s", 0.5, 9.5), "mV"
cch("least lag above the largest", i, j, (1.0, "s"), [3, -3], refuse="lags")
cch("least lag equals the largest", i, j, (1.0, "s"), [3, 3], refuse="lags")
cch("least lag beyond the trains", i, j, (1.0, "s"), [-10, 3], refuse="lags")
cch("largest lag beyond the trains", i, j, (1.0, "s"), [-3, 10], refuse="lags")
cch("largest lag just within", i, j, (1.0, "s"), [-9, 9])
cch("lags beyond the shifted trains", others[2][1], others[2][2], (1.0, "s"), [-7, 3], refuse="lags")
cch("starts half a bin apart", i, half, (1.0, "s"), refuse="lags")
cch("starts not a number of bins apart", i, others[2][2], (0.7, "s"), refuse="lags")
cch("kernel too long", i, j, (1.0, "s"), [-3, 3], kernel=np.ones(8), refuse="kernel")
cch("kernel as long as the lags", i, j, (1.0, "s"), [-3, 3], kernel=np.ones(7))
cch("kernel longer than the lags", i, j, (1.0, "s"), [2, 5], kernel=np.ones(6), refuse="kernel", strict=True)  # Elephant: 6 values for 4 lags
cch("kernel of sum 0", i, j, (1.0, "s"), [-3, 3], kernel=[-1.0, 1.0], refuse="kernel", strict=True)
cch("kernel not a number", i, j, (1.0, "s"), [-3, 3], kernel=[1.0, float("nan")], refuse="kernel", strict=True)
cch("kernel of infinite sum", i, j, (1.0, "s"), [-3, 3], kernel=[1.0, float("inf")], refuse="kernel", strict=True)
cch("bin size 0", i, j, (0.0, "s"), refuse="bin")
cch("bin size negative", i, j, (-1.0, "s"), refuse="bin")
cch("bin longer than the trains", i, j, (11.0, "s"), refuse="bin")
cch("bin longer than the second", i, edges, (2.0, "s"), refuse="bin")
cch("bin size a rate", i, j, (1.0, "Hz"), refuse="dimension")
cch("train of no duration", i, add([1.0], "s", 1.0, 1.0), (1.0, "s"), refuse="interval")

# --- covariances and correlation coefficients -------------------------------------------

matrices = []


def matrix(name, which, bin, t_start=None, t_stop=None, binary=False, refuse=None):
    case = {"name": name, "trains": which, "bin": pair(bin), "t_start": pair(t_start), "t_stop": pair(t_stop), "binary": binary}
    matrices.append(case)
    try:
        b = BinnedSpikeTrain([trains[k] for k in which], bin_size=Q(bin), t_start=Q(t_start), t_stop=Q(t_stop))
    except Exception as e:
        assert refuse, (name, e)
        case["refuse"], case["exception"] = refuse, type(e).__name__
        return
    assert not refuse, name
    for key, f in (("covariance", stc.covariance), ("correlation", stc.correlation_coefficient)):
        v = f(b, binary=binary, fast=False)
        fast = f(b, binary=binary, fast=True)
        assert np.allclose(v, fast, rtol=1e-9, atol=1e-12, equal_nan=True), (name, v, fast)
        case[key] = hexes(v)


whole = [pairs[0][0], pairs[0][1], pairs[1][0], pairs[1][1], pairs[2][0], pairs[2][1]]
short = [edges, many, one, none, every]
for k in range(20):
    which = [int(x) for x in rng.choice(whole, 1 + k % 6, replace=False)]
    window = [{}, {"t_start": (2.0, "s")}, {"t_stop": (7500.0, "ms")}, {"t_start": (1.1, "s"), "t_stop": (8.8, "s")}][k % 4]
    matrix(f"random {k}", which, bins[k % 5], binary=k % 3 == 0, **window)
matrix("edges, many, one, none, every", short, (0.1, "s"))
matrix("edges, many, one, none, every, binary", short, (0.1, "s"), binary=True)
matrix("one bin", short, (1.0, "s"))
matrix("30 kHz", [hz1, hz2, hz1], (1 / 30000.0, "s"))
matrix("unsorted, same", [pairs[1][0]] * 2, (0.1, "s"))
matrix("starts differ", [whole[0], others[2][2]], (0.1, "s"), refuse="interval")
matrix("units differ", [whole[0], pairs[3][0]], (0.1, "s"), refuse="mixed")
matrix("bin too long", whole, (10.5, "s"), refuse="bin")
matrix("bin a rate", whole, (1.0, "Hz"), refuse="dimension")
matrix("window beyond", whole, (1.0, "s"), t_stop=(10.5, "s"), refuse="interval")
matrices.append({"name": "no trains", "trains": [], "bin": pair((1.0, "s")), "refuse": "trains"})

# --- spike time tiling coefficients -----------------------------------------------------

tilings = []


def tiling(name, i, j, dt=None, refuse=None, strict=False):
    case = {"name": name, "a": i, "b": j, "dt": pair(dt)}
    tilings.append(case)
    kw = {} if dt is None else {"dt": Q(dt)}
    try:
        released = stc.spike_time_tiling_coefficient(trains[i], trains[j], **kw)
    except Exception as e:
        assert refuse and not strict, (name, e)
        case["refuse"], case["exception"] = refuse, type(e).__name__
        return
    assert not refuse or strict, name
    if refuse:
        case["refuse"], case["stricter"] = refuse, hexed(released)
        return
    stc.np = WithoutRelative()
    case["value"] = hexed(stc.spike_time_tiling_coefficient(trains[i], trains[j], **kw))
    stc.np = np
    if hexed(released) != case["value"]:
        case["bug"], case["released"] = "rtol", hexed(released)


for k in range(120):
    u = ["s", "ms", "us", "min"][k % 4]
    size = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}[u]
    a = [0.0, 0.0, 5.0, -3.0, 1234.5][k % 5]
    b = a + [1.0, 10.0, 2.5][k % 3]
    n1, n2 = [1, 2, 3, 5, 8, 9, 15, 40][k % 8], [40, 7, 12, 1, 3, 25][k % 6]
    if k % 20 == 0:
        n1, n2 = 180, 140  # sums beyond one block of NumPy's
    i, j = (rand(x, u, a / size, b / size, order=k % 7 != 0) for x in (n1, n2))
    dt = [None, (0.005, "s"), (20.0, "ms"), (0.1, "s"), (1e-4, "min"), (2.0, "s")][(k // 2) % 6]
    tiling(f"random {k}", i, j, dt)
doc1 = add([1.3, 7.56, 15.87, 28.23, 30.9, 34.2, 38.2, 43.2], "ms", 0.0, 50.0)
doc2 = add([1.02, 2.71, 18.82, 28.46, 28.79, 43.6], "ms", 0.0, 50.0)
tiling("of the documentation", doc1, doc2)
tiling("with itself", doc1, doc1)
for name, i, j, dt in (("30 kHz", hz1, hz2, (1 / 30000.0, "s")), ("30 kHz, 1 ms", hz1, hz2, (1.0, "ms")), ("all one", every, many, (0.05, "s")), ("all of one", many, every, (0.1, "s")),
                       ("all time", every, every, (1.0, "s")), ("edges", edges, every, (0.05, "s")), ("one and one", one, one, None), ("one and edges", one, edges, (0.1, "s")),
                       ("many at one time", many, edges, (0.05, "s")), ("no spikes", none, one, None), ("no spikes in either", none, none, None), ("dt infinite", one, edges, (float("inf"), "s"))):
    tiling(name, i, j, dt)
tiling("dt apart", add([1.0, 3.0], "ms", 0.0, 10.0), add([1.5, 4.0, 9.75], "ms", 0.0, 10.0), (0.5, "ms"))
tiling("2 dt apart", add([1.0, 2.0, 3.0, 9.5], "ms", 0.0, 10.0), add([0.5, 10.0], "ms", 0.0, 10.0), (0.5, "ms"))
tiling("no duration", add([1.0], "s", 1.0, 1.0), add([1.0], "s", 1.0, 1.0))
tiling("ends within 1e-8", one, add([0.4], "s", -5e-9, 1.0 + 5e-9))
far = [add(np.sort(rng.uniform(1000.0, 1010.0, 50)), "s", 1000.0, 1010.0) for _ in range(2)]
tiling("at 1000 s", *far)
tiling("at 86400 s", rand(60, "s", 86400.0, 86460.0), rand(70, "s", 86400.0, 86460.0))
tiling("12 ms apart at 1000 s", add([1000.1], "s", 1000.0, 1001.0), add([1000.112], "s", 1000.0, 1001.0))
tiling("dt 0", one, edges, (0.0, "s"), "lags")
tiling("dt negative", one, edges, (-1.0, "ms"), "lags")
tiling("dt not a number", one, edges, (float("nan"), "s"), "lags", strict=True)
tiling("dt a rate", one, edges, (1.0, "Hz"), "dimension")
tiling("units differ", doc1, one, None, "mixed")
tiling("ends differ", one, whole[0], None, "interval")
tiling("starts differ", one, add([0.5], "s", 0.25, 1.0), None, "interval")

print("{")
print('"about": "made by correlation.py with elephant %s, neo %s, numpy %s, scipy %s, quantities %s",' % (elephant.__version__, neo.__version__, np.__version__, scipy.__version__, pq.__version__))
print('"tolerance": "0: exact, but for the cases that give one",')
print(",\n".join(lines(n, x) for n, x in (("trains", trains_out), ("histograms", histograms), ("matrices", matrices), ("tilings", tilings))))
print("}")
print({n: (len(x), sum("refuse" in c for c in x), sum("bug" in c for c in x)) for n, x in (("histograms", histograms), ("matrices", matrices), ("tilings", tilings))}, file=sys.stderr)
