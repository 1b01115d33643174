"""Makes generation.json: the trains that Elephant draws after numpy.random.seed, for the tests of package spike.

    pip install elephant==1.2.1 neo==0.14.6 numpy==2.4.6 quantities==0.16.4 scipy==1.17.1
    python generation.py > generation.json

Intervals are logarithms of the C library, which may differ from Go's in the last bit, and times are sums of them: the
tolerance is 2e-15 of the largest time, of t_start and t_stop. Cases under "exact" hold the uniform and
exponential numbers themselves, and are exact.

Elephant up to 1.2.1 has bugs that are not to be copied:
- With a refractory period and equilibrium it forgets t_start where the first spike comes after the dead time. Cases with
  t_start are made by the class Mended.
- A spike of a rate-modulated process beside the first or last operational time raises IndexError, or wraps around.
"""
import sys
import warnings

import elephant
import neo
import numpy as np
import quantities as pq
import scipy
from elephant.spike_train_generation import NonStationaryPoissonProcess, StationaryPoissonProcess

from exact import Q, hexed, hexes, lines, pair

warnings.simplefilter("ignore")


class Mended(StationaryPoissonProcess):
    """Adds t_start to the first spike where Elephant does not."""

    def _get_first_spike_equilibrium(self):
        if self.refractory_period is None:
            return super()._get_first_spike_equilibrium()
        u = np.random.random()
        if u <= self.rate * self.refractory_period:
            return u / self.rate + self._t_start
        return (np.log(1. - self.rate * self.refractory_period) - np.log(1. - u)) / self.effective_rate + self.refractory_period + self._t_start


class Recorder:
    """Stands in for numpy's global stream, and writes down what it draws."""

    def __init__(self, seed):
        self.state, self.uniform, self.exponential = np.random.RandomState(seed), [], []

    def random(self):
        v = self.state.random_sample()
        self.uniform.append(v)
        return v

    def standard_exponential(self, size=None):
        v = self.state.standard_exponential(size)
        self.exponential += list(np.ravel(v))
        return v


def train(t):
    """A train as it stands in the golden file: the number of spikes and, of many, every step-th."""
    step = 1 + len(t) // 30
    return {"n": len(t), "step": step, "times": hexes(t.magnitude[::step])}


def draw(case, process, seed, n):
    """Draws n trains in a row, and a number after them."""
    np.random.seed(seed)
    try:
        trains = process.generate_n_spiketrains(n)
    except IndexError:  # rounding at the ends, see above
        return False
    case.update(seed=seed, trains=[train(t) for t in trains], unit=trains[0].units.dimensionality.string,
                start=hexed(trains[0].t_start.magnitude), stop=hexed(trains[0].t_stop.magnitude), after=hexed(np.random.random()))
    return True


poisson = []
spikes = 0
grid = (
    ((20.0, "Hz"), None, None),
    ((50.0, "Hz"), (0.0, "s"), (1.0, "s")),
    ((0.02, "1/ms"), (0.0, "ms"), (700.0, "ms")),
    ((5.0, "Hz"), (5.0, "s"), (9000.0, "ms")),
    ((300.0, "1/min"), (-2.0, "s"), (0.1, "min")),
    ((0.3, "Hz"), (0.0, "s"), (1.0, "s")),
    ((1.0, "kHz"), (1e9, "s"), (1e9 + 0.05, "s")),
    ((3.0, "Hz"), (1e6, "s"), (1e6 + 10, "s")),
    ((100.0, "Hz"), (0.0, "us"), (2e5, "us")),
    ((0.0, "Hz"), (0.0, "s"), (1.0, "s")),
    ((400.0, "Hz"), (0.0, "s"), (10.0, "s")),
)
dead_times = (None, (3.0, "ms"), (0.0, "ms"), (0.0009, "s"))
for k, (rate, a, b) in enumerate(grid):
    for m, dead in enumerate(dead_times):
        if dead and rate == (1.0, "kHz"):
            dead = (dead[0] / 10, dead[1])
        if dead == (3.0, "ms") and rate == (400.0, "Hz"):
            dead = (2.0, "ms")
        for ordinary in (False, True):
            for s in range(2):
                case = {"name": f"{rate} from {a} to {b}, dead time {dead}, ordinary={ordinary}, {s}", "rate": pair(rate), "t_start": pair(a), "t_stop": pair(b),
                        "refractory": pair(dead), "ordinary": ordinary}
                kw = {key: Q(v) for key, v in (("t_start", a), ("t_stop", b)) if v is not None}
                process = Mended(Q(rate), refractory_period=Q(dead), equilibrium=not ordinary, **kw)
                case["cv"] = hexed(process.expected_cv)
                if rate != (0.0, "Hz") and a in (None, (0.0, "s"), (0.0, "ms"), (0.0, "us")):  # Mended is Elephant there
                    np.random.seed(99)
                    theirs = StationaryPoissonProcess(Q(rate), refractory_period=Q(dead), equilibrium=not ordinary, **kw).generate_spiketrain(as_array=True)
                    np.random.seed(99)
                    assert np.array_equal(theirs, process.generate_spiketrain(as_array=True))
                assert draw(case, process, 1000 * k + 10 * m + s, 1 if k == 10 else 3)
                poisson.append(case)

