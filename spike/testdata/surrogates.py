"""Makes surrogates.json: what Elephant's surrogate methods answer after a seed, for the tests of package spike.

    pip install elephant==1.2.1 neo==0.14.6 numpy==2.4.6 quantities==0.16.4 scipy==1.17.1
    python surrogates.py > surrogates.json

Tolerance 0: exact. (Joint-ISI dithering smoothes by a Gaussian, whose exponential function may differ from Go's in the
last bit; that decides only between bins, and no case here is so near to an edge.)

The stream of a case is numpy's (numpy.random.seed), Python's (random.seed) or both, with one seed: Elephant draws from both.

Elephant up to 1.2.1 has bugs that are not to be copied. Cases that show them are "failing": the test wants a valid train.
- jitter_spikes counts bins from 0 and adds t_start twice, so that it is right only for t_start = 0; it fails at a spike on
  the last edge.
- bin_shuffling fails at spikes after the last whole bin, where that ends a window.
- shuffle_isis, dithering with a refractory period and others fail where rounding exceeds t_stop.
- isi_dithering smoothes counts in integers, and so away: the cases here are made with floats, by mended_outer.
- trials that touch have a spike on their edge in both of them.
- dither_spike_train with edges=False leaves spikes unsorted: they are sorted here.
- decimals=0 is ignored by dither_spikes; rounding is not copied at all.
"""
import random
import sys
import warnings
import zlib

import elephant
import neo
import numpy as np
import quantities as pq
import scipy
from elephant import spike_train_surrogates as sts

from exact import Q, hexed, hexes, lines, pair

warnings.simplefilter("ignore")
rng = np.random.RandomState(28)

trains, trains_out = [], []


def add(times, u, a, b):
    """Adds a train; gives its index."""
    trains.append(neo.SpikeTrain(np.asarray(times, dtype=float), units=u, t_start=a * pq.Quantity(1.0, u), t_stop=b * pq.Quantity(1.0, u)))
    trains_out.append({"times": hexes(times), "unit": u, "t_start": hexed(a), "t_stop": hexed(b)})
    return len(trains) - 1


def dense(n, u, scale, a=0.0):
    """A train with intervals of 1.5 to about 60 ms, long enough for joint-ISI dithering."""
    isi = 0.0015 + rng.gamma(2.0, 0.008, size=n)
    t = a + np.cumsum(isi) / scale
    return add(t, u, a, float(np.ceil(t[-1])))


ms = add(np.sort(rng.uniform(0, 1000, 40)), "ms", 0.0, 1000.0)
unsorted = add(rng.uniform(-1, 4, 30), "s", -1.0, 4.0)
samples = add(np.sort(rng.choice(60000, 80, replace=False)) / 0.03, "us", 0.0, 2e6)
late = add(np.sort(rng.uniform(1e6, 1e6 + 5, 35)), "s", 1e6, 1e6 + 5)
minutes = add(np.sort(rng.uniform(2, 3, 40)), "min", 2.0, 3.0)
edges = add([0.0, 0.1, 0.1, 0.5, 0.9, 1.0], "s", 0.0, 1.0)
empty = add([], "s", 0.0, 1.0)
one = add([300.0], "ms", 0.0, 1000.0)
two = add([300.0, 700.0], "ms", 0.0, 1000.0)
zero = add(np.sort(rng.uniform(0, 7.3, 50)), "s", 0.0, 7.3)
dense_s, dense_ms, dense_late = dense(400, "s", 1.0), dense(400, "ms", 0.001, 250.0), dense(300, "s", 1.0, 1e5)
every = [ms, unsorted, samples, late, minutes, edges, empty, one, two, zero, dense_ms]
in_order = [i for i in every if i != unsorted]

cases = []
counts = {}


def brief(times):
    """A train in short: the number of spikes, every step-th of them, and the CRC-32 of all as little-endian float64."""
    step = 1 + len(times) // 6
    return {"n": len(times), "step": step, "times": hexes(times[::step]), "crc": zlib.crc32(times.astype("<f8").tobytes())}


def mended_outer(a, b, outer=np.outer):
    return outer(a, b).astype(float)


def case(method, train, seed, call, stream="numpy", n=2, failing=False, **options):
    """One call of Elephant, which makes n surrogates."""
    c = {"method": method, "train": train, "seed": seed, "stream": stream}
    for k, v in options.items():
        if v is not None and v is not False:
            c[k] = pair(v) if isinstance(v, tuple) else v
    np.random.seed(seed)
    random.seed(seed)
    np.outer, outer = mended_outer, np.outer
    try:
        made = call(trains[train], n)
    except (ValueError, IndexError) as e:
        assert failing, (method, options, trains[train], e)
        c["exception"] = type(e).__name__
    else:
        assert len(made) == n
        c["made"] = [brief(np.sort(t.magnitude)) for t in made]
        assert all(t.units == trains[train].units for t in made)
        # Where there are few spikes JointISI gives the train itself, without a draw.
        c["after"] = [hexed(np.random.random()), hexed(random.random())]
        counts[method] = counts.get(method, 0) + 1
    finally:
        np.outer = outer
    cases.append(c)


