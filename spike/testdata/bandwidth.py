"""Makes bandwidth.json: what Elephant's optimal_kernel_bandwidth answers.

    pip install elephant==1.2.1 neo==0.14.6 numpy==2.4.6 scipy==1.17.1 quantities==0.16.4
    python bandwidth.py > bandwidth.json

Tolerance: 1e-9 relative for widths, since log(exp(w) - 1) of a small w loses digits, in which libraries differ; costs and
densities, of the largest one, 1e-7, since the search gives them at these widths. Times are exact.

Cases with "ours": unsorted spikes, of which Elephant takes the ascending intervals only, are asked for sorted; times that do
not ascend and widths of no use are refused, where Elephant answers something or runs out of memory.
"""
import sys
import warnings

import elephant
import numpy as np
import scipy
from elephant.statistics import optimal_kernel_bandwidth

from exact import hexed, hexes, lines, samples

warnings.simplefilter("ignore")
np.seterr(all="ignore")
rng = np.random.RandomState(284)
cases = []


def bandwidth(name, spikes, unit="s", times=None, widths=None, refuse=None, ours=None, stride=1):
    spikes = np.asarray(spikes, dtype=float)
    case = {"name": name, "spikes": hexes(spikes), "unit": unit}
    if times is not None:
        case["times"] = hexes(times)
    if widths is not None:
        case["widths"] = hexes(widths)
    if ours:
        case["ours"] = ours
    cases.append(case)
    if refuse and ours:
        case["refuse"] = refuse
        return
    try:
        r = optimal_kernel_bandwidth(np.sort(spikes) if ours else spikes, times=None if times is None else np.array(times), bandwidth=None if widths is None else np.array(widths))
        if r["optw"] is None or np.isnan(r["optw"]):
            raise ValueError("no bandwidth")
    except (ValueError, IndexError) as e:
        assert refuse, (name, e)
        case["refuse"], case["exception"] = refuse, type(e).__name__
        return
    assert not refuse, (name, r["optw"])
    n = len(r["w"]) if widths is not None else np.count_nonzero(r["w"])
    case.update(sigma=hexed(r["optw"]), examined=hexes(r["w"][:n]), costs=hexes(r["C"][:n]), n=len(r["t"]), stride=stride, at=hexes(r["t"][::stride]), density=[float("%.15g" % v) for v in r["y"][::stride]], max=hexed(r["y"].max()))


for k in range(24):
    unit, d, a = [("s", 10.0, 0.0), ("ms", 800.0, 0.0), ("s", 300.0, 1000.0), ("us", 5e5, 0.0), ("min", 2.0, -1.0)][k % 5]
    spikes = np.sort(a + d * [rng.uniform(size=20), rng.beta(2, 5, size=60), rng.beta(0.5, 0.5, size=150), (rng.normal(size=40) * 0.05 + rng.randint(1, 4, size=40)) / 5][k % 4])
    bandwidth("random %d" % k, spikes, unit, stride=37)
    bandwidth("random %d, given times" % k, spikes, unit, times=np.linspace(a, a + d, [100, 37, 1500][k % 3]), stride=37)
    bandwidth("random %d, given widths" % k, spikes, unit, widths=d * np.array([0.3, 0.01, 0.05, 0.1, 0.05, 2.0, 0.002]), stride=37)
    if k % 3 == 0:
        bandwidth("random %d, narrow times and widths" % k, spikes, unit, times=np.linspace(a + d / 4, a + d / 2, 50), widths=d * np.array([0.01, 0.1]))
        bandwidth("random %d, unsorted" % k, rng.permutation(spikes), unit, stride=37, ours="unsorted")
for k in range(6):
    n = 15 + 20 * k
    bandwidth("30 kHz samples %d" % k, samples(k + 1, n) / 30, "ms", stride=37)
    bandwidth("30 kHz samples %d in s" % k, samples(k + 1, n) / 30000, stride=37)
bandwidth("repeated times", np.sort(np.concatenate([np.arange(12.0), np.arange(6.0), [3.5, 3.5]])))
bandwidth("regular", np.arange(0, 10, 0.5))
bandwidth("three spikes", [1.0, 2.0, 4.0], refuse="few")
bandwidth("Elephant's example", [0.3, 4.5, 6.7, 9.3])
bandwidth("long rests", np.concatenate([np.arange(0, 1, 0.1), 50 + np.arange(0, 1, 0.1), [200.0]]))

bandwidth("no spikes", [], refuse="few")
bandwidth("one spike", [1.0], refuse="few")
bandwidth("one time", [1.0, 1.0, 1.0], refuse="few")
bandwidth("two spikes", [1.0, 2.0], refuse="few")
bandwidth("no spikes among the times", [1.0, 2.0, 3.0], times=[5.0, 6.0, 7.0], refuse="few")
bandwidth("one spike among the times", [1.0, 2.0, 5.5], times=[5.0, 6.0, 7.0], refuse="few")
bandwidth("no widths", [1.0, 2.0, 4.5, 5.0], widths=[], refuse="few")
bandwidth("no times", [1.0, 2.0, 4.0], times=[], refuse="kernel", ours="times")
bandwidth("one point", [1.0, 2.0, 4.0], times=[2.0], refuse="kernel", ours="times")
bandwidth("times that fall", [1.0, 2.0, 4.0], times=[1.0, 3.0, 2.0], refuse="kernel", ours="times")
bandwidth("times that repeat", [1.0, 2.0, 4.0], times=[1.0, 2.0, 2.0, 4.0], refuse="kernel", ours="times")
bandwidth("times not a number", [1.0, 2.0, 4.0], times=[1.0, float("nan"), 4.0], refuse="kernel", ours="times")
bandwidth("times infinite", [1.0, 2.0, 4.0], times=[1.0, 2.0, float("inf")], refuse="kernel", ours="times")
for name, w in (("zero", 0.0), ("negative", -1.0), ("not a number", float("nan")), ("infinite", float("inf")), ("huge", 1e12)):
    bandwidth("width " + name, [1.0, 2.0, 4.0], widths=[1.0, w], refuse="kernel", ours="widths")

print("{")
print('"about": "made by bandwidth.py with elephant %s, numpy %s, scipy %s",' % (elephant.__version__, np.__version__, scipy.__version__))
print(lines("bandwidths", cases))
print("}")
print({"bandwidths": len(cases), "refused": sum("refuse" in c for c in cases)}, file=sys.stderr)