# The first block of intervals does not always reach the end: seeds for which another one follows.
found = 0
for seed in range(4000):
    np.random.seed(seed)
    process = StationaryPoissonProcess(1 * pq.Hz, t_stop=1 * pq.s)
    first = np.random.standard_exponential()
    if first < 1 and first + np.random.standard_exponential(4).sum() < 1:
        case = {"name": f"two blocks, {seed}", "rate": pair((1.0, "Hz")), "t_start": None, "t_stop": pair((1.0, "s")), "refractory": None, "ordinary": False, "cv": hexed(1)}
        assert draw(case, process, seed, 4)
        poisson.append(case)
        found += 1
assert found > 2, found

# The numbers drawn are given, so that nothing depends on a logarithm but the first spike after a dead time.
exact = []
for k, (rate, a, b) in enumerate(grid):
    if rate[0] in (0.0, 400.0):
        continue
    for dead in dead_times[:2]:
        if dead and rate == (1.0, "kHz"):
            dead = (0.3, "ms")
        for ordinary in (True, False):
            recorder = Recorder(k)
            kw = {key: Q(v) for key, v in (("t_start", a), ("t_stop", b)) if v is not None}
            process = Mended(Q(rate), refractory_period=Q(dead), equilibrium=not ordinary, **kw)
            process.isi_generator.dist._random_state = recorder
            np_random = np.random.random
            np.random.random = recorder.random
            trains = process.generate_n_spiketrains(2)
            np.random.random = np_random
            exact.append({"name": f"{rate} from {a} to {b}, dead time {dead}, ordinary={ordinary}", "rate": pair(rate), "t_start": pair(a), "t_stop": pair(b),
                          "refractory": pair(dead), "ordinary": ordinary, "uniform": hexes(recorder.uniform), "exponential": hexes(recorder.exponential),
                          "trains": [train(t) for t in trains]})
            assert len(recorder.exponential) >= 2

refused = []
for name, kw, refuse in (
        ("dead time as long as the interval", dict(rate=(100.0, "Hz"), refractory=(10.0, "ms")), "rate"),
        ("dead time longer than the interval", dict(rate=(100.0, "Hz"), refractory=(11.0, "ms")), "rate"),
        ("dead time a bare number", dict(rate=(10.0, "Hz"), refractory=(3.0, "dimensionless")), "dimension"),
        ("dead time a rate", dict(rate=(10.0, "Hz"), refractory=(3.0, "Hz")), "dimension"),
        ("dead time a voltage", dict(rate=(10.0, "Hz"), refractory=(3.0, "mV")), "dimension"),
):
    dead = kw["refractory"]
    try:
        StationaryPoissonProcess(Q(kw["rate"]), refractory_period=dead[0] if dead[1] == "dimensionless" else Q(dead))
    except Exception as e:
        refused.append({"name": name, "rate": pair(kw["rate"]), "refractory": pair(dead), "refuse": refuse, "exception": type(e).__name__})
    else:
        raise AssertionError(name)

# --- Rates that change in time -----------------------------------------------------

