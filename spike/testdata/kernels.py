"""Makes kernels.json: what Elephant's kernels are.

    pip install elephant==1.2.1 neo==0.14.6 numpy==2.4.6 scipy==1.17.1 quantities==0.16.4
    python kernels.py > kernels.json

Tolerance: 0 for the densities of rectangular, triangular and Epanechnikov-like kernels; else 4e-15, relative or of 1
(CDF) or of sigma (quantiles), for exp, log and erf, of which libraries differ in the last bits. Quantiles of the
Epanechnikov-like kernel: 1e-12, since Elephant has roots of a polynomial; of the alpha kernel: 2e-7, the precision that
Elephant asks of its solver. Cases with "ours" are refused in Elephant or wrong there:

- The alpha kernel's solver starts at the fraction as a number of the unit of sigma and finds no root when sigma is far from 1
  there, nor for fractions next to 0: it is asked with sigma 1 and scaled, and left alone below 0.01.
- The alpha kernel's density is 0 * inf far from the spike, on the side where it is 0.
- The Epanechnikov-like kernel's polynomial has a double root at both ends.
"""
import sys
import warnings

import elephant
import numpy as np
import quantities as pq
import scipy
from elephant import kernels

from exact import Q, hexed, hexes, lines, pair

warnings.simplefilter("ignore")
np.seterr(all="ignore")
rng = np.random.RandomState(282)
shapes = {n.removesuffix("Kernel").lower(): getattr(kernels, n) for n in kernels.__all__}
size = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
cases, refused = [], []


def number(f):
    """The value of f(), a quantity or a number, or the kind of refusal."""
    try:
        v = f()
    except (TypeError, ValueError) as e:
        return {"refuse": "kernel", "exception": type(e).__name__}
    return {"value": hexed(getattr(v, "magnitude", v))}


for n, (shape, make) in enumerate(shapes.items()):
    for m, (sigma, u) in enumerate((((1.0, "s"), "s"), ((300.0, "ms"), "ms"), ((50.0, "ms"), "s"), ((0.0125, "s"), "us"), ((1 / 3, "min"), "s"), ((7e5, "us"), "min"))):
        for invert in (False, True) if shape in ("exponential", "alpha") or m == 0 else (False,):
            k = make(Q(sigma), invert=invert)
            s = sigma[0] * size[sigma[1]] / size[u]
            edge = k.min_cutoff * s
            times = np.concatenate([np.linspace(-6 * s, 6 * s, 13), rng.normal(0, s, 8), [0.0, -0.0, edge, -edge, np.nextafter(edge, 0), -np.nextafter(edge, 0), 1e3 * s]])
            if shape == "alpha":
                help = make(Q((1.0, sigma[1])), invert=invert)
                k.icdf = lambda fraction: help.icdf(fraction) * sigma[0]
                k.boundary_enclosing_area_fraction = lambda fraction: help.boundary_enclosing_area_fraction(fraction) * sigma[0]
            density = k(times * Q((1.0, u))).magnitude
            if shape == "alpha":
                density[(times < 0) != invert] = 0.0
            case = {
                "name": "%s sigma %g %s in %s%s" % (shape, *sigma, u, ", inverted" if invert else ""), "shape": shape, "sigma": pair(sigma), "invert": invert, "unit": u,
                "text": repr(k), "symmetric": k.is_symmetric(), "minCutoff": hexed(k.min_cutoff), "times": hexes(times),
                "density": hexes(density),
                "cdf": [number(lambda: k.cdf(t * Q((1.0, u)))) for t in times],
            }
            fractions = [0.0] + [1e-9] * (shape != "alpha") + [0.01, 0.1, 0.25, 0.4999, 0.5, 0.5001, 0.75, 0.9, 0.99, 0.999999, 1.0, -0.1, 1.1, float("nan")]
            if m >= 3:
                fractions = [0.1, 0.5, 0.9]
            case["fractions"] = hexes(fractions)
            case["icdf"], case["boundary"] = [], []
            for f in fractions:
                v, b = number(lambda: k.icdf(f)), number(lambda: k.boundary_enclosing_area_fraction(f))
                if shape == "epanechnikovlike":
                    if f in (0.0, 1.0):
                        v = {"value": hexed((2 * f - 1) * np.sqrt(5) * sigma[0]), "ours": True}
                        b = {"value": hexed(f * np.sqrt(5) * sigma[0]), "ours": True}
                    elif np.isnan(f):
                        v = b = {"refuse": "kernel", "ours": True}
                if shape == "alpha" and f == 0.0:
                    v, b = {"value": hexed(-np.inf if invert else 0.0), "ours": True}, {"value": hexed(0.0), "ours": True}
                case["icdf"].append(v)
                case["boundary"].append(b)
            case["medians"] = []
            for t in ([0.0], [-s, s], [0.0, 0.0, 0.0], np.linspace(-6 * s, 6 * s, 25), np.linspace(-2 * s, 6 * s, 40), np.linspace(-6 * s, 2 * s, 40),
                      np.linspace(-60 * s, -50 * s, 11), np.sort(rng.normal(0, s, 30)), [], [0.0, 2.0, 1.0]):
                t = np.asarray(t)
                median = {"times": hexes(t)}
                try:
                    median["index"] = int(k.median_index(t * Q((1.0, u))))
                except (TypeError, ValueError, IndexError) as e:
                    median["refuse"], median["exception"] = "kernel", type(e).__name__
                case["medians"].append(median)
            cases.append(case)

for name, sigma, refuse in (("negative", (-1.0, "s"), "kernel"), ("zero", (0.0, "s"), "kernel"), ("not a number", (float("nan"), "s"), "kernel"),
                            ("infinite", (float("inf"), "s"), "kernel"), ("voltage", (1.0, "mV"), "dimension"), ("rate", (1.0, "Hz"), "dimension")):
    for shape, make in shapes.items():
        try:
            k = make(Q(sigma))
            v = k(np.array([0.0, 0.1]) * pq.s).magnitude
            # A width of zero or none gives no density.
            assert not np.isfinite(v).all() or not v.any() or name == "infinite", (name, shape, v)
            exception = None
        except (TypeError, ValueError) as e:
            exception = type(e).__name__
        refused.append({"name": shape + ", sigma " + name, "shape": shape, "sigma": pair(sigma), "refuse": refuse, "exception": exception})

print("{")
print('"about": "made by kernels.py with elephant %s, numpy %s, scipy %s, quantities %s",' % (elephant.__version__, np.__version__, scipy.__version__, pq.__version__))
print(",\n".join(lines(n, x) for n, x in (("kernels", cases), ("refused", refused))))
print("}")
print({"kernels": len(cases), "densities": sum(len(c["times"]) for c in cases), "quantiles": 2 * sum(len(c["fractions"]) for c in cases), "medians": sum(len(c["medians"]) for c in cases), "refused": len(refused)}, file=sys.stderr)
