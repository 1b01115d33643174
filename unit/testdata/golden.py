"""Makes golden.json: what the package quantities answers, for the tests of package unit.

    pip install quantities==0.16.4 numpy==2.4.6
    python golden.py > golden.json

Tolerance 0: exact. Every float is written in hexadecimal and compared bit by bit.
"""
import json
import sys

import numpy as np
import quantities as pq

times = ["s", "ms", "us", "ns", "ps", "min", "h", "d"]
rates = ["Hz", "kHz", "MHz"] + ["1/" + t for t in times]
values = [1.0, 8.9, 700.0, 0.1, 1 / 3, -2.5, 30000.0, 123456789.123, 5e-324, 1.7e308, 0.0, -0.0, float("nan"), float("inf")]


def hexed(v):
    v = float(v)
    return "nan" if np.isnan(v) else "inf" if v == np.inf else "-inf" if v == -np.inf else v.hex()


rescale = []
for group in (times, rates, ["V", "mV", "uV"]):
    for a in group:
        for b in group:
            q = pq.Quantity(values, a)
            rescale.append({"from": a, "to": b, "values": [hexed(v) for v in q.rescale(b).magnitude]})

inverse = []
for u in times + ["1/" + t for t in times]:
    q = 1.0 / pq.Quantity(0.7, u)
    inverse.append({"unit": u, "value": hexed(q.magnitude), "inverse": q.dimensionality.string})
for u, t in (("Hz", "s"), ("kHz", "ms"), ("MHz", "us")):
    q = (1.0 / pq.Quantity(0.7, u))
    assert q.rescale(t).magnitude == q.magnitude  # 1/kHz is ms, without a factor
    inverse.append({"unit": u, "value": hexed(q.magnitude), "inverse": t})

rng = np.random.RandomState(28)
numbers = values[1:] + [10.0, 100.0, 1e15, 9999999999999998.0, 1e16, 1.2345678901234567e16, 12345678901234567890.0, 1e22, 1e100, 0.001, 0.0001, 0.00012345, 0.0000999999,
                    1e-5, 1.5e-7, 0.1 + 0.2, -1e16, -1e-5, float("-inf"), 5e-324, 2.2250738585072014e-308, 1e-10, 123456.0]
numbers += list(rng.standard_normal(100) * 10.0 ** rng.randint(-20, 25, 100))
text = [{"value": hexed(v), "unit": u, "text": str(pq.Quantity(v, u))} for i, v in enumerate(numbers) for u in [(times + rates)[i % 19]]]

parse = []
for name in ["s", "sec", "second", "seconds", "ms", "millisecond", "milliseconds", "us", "microsecond", "microseconds", "ns", "nanosecond", "nanoseconds",
             "ps", "picosecond", "picoseconds", "min", "minute", "minutes", "h", "hr", "hour", "hours", "d", "day", "days", "Hz", "hertz", "kHz", "kilohertz", "MHz", "megahertz",
             "1/s", "s**-1", "s^-1", "1/ms", "ms**-1", "1/min", "min^-1", "V", "volt", "mV", "millivolt", "uV", "microvolt", "dimensionless"]:
    parse.append({"name": name, "unit": pq.Quantity(1.0, name).dimensionality.string})


def lines(name, items):
    return json.dumps(name) + ": [\n" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in items) + "\n]"


print("{")
print('"about": "made by golden.py with quantities %s, numpy %s",' % (pq.__version__, np.__version__))
print('"tolerance": "0: exact",')
print('"values": ' + json.dumps([hexed(v) for v in values]) + ",")
print(",\n".join(lines(n, x) for n, x in (("rescale", rescale), ("inverse", inverse), ("text", text), ("parse", parse))))
print("}")
print({n: len(x) for n, x in (("rescale", rescale), ("inverse", inverse), ("text", text), ("parse", parse))}, file=sys.stderr)