seed = 0
for i in every:
    for dither in ((15.0, "ms"), (0.2, "s"), (0.0, "ms"), (1500.0, "us"), (0.01, "min")):
        for keep in (False, True):
            seed += 1
            case("dither_spikes", i, seed, lambda t, n: sts.dither_spikes(t, Q(dither), n, edges=not keep), dither=dither, keep=keep)
            case("dither_spike_train", i, seed, lambda t, n: sts.dither_spike_train(t, Q(dither), n, edges=not keep), dither=dither, keep=keep)
        if dither[0] and dither[1] != "min":
            case("dither_spikes", i, seed, lambda t, n: sts.dither_spikes(t, Q(dither), n, refractory_period=0 * pq.ms), dither=dither, refractory=(0.0, "ms"))
            for dead in ((3.0, "ms"), (0.0005, "s"), (1.0, "s")):
                if i != unsorted:
                    case("dither_spikes", i, seed, lambda t, n: sts.dither_spikes(t, Q(dither), n, refractory_period=Q(dead)),
                         stream="both" if i != empty else "numpy", failing=True, dither=dither, refractory=dead)
    for k in range(4):
        seed += 1
        case("randomise_spikes", i, seed, sts.randomise_spikes)
        case("shuffle_isis", i, seed, sts.shuffle_isis, n=3, failing=True)
    for bin in ((20.0, "ms"), (0.1, "s"), (0.37, "s"), (12345.0, "us"), (1 / 600.0, "min"), (3.0, "s")):
        seed += 1
        if hexed(trains[i].t_start) == hexed(0):
            case("jitter_spikes", i, seed, lambda t, n: sts.jitter_spikes(t, Q(bin), n), failing=True, bin=bin)
        for dither in ((50.0, "ms"), (0.3, "s"), (400000.0, "us")):
            seed += 1
            if i != unsorted and Q(dither) >= Q(bin):
                case("bin_shuffling", i, seed, lambda t, n: sts.surrogates(t, n, "bin_shuffling", dt=Q(dither), bin_size=Q(bin)), failing=True, dither=dither, bin=bin)
    for dither in ((30.0, "ms"), (0.4, "s"), (2.5, "s")):
        seed += 1
        case("trial_shifting", i, seed, lambda t, n: [x[0] for x in sts.trial_shifting([t], Q(dither), n)], stream="python", failing=True, dither=dither)
        for length, gap in (((200.0, "ms"), (50.0, "ms")), ((0.3, "s"), (0.0, "s")), ((0.25, "s"), (1000.0, "us")), ((1.0, "s"), (0.0, "ms"))):
            if i in (edges, one, two) and gap[0] == 0.0:
                continue  # touching trials, see above
            seed += 1
            if Q(length) + Q(gap) > trains[i].t_stop - trains[i].t_start:
                continue  # refused, see below
            case("trial_shifting", i, seed, lambda t, n: sts.surrogates(t, n, "trial_shifting", dt=Q(dither), trial_length=Q(length), trial_separation=Q(gap)),
                 stream="python", failing=True, dither=dither, length=length, gap=gap)

joint = (
    {}, {"dither": (5.0, "ms")}, {"dither": (0.03, "s"), "refractory": (1.0, "ms")}, {"sigma": (0.0, "ms")}, {"sigma": (0.5, "ms"), "bins": 60}, {"sqrt": True},
    {"whole": True}, {"whole": True, "limit": (40.0, "ms"), "bins": 25}, {"no_cutoff": True}, {"limit": (30.0, "ms"), "dither": (50.0, "ms")},
    {"limit": (0.2, "s"), "bins": 50, "sigma": (10.0, "ms"), "refractory": (0.0, "ms")}, {"sqrt": True, "no_cutoff": True, "whole": True, "sigma": (30.0, "ms")},
    {"bins": 1}, {"bins": 2, "whole": True},
)
for i in (dense_s, dense_ms, dense_late, ms, unsorted, samples, empty, one, two, edges):
    for k, options in enumerate(joint if i in (dense_s, dense_ms) else joint[k % 3::3] if i == dense_late else joint[:7:3]):
        for method in ("joint_isi_dithering", "isi_dithering"):
            seed += 1
            kw = {name: Q(options[key]) for name, key in (("dither", "dither"), ("truncation_limit", "limit"), ("sigma", "sigma"), ("refractory_period", "refractory")) if key in options}
            if "bins" in options:
                kw["n_bins"] = options["bins"]
            if options.get("whole"):
                kw["method"] = "fast"
            kw.update(use_sqrt=options.get("sqrt", False), cutoff=not options.get("no_cutoff", False), isi_dithering=method == "isi_dithering")
            case(method, i, seed, lambda t, n: sts.JointISI(t, **kw).dithering(n), stream="python", failing=True, n=2 if len(trains[i]) < 200 else 1, **options)

