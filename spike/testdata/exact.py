"""What the golden scripts share: numbers written so that no bit is lost, quantities, and long trains in few words."""
import json

import numpy as np
import quantities as pq


def hexed(v):
    """A float in hexadecimal, "nan", "inf" or "-inf"."""
    v = float(v)
    return "nan" if np.isnan(v) else "inf" if v == np.inf else "-inf" if v == -np.inf else v.hex()


def hexes(a):
    return [hexed(v) for v in np.ravel(a)]


def quantity(q):
    """[value, unit], the unit as it prints; 1/Hz, the period of a rate in Hz, is s."""
    name = q.dimensionality.string
    return [hexed(q.magnitude), {"1/Hz": "s", "1/kHz": "ms", "1/MHz": "us"}.get(name, name)]


def Q(pair):
    """The quantity of a (value, unit), or None."""
    return None if pair is None else pq.Quantity(pair[0], pair[1])


def pair(p):
    """A (value, unit) as it stands in the golden file, or None."""
    return None if p is None else [hexed(p[0]), p[1]]


def samples(seed, n):
    """The numbers of n ascending samples, as the tests make them, so that long trains need no space."""
    out, x, at = np.empty(n), seed, 0
    for k in range(n):
        x = (1664525 * x + 1013904223) % 2**32
        at += 1 + (x >> 20)
        out[k] = at
    return out


def lines(name, items):
    """A member of a golden file, one item a line."""
    return json.dumps(name) + ": [\n" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in items) + "\n]"
