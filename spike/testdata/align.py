"""Makes align.json: what Neo makes of slices, merges and trials.

    pip install neo==0.14.6 numpy==2.4.6 quantities==0.16.4
    python align.py > align.json

Tolerance 0: exact. Every float is written in hexadecimal and compared bit by bit.

Trials are made by time_slice and time_shift around each event. Cases with "ours": a spike that is within rounding of the end
of a trial is in it if its time from the event is (Neo compares before it subtracts); a slice that is reversed is refused (Neo
makes a train that it refuses to make itself); an event whose trial the train does not cover is refused (Neo makes the trial shorter);
names are joined without those that are empty (Neo: "None") and with those that are part of another.
"""
import sys
import warnings

import neo
import numpy as np
import quantities as pq

from exact import Q, hexed, hexes, lines, pair, samples

warnings.simplefilter("ignore")
np.seterr(all="ignore")
rng = np.random.RandomState(285)
size = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
units = list(size)


def make(times, u, a, b, name=None):
    return neo.SpikeTrain(np.asarray(times, dtype=float), units=u, t_start=pq.Quantity(a, u), t_stop=pq.Quantity(b, u), name=name)


def out(t):
    u = t.units.dimensionality.string
    case = {"times": hexes(t.magnitude), "unit": u, "t_start": hexed(t.t_start.rescale(u).item()), "t_stop": hexed(t.t_stop.rescale(u).item())}
    if t.name:
        case["name"] = t.name
    return case


slices, merges, trials = [], [], []


def slice(name, t, start, stop, refuse=None, ours=None):
    case = {"name": name, "train": out(t)}
    if start:
        case["t_start"] = pair(start)
    if stop:
        case["t_stop"] = pair(stop)
    slices.append(case)
    if not ours:
        try:
            case["want"] = out(t.time_slice(Q(start), Q(stop)))
        except ValueError as e:
            assert refuse, (name, e)
            case["exception"] = type(e).__name__
    if refuse:
        assert "want" not in case, name
        case["refuse"] = refuse
    if ours:
        case["ours"] = ours


def merge(name, *trains, refuse=None, index=None, ours=None):
    case = {"name": name, "trains": [out(t) for t in trains]}
    merges.append(case)
    try:
        m = trains[0].merge(*trains[1:])
        if ours:
            m.name = ours
            case["ours"] = True
        case["want"] = out(m)
    except (neo.core.baseneo.MergeError, ValueError, IndexError) as e:
        assert refuse, (name, e)
        case["refuse"], case["exception"] = refuse, type(e).__name__
    assert not refuse or "want" not in case, name


def align(name, t, events, u, before, after, refuse=None, ours=None):
    case = {"name": name, "train": out(t), "events": hexes(events), "unit": u, "before": pair(before), "after": pair(after)}
    trials.append(case)
    if refuse:
        case["refuse"] = refuse
        return
    tu = t.units
    case["want"] = []
    for e in np.asarray(events) * pq.Quantity(1.0, u):
        e = e.rescale(tu)
        lo, hi = -Q(before).rescale(tu).item(), Q(after).rescale(tu).item()
        shifted = t.magnitude - e.item()
        inside = hexes(shifted[(lo <= shifted) & (shifted <= hi)])
        neos = t.time_slice(e - Q(before).rescale(tu), e + Q(after).rescale(tu)).time_shift(-e)
        if hexes(neos.magnitude) != inside:
            assert ours == "ends" and abs(len(neos) - len(inside)) <= 2, (name, e)
            case["ours"] = ours
        case["want"].append({"times": inside, "unit": tu.dimensionality.string, "t_start": hexed(lo + 0.0), "t_stop": hexed(hi)})


