"""What the golden scripts share: numbers written so that no bit is lost, and quantities."""
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
