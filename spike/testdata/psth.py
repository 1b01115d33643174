"""Makes psth.json: the rate over trials of Elephant's time_histogram, and its standard error by SciPy.

    pip install elephant==1.2.1 neo==0.14.6 numpy==2.4.6 scipy==1.17.1 quantities==0.16.4
    python psth.py > psth.json

Tolerance 0 for the rate and all that comes with it: exact. Standard errors: 1e-14 relative, since SciPy takes the
mean of rounded rates and package spike sums whole counts.

Each standard error is scipy.stats.sem over time_histogram(trial, output="rate") of each trial.
"""
import logging
import sys
import warnings

import elephant
import neo
import numpy as np
import quantities as pq
import scipy
from elephant.statistics import time_histogram

from exact import Q, hexed, hexes, lines, pair, quantity, samples

warnings.simplefilter("ignore")
np.seterr(all="ignore")
logging.disable(logging.CRITICAL)
rng = np.random.RandomState(286)
size = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
units = list(size)
cases = []


def psth(name, trials, bin, t_start=None, t_stop=None, refuse=None):
    st = [neo.SpikeTrain(np.asarray(t, dtype=float), units=u, t_start=pq.Quantity(a, u), t_stop=pq.Quantity(b, u)) for t, u, a, b in trials]
    case = {"name": name, "trains": [{"times": hexes(t), "unit": u, "t_start": hexed(a), "t_stop": hexed(b)} for t, u, a, b in trials], "bin": pair(bin)}
    if t_start:
        case["t_start"] = pair(t_start)
    if t_stop:
        case["t_stop"] = pair(t_stop)
    cases.append(case)
    try:
        kw = dict(t_start=Q(t_start), t_stop=Q(t_stop), output="rate")
        h = time_histogram(st, Q(bin), **kw)
    except (TypeError, ValueError, ZeroDivisionError, IndexError) as e:
        assert refuse, (name, e)
        case["refuse"], case["exception"] = refuse, type(e).__name__
        return
    assert not refuse, name
    kw.update(t_start=Q(t_start) if t_start else st[0].t_start, t_stop=Q(t_stop) if t_stop else st[0].t_stop)  # the same bins for each
    rates = np.array([time_histogram([s], Q(bin), **kw).magnitude.ravel() for s in st])
    case.update(values=hexes(h.magnitude), sem=hexes(scipy.stats.sem(rates, axis=0)), unit=h.units.dimensionality.string, start=quantity(h.t_start), rate=quantity(h.sampling_rate))


for k in range(40):
    u = units[k % 4]
    a = [0.0, -0.5, 5.0, -3.0, 0.0][k % 5]
    d = [1.0, 10.0, 7.3, 0.7][(k // 4) % 4]
    trials = [(rng.uniform(a, a + d, size=rng.randint(0, 30)), u, a, a + d) for _ in range(1 + k % 7)]
    v = units[(k // 3) % 4]
    psth("random %d" % k, trials, (d / 12 * size[u] / size[v], v))
    psth("random %d, window" % k, trials, (d / 20, u), t_start=(a + d / 4, u), t_stop=((a + d / 1.5) * size[u] / size[v], v))
for u, per in (("s", 30000.0), ("ms", 30.0)):
    trials = []
    for k in range(5):
        n = samples(k + 20, 60)
        trials.append((n[n < 30000] / per - 10000 / per, u, -10000 / per, 20000 / per))
    psth("30 kHz in " + u, trials, (50.0, "ms"))
    psth("30 kHz in %s, fine" % u, trials, (1 / 3, "ms"), t_start=(0.0, "s"), t_stop=(40.0, "ms"))
same = ([0.25, 0.75], "s", 0.0, 1.0)
psth("the same trials", [same] * 4, (0.25, "s"))
psth("one trial", [same], (0.25, "s"))
psth("silent trials", [([], "s", 0.0, 1.0)] * 3, (0.25, "s"))
psth("one silent trial", [same, ([], "s", 0.0, 1.0)], (0.25, "s"))
psth("many spikes in a bin", [(np.full(300, 0.1), "s", 0.0, 1.0), (np.full(299, 0.1), "s", 0.0, 1.0)], (0.25, "s"))
other = ([0.25, 0.75], "s", 0.0, 2.0)
psth("t_stop differs, given", [same, other], (0.25, "s"), t_stop=(1.0, "s"))
psth("no trials", [], (0.25, "s"), refuse="trains")
psth("t_stop differs", [same, other], (0.25, "s"), refuse="interval")
psth("window beyond the trials", [same, same], (0.25, "s"), t_stop=(1.5, "s"), refuse="interval")
psth("window reversed", [same, same], (0.25, "s"), t_start=(0.75, "s"), t_stop=(0.25, "s"), refuse="interval")
psth("units differ", [same, ([250.0], "ms", 0.0, 1000.0)], (0.25, "s"), refuse="mixed")
psth("bin zero", [same, same], (0.0, "s"), refuse="bin")
psth("bin negative", [same, same], (-0.1, "s"), refuse="bin")
psth("bin too long", [same, same], (1.5, "s"), refuse="bin")
psth("bin a rate", [same, same], (0.1, "Hz"), refuse="dimension")
psth("t_start a voltage", [same, same], (0.1, "s"), t_start=(0.1, "V"), refuse="dimension")

print("{")
print('"about": "made by psth.py with elephant %s, neo %s, numpy %s, scipy %s, quantities %s",' % (elephant.__version__, neo.__version__, np.__version__, scipy.__version__, pq.__version__))
print(lines("psths", cases))
print("}")
print({"psths": len(cases), "refused": sum("refuse" in c for c in cases)}, file=sys.stderr)