for k in range(24):
    u = units[k % 4]
    a = [0.0, -3.0, 5.0, 1234.5, 0.0][k % 5]
    d = [10.0, 1.0, 7.3, 100.0, 0.7][(k // 2) % 5]
    times = rng.uniform(a, a + d, size=rng.randint(0, 25))
    if k % 3:
        times.sort()
    t = make(times, u, a, a + d, name=[None, "7"][k % 2])
    w = units[(k + 1) % 4]
    lo, hi = a + d * rng.uniform(-0.1, 0.4), a + d * rng.uniform(0.5, 1.2)
    slice("random %d" % k, t, (lo, u), (hi, u))
    slice("random %d, other unit" % k, t, (lo * size[u] / size[w], w), (hi * size[u] / size[w], w))
    slice("random %d, open end" % k, t, (lo, u), None)
    slice("random %d, open start" % k, t, None, (hi, u))
    slice("random %d, whole" % k, t, None, None)
    if len(times):
        slice("random %d, at spikes" % k, t, (times.min(), u), (times.max(), u))
        slice("random %d, one point" % k, t, (times[0], u), (times[0], u))
    events = a + d * rng.uniform(0.3, 0.6, size=rng.randint(0, 7))
    v = units[(k // 2) % 4]
    align("random %d" % k, t, events, u, (0.25 * d, u), (0.4 * d, u))
    align("random %d, other units" % k, t, events * size[u] / size[v], v, (0.2 * d * size[u] / size[w], w), (0.3 * d, u))
    align("random %d, behind the event" % k, t, events, u, (-0.1 * d, u), (0.2 * d, u))
    align("random %d, before the event" % k, t, events, u, (0.2 * d, u), (-0.1 * d, u))
    others = [make(rng.uniform(a, a + d, size=n), u, a, a + d, name=str(i)) for i, n in enumerate((5, 0, 9))]
    merge("random %d" % k, make(times, u, a, a + d, name="a"), *others)
for u, per in (("s", 30000.0), ("ms", 30.0)):
    n = samples(9, 120)
    n -= n[0]
    t = make(n / per, u, 0.0, n[-1] / per)
    slice("30 kHz in " + u, t, (n[20] / per, u), (n[90] / per, u))
    align("30 kHz in " + u, t, n[30:90:4] / per, u, (n[10] / 30, "ms"), (n[8] / 30, "ms"), ours="ends")
    align("30 kHz in " + u + ", spikes at the ends", t, n[20:90:7] / per, u, ((n[20] - n[7]) / per, u), ((n[20] - n[9]) / per, u), ours="ends")
t = make(np.arange(11.0), "s", 0.0, 10.0)
align("all of it", t, [5.0], "s", (5.0, "s"), (5.0, "s"))
align("at the start", t, [0.0, 8.0], "s", (0.0, "s"), (2.0, "s"))
align("no events", t, [], "s", (1.0, "s"), (2.0, "s"))
align("events in another order", t, [7.0, 3.0, 7.0], "s", (1.0, "s"), (1500.0, "ms"))
align("within rounding of the start", t, [0.3], "s", (0.1 + 0.2, "s"), (1.0, "s"))
align("beyond the start", t, [5.0, 0.5], "s", (1.0, "s"), (1.0, "s"), refuse="interval")
align("beyond the stop", t, [5.0, 9.5], "s", (1.0, "s"), (1.0, "s"), refuse="interval")
align("an infinite event", t, [float("inf")], "s", (1.0, "s"), (1.0, "s"), refuse="interval")
align("an event that is no number", t, [1.0, float("nan")], "s", (1.0, "s"), (1.0, "s"), refuse="times")
align("no time at all", t, [1.0], "s", (1.0, "s"), (-1.0, "s"), refuse="interval")
align("reversed", t, [1.0], "s", (-2.0, "s"), (1.0, "s"), refuse="interval")
align("before not a number", t, [1.0], "s", (float("nan"), "s"), (1.0, "s"), refuse="interval")
align("events in V", t, [1.0], "V", (1.0, "s"), (1.0, "s"), refuse="dimension")
align("before in Hz", t, [1.0], "s", (1.0, "Hz"), (1.0, "s"), refuse="dimension")
align("after in mV", t, [1.0], "s", (1.0, "s"), (1.0, "mV"), refuse="dimension")

slice("outside, behind", t, (10.5, "s"), None, refuse="interval")
slice("outside, before", t, None, (-1.0, "ms"), refuse="interval")
slice("outside, touching", t, (10.0, "s"), (12.0, "s"))
slice("reversed", t, (5.0, "s"), (4.0, "s"), refuse="interval", ours="reversed")
slice("t_start in V", t, (1.0, "V"), None, refuse="dimension")
slice("t_stop in Hz", t, None, (1.0, "Hz"), refuse="dimension")

two = make([0.5, 1.5], "s", 0.0, 2.0)
merge("alone", two)
merge("with nothing", two, make([], "s", 0.0, 2.0))
merge("in other units", two, make([250.0, 1750.0], "ms", 0.0, 2000.0), make([1e6], "us", 0.0, 2e6))
merge("repeated times", two, make([1.5, 0.5, 0.5], "s", 0.0, 2.0))
merge("same names", make([0.5], "s", 0.0, 2.0, "a"), make([0.25], "s", 0.0, 2.0, "a"))
merge("one without name", make([0.5], "s", 0.0, 2.0, "a"), make([0.25], "s", 0.0, 2.0), ours="a")
merge("name within a name", make([0.5], "s", 0.0, 2.0, "10"), make([0.25], "s", 0.0, 2.0, "1"), ours="merge(10; 1)")
merge("t_start differs", two, two, make([1.0], "s", 0.5, 2.0), refuse="interval")
merge("t_stop differs", two, make([1.0], "s", 0.0, 2.5), refuse="interval")
merge("t_stop differs by rounding", make([0.5], "s", 0.0, 0.7), make([500.0], "ms", 0.0, 700.0), refuse="interval")

print("{")
print('"about": "made by align.py with neo %s, numpy %s, quantities %s",' % (neo.__version__, np.__version__, pq.__version__))
print('"tolerance": "0: exact",')
print(",\n".join(lines(n, x) for n, x in (("slices", slices), ("merges", merges), ("trials", trials))))
print("}")
print({n: len(x) for n, x in (("slices", slices), ("merges", merges), ("trials", trials))}, {"ours": sum("ours" in c for x in (slices, merges, trials) for c in x)}, file=sys.stderr)