refused = []
for method, options, call, refuse in (
        ("dither_spikes", {}, lambda: sts.surrogates(trains[ms], 1, "dither_spikes"), "dimension"),
        ("dither_spikes", {"dither": (5.0, "mV")}, lambda: sts.dither_spikes(trains[ms], 5 * pq.mV), "dimension"),
        ("dither_spikes", {"dither": (5.0, "ms"), "refractory": (5.0, "Hz")}, lambda: sts.dither_spikes(trains[ms], 5 * pq.ms, refractory_period=5 * pq.Hz), "dimension"),
        ("dither_spikes", {"dither": (5.0, "ms"), "refractory": (5.0, "dimensionless")}, lambda: sts.dither_spikes(trains[ms], 5 * pq.ms, refractory_period=5.0), "dimension"),
        ("dither_spike_train", {}, lambda: sts.surrogates(trains[ms], 1, "dither_spike_train"), "dimension"),
        ("dither_spike_train", {"dither": (5.0, "Hz")}, lambda: sts.dither_spike_train(trains[ms], 5 * pq.Hz), "dimension"),
        ("jitter_spikes", {}, lambda: sts.surrogates(trains[ms], 1, "jitter_spikes"), "dimension"),
        ("jitter_spikes", {"bin": (5.0, "Hz")}, lambda: sts.jitter_spikes(trains[ms], 5 * pq.Hz), "dimension"),
        ("jitter_spikes", {"bin": (0.0, "ms")}, lambda: sts.jitter_spikes(trains[ms], 0 * pq.ms), "bin"),
        ("jitter_spikes", {"bin": (-5.0, "ms")}, lambda: sts.jitter_spikes(trains[ms], -5 * pq.ms), "bin"),
        ("bin_shuffling", {"dither": (5.0, "ms")}, lambda: sts.surrogates(trains[ms], 1, "bin_shuffling", dt=5 * pq.ms), "dimension"),
        ("bin_shuffling", {"bin": (5.0, "ms")}, lambda: sts.surrogates(trains[ms], 1, "bin_shuffling", bin_size=5 * pq.ms), "dimension"),
        ("bin_shuffling", {"dither": (4.0, "ms"), "bin": (5.0, "ms")}, lambda: sts.surrogates(trains[ms], 1, "bin_shuffling", dt=4 * pq.ms, bin_size=5 * pq.ms), "surrogate"),
        ("bin_shuffling", {"dither": (4.0, "ms"), "bin": (0.0, "ms")}, lambda: sts.bin_shuffling(trains[ms], 1, bin_size=0 * pq.ms), "bin"),
        ("trial_shifting", {}, lambda: sts.surrogates(trains[ms], 1, "trial_shifting"), "dimension"),
        ("trial_shifting", {"dither": (5.0, "ms"), "length": (2.0, "s")},
         lambda: sts.surrogates(trains[ms], 1, "trial_shifting", dt=5 * pq.ms, trial_length=2 * pq.s, trial_separation=0 * pq.s), "surrogate"),
        ("trial_shifting", {"dither": (5.0, "ms"), "length": (0.0, "s")},
         lambda: sts.surrogates(trains[ms], 1, "trial_shifting", dt=5 * pq.ms, trial_length=0 * pq.s, trial_separation=0 * pq.s), "surrogate"),
        ("joint_isi_dithering", {"dither": (5.0, "Hz")}, lambda: sts.JointISI(trains[ms], dither=5 * pq.Hz).dithering(), "dimension"),
        ("joint_isi_dithering", {"limit": (5.0, "mV")}, lambda: sts.JointISI(trains[ms], truncation_limit=5 * pq.mV).dithering(), "dimension"),
        ("joint_isi_dithering", {"limit": (0.0, "ms")}, lambda: sts.JointISI(trains[ms], truncation_limit=0 * pq.ms).dithering(), "surrogate"),
        ("joint_isi_dithering", {"sigma": (5.0, "Hz")}, lambda: sts.JointISI(trains[ms], sigma=5 * pq.Hz).dithering(), "dimension"),
        ("joint_isi_dithering", {"bins": -1}, lambda: sts.JointISI(trains[ms], n_bins=-1).dithering(), "surrogate"),
        ("joint_isi_dithering", {"refractory": (5.0, "Hz")}, lambda: sts.JointISI(trains[ms], refractory_period=5 * pq.Hz).dithering(), "dimension"),
):
    try:
        with np.errstate(all="ignore"):
            call()
    except Exception as e:
        refused.append({"method": method, "train": ms, "refuse": refuse, "exception": type(e).__name__, **{k: pair(v) if isinstance(v, tuple) else v for k, v in options.items()}})
    else:
        raise AssertionError((method, options))

print("{")
print('"about": "made by surrogates.py with elephant %s, neo %s, numpy %s, quantities %s, scipy %s",' % (elephant.__version__, neo.__version__, np.__version__, pq.__version__, scipy.__version__))
print('"tolerance": "0: exact",')
print(",\n".join(lines(n, x) for n, x in (("trains", trains_out), ("cases", cases), ("refused", refused))))
print("}")
print(counts, {"failed in Elephant": sum("exception" in c for c in cases), "refused": len(refused)}, file=sys.stderr)
