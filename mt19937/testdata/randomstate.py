"""Makes randomstate.json: what NumPy's legacy functions and Python's random draw, for the tests of package mt19937.

    pip install numpy==2.4.6
    python randomstate.py > randomstate.json   # made with Python 3.11

Tolerance 0: exact, but one ulp for exponentials, whose logarithm is the C library's.
"""
import json
import random

import numpy as np


def hexes(a):
    return [float(v).hex() for v in a]


def draws(state):
    """The first draws of each kind, in turn, and some after the state was renewed."""
    out = {
        "words": [int(v) for v in state.randint(0, 2**32, dtype=np.uint32, size=4)],
        "uint64": [str(v) for v in state.randint(0, 2**64, dtype=np.uint64, size=3)],
        "floats": hexes(state.random_sample(5)),
        "exponentials": hexes(state.standard_exponential(20)),
        "permutation": [int(v) for v in state.permutation(13)],
    }
    x = np.arange(300)
    state.shuffle(x)
    out["shuffled"] = [int(v) for v in x[:20]]
    out["sum"] = float(np.cumsum(state.random_sample(5000))[-1]).hex()
    out["last"] = state.random_sample().hex()
    return out


seeds = [{"seed": s, **draws(np.random.RandomState(s))} for s in (0, 1, 2, 28, 42, 1234567, 5489, 2**31, 2**32 - 1)]
keys = [{"key": k, **draws(np.random.RandomState(k))} for k in ([0], [28], [1, 2, 3], [2**32 - 1, 0], list(range(700)))]

python = []
for n in (0, 1, 28, -28, 2**32 - 1, 2**32 + 5, 2**100 + 3):
    r = random.Random(n)
    key, m = [], abs(n)
    while m:
        key.append(m % 2**32)
        m //= 2**32
    python.append({"seed": str(n), "key": key, "words": [r.getrandbits(32) for _ in range(3)], "floats": hexes(r.random() for _ in range(5))})

print("{")
print('"about": "made by randomstate.py with numpy %s",' % np.__version__)
print('"tolerance": "0: exact; exponentials 1 ulp",')
print(",\n".join(json.dumps(name) + ": [\n" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in items) + "\n]"
                 for name, items in (("seeds", seeds), ("keys", keys), ("python", python))))
print("}")