modulated = []
failed = 0
ramp = np.linspace(0, 60, 40)
sine = 30 + 25 * np.sin(np.arange(100) / 7.0)
burst = np.where(np.arange(50) % 10 < 3, 80.0, 2.0)
gaps = np.where(np.arange(50) % 10 < 5, 0.0, 40.0)
signals = (
    ("ramp", ramp, "Hz", (0.0, "s"), (40.0, "Hz")),
    ("sine", sine, "Hz", (0.0, "ms"), (100.0, "Hz")),
    ("sine in 1/ms", sine / 1000, "1/ms", (250.0, "ms"), (1.0, "1/ms")),
    ("sine in kHz", sine / 1000, "kHz", (-0.5, "s"), (0.1, "kHz")),
    ("bursts", burst, "1/s", (3.0, "s"), (20.0, "Hz")),
    ("gaps", gaps, "Hz", (0.0, "s"), (25.0, "Hz")),
    ("gaps, far from zero", gaps, "Hz", (1e9, "s"), (25.0, "Hz")),
    ("gaps at the end", gaps[::-1], "Hz", (0.0, "s"), (25.0, "Hz")),
    ("one sample", np.array([20.0]), "Hz", (1.0, "s"), (2.0, "Hz")),
    ("silent", np.zeros(10), "Hz", (0.0, "s"), (10.0, "Hz")),
    ("per minute", burst * 60, "1/min", (0.0, "s"), (33.0, "Hz")),
    ("long", 20 + 10 * np.cos(np.arange(777) / 50.0), "Hz", (0.0, "s"), (100.0, "Hz")),
)
for k, (name, v, u, a, r) in enumerate(signals):
    for m, dead in enumerate((None, (3.0, "ms"), (0.0, "ms"), (0.0009, "s"))):
        signal = neo.AnalogSignal(v.reshape(-1, 1), units=u, t_start=Q(a), sampling_rate=Q(r))
        process = NonStationaryPoissonProcess(signal, refractory_period=Q(dead))
        for s in range(3):
            case = {"name": f"{name}, dead time {dead}, {s}", "signal": k, "refractory": pair(dead)}
            if draw(case, process, 100 * k + 10 * m + s, 2):
                modulated.append(case)
            else:
                failed += 1
signals_out = [{"samples": hexes(v), "unit": u, "t_start": pair(a), "rate": pair(r)} for _, v, u, a, r in signals]

for name, v, u, a, r, dead, refuse in (
        ("no samples", [], "Hz", (0.0, "s"), (10.0, "Hz"), None, "signal"),
        ("a rate below 0", [1.0, -1.0], "Hz", (0.0, "s"), (10.0, "Hz"), None, "rate"),
        ("a rate nan", [1.0, float("nan")], "Hz", (0.0, "s"), (10.0, "Hz"), None, "rate"),
        ("a rate infinite", [1.0, float("inf")], "Hz", (0.0, "s"), (10.0, "Hz"), None, "rate"),
        ("two channels", [[1.0, 2.0], [1.0, 2.0]], "Hz", (0.0, "s"), (10.0, "Hz"), None, "signal"),
        ("a signal of voltages", [1.0, 2.0], "mV", (0.0, "s"), (10.0, "Hz"), None, "dimension"),
        ("dead time a bare number", [1.0, 2.0], "Hz", (0.0, "s"), (10.0, "Hz"), (3.0, "dimensionless"), "dimension"),
        ("dead time longer than an interval", [1.0, 200.0], "Hz", (0.0, "s"), (10.0, "Hz"), (6.0, "ms"), "rate"),
        ("dead time as long as an interval", [1.0, 256.0], "Hz", (0.0, "s"), (10.0, "Hz"), (1 / 256, "s"), "rate"),
):
    try:
        v = np.asarray(v)
        signal = neo.AnalogSignal(v.reshape(-1, 1) if v.ndim == 1 else v, units=u, t_start=Q(a), sampling_rate=Q(r))
        with np.errstate(all="ignore"):
            NonStationaryPoissonProcess(signal, refractory_period=None if dead is None else dead[0] if dead[1] == "dimensionless" else Q(dead)).generate_spiketrain()
    except Exception as e:
        signals_out.append({"samples": hexes(v), "channels": 1 if v.ndim == 1 else v.shape[1], "unit": u, "t_start": pair(a), "rate": pair(r)})
        modulated.append({"name": "refused: " + name, "signal": len(signals_out) - 1, "refractory": pair(dead), "refuse": refuse, "exception": type(e).__name__})
    else:
        raise AssertionError(name)


print("{")
print('"about": "made by generation.py with elephant %s, neo %s, numpy %s, quantities %s, scipy %s",' % (elephant.__version__, neo.__version__, np.__version__, pq.__version__, scipy.__version__))
print('"tolerance": "2e-15 of the largest time; exact: 0",')
print(",\n".join(lines(n, x) for n, x in (("poisson", poisson), ("exact", exact), ("refused", refused), ("signals", signals_out), ("modulated", modulated))))
print("}")
print({"poisson": len(poisson), "exact": len(exact), "refused": len(refused), "modulated": len(modulated), "failed in Elephant": failed}, file=sys.stderr)
