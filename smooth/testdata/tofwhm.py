"""The method of 3dBlurToFWHM, written plainly, to compare with and to make more cases.

    pip install numpy==2.4.6 scipy==1.17.1
    python tofwhm.py check     # against the outputs of AFNI 26.2.03 in manifest.json
    python tofwhm.py make      # writes more/

Everything is float64 but the volumes, which are rounded to float32 after each step, as
AFNI stores them. Neighbourhoods are summed offset by offset. Nothing here is fast.

more/cases.json has cases that the golden files of AFNI and of SciPy as nilearn uses it do
not have. Kind "to-fwhm" is of the function below (tolerances as for AFNI: 5e-5 of the
maximum, equal rounds, estimates within 1e-3 mm; by its check it agrees with AFNI), kind
"gaussian" of SciPy (2e-6 of the maximum). All share one input, more/input.i16.gz: 45 volumes
of 1320 values, int16 to be halved, x fastest, given different shapes and voxel sizes;
"bad" lists values that are replaced by NaN, and by infinity. more/NAME.f32.gz has the
"kept" volumes of the result.
"""
import gzip
import json
import math
import os
import struct
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
INPUTS = os.path.join(HERE, "../../nifti/testdata/reference")
K = 2.35482


def read_nifti(path):
    """Values as float32 (v, z, y, x), and voxel sizes in mm."""
    folder = INPUTS if path.startswith("inputs/") else HERE
    raw = open(os.path.join(folder, path), "rb").read()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    e = "<" if raw[0] else ">"
    dim = struct.unpack(e + "8h", raw[40:56])
    pixdim = struct.unpack(e + "8f", raw[76:108])
    kind = struct.unpack(e + "h", raw[70:72])[0]
    offset, slope, inter = struct.unpack(e + "3f", raw[108:120])
    t = {2: "u1", 4: "i2", 8: "i4", 16: "f4"}[kind]
    n = int(np.prod(dim[1:dim[0] + 1]))
    v = np.frombuffer(raw, e + t, n, int(offset)).astype(np.float64)
    if slope != 0 and np.isfinite(slope) and np.isfinite(inter):
        v = v * slope + inter
    shape = (list(dim[1:dim[0] + 1]) + [1, 1, 1])[:3]
    v = v.astype(np.float32).reshape((-1, shape[2], shape[1], shape[0]))
    return v, np.abs(np.array(pixdim[1:4], dtype=np.float64))


AXIS = {0: 3, 1: 2, 2: 1}  # x, y, z in arrays (v, z, y, x)


def differences(u, mask, a):
    """Forward differences along axis a, and where both ends are in the mask."""
    d = np.zeros(u.shape)
    m = np.zeros(mask.shape, bool)
    lo = [slice(None)] * 4
    hi = [slice(None)] * 4
    lo[AXIS[a]], hi[AXIS[a]] = slice(None, -1), slice(1, None)
    d[tuple(lo)] = u[tuple(hi)] - u[tuple(lo)]
    m[tuple(lo[1:])] = mask[tuple(hi[1:])] & mask[tuple(lo[1:])]
    return d * m, m


def width(v, vx, n, d):
    """FWHM from variances, -1 where there is none."""
    with np.errstate(all="ignore"):
        r = 1 - 0.5 * vx / v
        f = K * d * np.sqrt(-1 / (4 * np.log(r)))
    return np.where((n >= 6) & (v > 0) & (vx > 0) & (r > 0) & (r < 1), f, -1.0)


def variance(values):
    return values.var(ddof=1) if values.size > 1 else 0.0


def estimate(u, mask, voxel, axes):
    """FWHM (volume, axis)."""
    u = u.astype(np.float64)
    out = -np.ones((len(u), 3))
    for i, vol in enumerate(u):
        v = variance(vol[mask])
        for a in range(axes):
            d, m = differences(vol[None], mask, a)
            n = int(m.sum())
            out[i, a] = width(v, variance(d[0][m]), n, voxel[a]) if n >= 6 else -1
    return out


def mean_valid(f, voxel, axes):
    out = np.zeros(3)
    for a in range(axes):
        ok = f[:, a] > 0
        out[a] = f[ok, a].mean() if ok.any() else voxel[a]
    return out


def ball(axes):
    r, z = (4, 4) if axes == 3 else (6, 0)
    return [(k, j, i) for k in range(-z, z + 1) for j in range(-r, r + 1) for i in range(-r, r + 1) if i * i + j * j + k * k <= r * r]


def around(values, offsets):
    """Sums over the neighbourhood of each voxel; the last three axes are z, y, x."""
    r = max(abs(o) for o in np.ravel(offsets))
    p = np.pad(values, [(0, 0)] * (values.ndim - 3) + [(r, r)] * 3)
    out = np.zeros(values.shape)
    nz, ny, nx = values.shape[-3:]
    for k, j, i in offsets:
        out += p[..., r + k:r + k + nz, r + j:r + j + ny, r + i:r + i + nx]
    return out


def local(u, mask, active, voxel, axes, offsets):
    """Mean over volumes of the local FWHM: (axis, z, y, x), 0 where there is none."""
    u = u.astype(np.float64) * mask
    n = around(mask.astype(np.float64), offsets)
    with np.errstate(all="ignore"):
        v = (around(u * u, offsets) - around(u, offsets) ** 2 / n) / (n - 1)
    out = np.zeros((3,) + mask.shape)
    for a in range(axes):
        d, m = differences(u, mask, a)
        nd = around(m.astype(np.float64), offsets)
        with np.errstate(all="ignore"):
            vd = (around(d * d, offsets) - around(d, offsets) ** 2 / nd) / (nd - 1)
        f = width(v, vd, nd[None], voxel[a])
        ok = f > 0
        count = ok.sum(axis=0)
        out[a] = np.where(count > 0, np.where(ok, f, 0).sum(axis=0) / np.maximum(count, 1), 0)
    return out * active


def step(u, c, mask):
    """One diffusion step of float32 volumes."""
    x = u.astype(np.float64)
    out = x.copy()
    for a in range(3):
        d, m = differences(x, mask, a)
        ca = c[a]
        w = np.zeros(mask.shape)
        lo = [slice(None)] * 3
        hi = [slice(None)] * 3
        lo[AXIS[a] - 1], hi[AXIS[a] - 1] = slice(None, -1), slice(1, None)
        w[tuple(lo)] = ca[tuple(lo)] + ca[tuple(hi)]
        flow = w * m * d
        out += flow
        l4, h4 = [slice(None)] + lo, [slice(None)] + hi
        out[tuple(h4)] -= flow[tuple(l4)]
    return (out * mask).astype(np.float32)


def make_master(u, mask, no_detrend, use):
    """Detrended volumes that are used, and the mask without constant voxels."""
    nt = len(u)
    if nt == 1:
        return u * mask, mask
    q = nt // 30
    if no_detrend or not all(v.any() for v in u):
        q = 0
    x = u.astype(np.float64)
    if q > 0:
        t = np.linspace(-1, 1, nt)
        k = np.arange(nt)
        cols = [t ** 0, t, t * t]
        for i in range(1, q + 1):
            cols += [np.cos(2 * np.pi * i * k / nt), np.sin(2 * np.pi * i * k / nt)]
        b = np.array(cols).T
        flat = x.reshape(nt, -1)
        res = flat - b @ np.linalg.lstsq(b, flat, rcond=None)[0]
        sd = res.std(axis=0, ddof=1)
        still = np.ptp(flat, axis=0) == 0
        sd[still] = 1
        res[:, still] = 0
        x = (res / sd).reshape(x.shape)
        mask = mask & ~still.reshape(mask.shape)
    else:
        med = np.median(x, axis=0)
        mad = np.median(np.abs(x - med), axis=0)
        mask = mask & (mad > 0)
        x = x - med
    if use is None:
        m = nt
    elif use == "uniform":
        m = min(nt, 32)
    else:
        m = min(nt, max(2, math.ceil(10000 / use)))
    s = nt // m
    first = (nt - 1 - s * (m - 1)) // 2
    return (x[first:first + s * m:s] * mask).astype(np.float32), mask


def to_fwhm(data, voxel, goal, mask=None, master=None, two_d=False, rate=1.0, maxite=None, no_detrend=False, uniform=False, all_volumes=False):
    data = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
    master = data if master is None else np.nan_to_num(master, nan=0.0, posinf=0.0, neginf=0.0)
    axes = 2 if two_d or data.shape[1] == 1 else 3
    if mask is None:
        mask = np.ones(data.shape[1:], bool)
    offsets = ball(axes)
    use = None if all_volumes else "uniform" if uniform else len(offsets)
    bm, mask = make_master(master, mask, no_detrend, use)
    u = data * mask
    limit = maxite or max(66, int(66.6 * goal / np.prod(voxel[:axes]) ** (1 / axes)))
    dmin = min(voxel[:axes])
    active = mask.copy()
    rate = 0.05 * rate
    rounds, reason, count, last = [], "limit", 0, None
    for ite in range(1, limit + 1):
        f = mean_valid(estimate(bm, mask, voxel, axes), voxel, axes)
        mean = float(np.prod(f[:axes]) ** (1 / axes))
        rounds.append([float(v) for v in f[:axes]] + [mean])
        if mean >= goal:
            reason = "reached" if ite > 1 else "smoother"
            break
        if ite >= 4:
            count = count + 1 if all(f[a] < last[a] for a in range(axes)) else 0
            if count == 3:
                reason = "sluggish"
                break
        done = [f[a] >= goal for a in range(axes)]
        if not any(done):
            for a in reversed(range(axes)):
                if f[a] >= 0.95 * goal and all(f[a] > 1.01 * f[b] for b in range(axes) if b != a):
                    done[a] = True
                    break
        if ite > 1:
            shrink = 1.0
            for a in range(axes):
                grown = f[a] - last[a]
                if not done[a] and grown > 0:
                    shrink = min(shrink, 0.2 * goal / grown)
            rate *= max(0.123, shrink)
        m = np.zeros(3)
        for a in range(axes):
            if done[a]:
                continue
            m[a] = rate / axes * (dmin / voxel[a]) ** 2
            if f[a] >= 0.8 * goal:
                factor = max(0.09, math.sqrt(max(0, (goal - f[a]) / (0.2 * goal)))) if ite > 1 else 0.123
                if factor < 0.999:
                    m[a] *= factor
        last = f
        c = np.zeros((3,) + mask.shape)
        if uniform:
            for a in range(axes):
                c[a] = m[a] * mask
        else:
            loc = local(bm, mask, active, voxel, axes, offsets)
            for a in range(axes):
                g = goal - 0.011 * voxel[a]
                h = 0.8 * g
                c[a] = np.where(loc[a] <= 0, 0, m[a] * np.clip((g - loc[a]) / (g - h), 0, 1)) * active
            active &= (c > 0).any(axis=0)
            c *= active
            if not active.any():
                reason = "all done"
                break
        bm = step(bm, c, mask)
        u = step(u, c, mask)
    return u, rounds, reason, int(mask.sum())


def check():
    manifest = json.load(open(os.path.join(HERE, "manifest.json")))
    for c in manifest["cases"]:
        if c["kind"] != "afni_to_fwhm" or (len(sys.argv) > 2 and c["id"] not in sys.argv[2:]):
            continue
        data, voxel = read_nifti(c["input"])
        want, _ = read_nifti(c["expected"])
        mask = read_nifti(c["mask"])[0][0] != 0 if c["mask"] else None
        words = c["tool"].split()
        rate = float(words[words.index("-rate") + 1]) if "-rate" in words else 1.0
        got, rounds, reason, _ = to_fwhm(data, voxel, c["goal_mm"], mask, two_d=c["two_d"], rate=rate, no_detrend="-nodetrend" in words)
        err = float(np.abs(got.astype(float) - want).max() / np.abs(want).max())
        n = min(len(rounds), len(c["estimates"]))
        off = max(abs(a - b) for r, e in zip(rounds, c["estimates"]) for a, b in zip(r, e))
        print(c["id"], c["tool"], "| rounds", len(rounds), c["iterations"], "| worst", "%.2g" % err, "| estimates %.2g mm" % off, "|", reason, flush=True)


VALUES, VOLUMES = 1320, 45


def make_input():
    """Noise with a little smoothness on a structure, and voxels that do not change, or seldom."""
    from scipy.ndimage import gaussian_filter
    rng = np.random.RandomState(4711)
    noise = rng.standard_normal((VOLUMES, 10, 11, 12))
    noise = np.array([gaussian_filter(v, 0.5) for v in noise])
    z, y, x = np.mgrid[:10, :11, :12]
    structure = 900 + 200 * np.sin(x / 3.0) * np.cos(y / 4.0) + 20.0 * z
    t = np.arange(VOLUMES)[:, None, None, None]
    v = structure + 60 * noise + 3 * (t - 20) + 30 * np.sin(t / 4.0)
    v[:, 2, 3, 4:9] = 800
    v[:, 7, 5, 2] = 700
    v[9:, 6, 6, 6] = 650
    return np.round(2 * v).astype("<i2").reshape(VOLUMES, VALUES)


def smooth(v, voxel, fwhm):
    from scipy.ndimage import gaussian_filter1d
    for a in range(3):
        if fwhm[a]:
            v = gaussian_filter1d(v, fwhm[a] / (math.sqrt(8 * math.log(2)) * voxel[a]), axis=2 - a, output=np.float32, mode="reflect", truncate=4.0)
    return v


def make():
    cube, flat, pair = [12, 11, 10], [33, 40, 1], [30, 22, 2]
    fwhm = [
        dict(name="anisotropic", shape=cube, voxel=[2, 3, 4.5], volumes=[0, 12], goal=6.5, kept=[0, 11]),
        dict(name="mask", shape=cube, voxel=[3, 3, 3.5], volumes=[0, 20], goal=7, mask=True, kept=[0, 19]),
        dict(name="two-volumes", shape=cube, voxel=[3, 3, 3], volumes=[0, 2], goal=6, kept=[0, 1]),
        dict(name="few-volumes", shape=cube, voxel=[3, 3, 3], volumes=[7, 12], goal=6, kept=[0, 4]),
        dict(name="detrended", shape=cube, voxel=[3, 3, 3.5], volumes=[0, 35], goal=6, kept=[0, 34]),
        dict(name="detrended-mask", shape=cube, voxel=[2, 2, 3], volumes=[0, 45], goal=5, mask=True, kept=[22]),
        dict(name="empty-volume", shape=cube, voxel=[3, 3, 3], volumes=[0, 33], goal=6, empty=5, kept=[0, 5]),
        dict(name="master", shape=cube, voxel=[3, 3, 3], volumes=[0, 3], master=[3, 43], goal=6, kept=[0, 1, 2]),
        dict(name="uniform", shape=cube, voxel=[3, 3, 4], volumes=[0, 45], goal=6, uniform=True, kept=[3]),
        dict(name="all-volumes", shape=cube, voxel=[3, 3, 3], volumes=[0, 41], goal=6, all_volumes=True, kept=[40]),
        dict(name="no-detrend", shape=cube, voxel=[3, 3, 3], volumes=[0, 40], goal=6, no_detrend=True, kept=[1]),
        dict(name="limit", shape=cube, voxel=[3, 3, 3], volumes=[0, 10], goal=9, maxite=5, kept=[0]),
        dict(name="fast", shape=cube, voxel=[3, 3, 3], volumes=[0, 10], goal=6, rate=3, kept=[0]),
        dict(name="slow-mask", shape=cube, voxel=[3, 2.5, 3], volumes=[0, 10], goal=4, rate=0.3, mask=True, kept=[0]),
        dict(name="near", shape=cube, voxel=[3, 3, 3], volumes=[0, 40], goal=3.2, kept=[0]),
        dict(name="in-plane", shape=cube, voxel=[3, 2.5, 5], volumes=[0, 12], goal=6, two_d=True, kept=[0, 11]),
        dict(name="in-plane-mask", shape=cube, voxel=[3, 3, 2], volumes=[0, 33], goal=7, two_d=True, mask=True, kept=[0]),
        dict(name="one-plane", shape=flat, voxel=[3, 3, 5], volumes=[0, 14], goal=8, kept=[0, 13]),
        dict(name="two-planes", shape=pair, voxel=[3, 3, 4], volumes=[0, 14], goal=6, kept=[0]),
        dict(name="not-finite", shape=cube, voxel=[3, 3, 3], volumes=[0, 6], goal=6, bad=[5, 700, 1320, 3000, 3001], kept=[0, 1, 2]),
    ]
    plain = [
        dict(name="per-axis", shape=cube, voxel=[2, 3, 4.5], fwhm=[3, 0, 7.5]),
        dict(name="narrow", shape=cube, voxel=[3, 3, 3], fwhm=[0.4, 0.9, 1.1]),
        dict(name="wide", shape=cube, voxel=[2, 2, 2], fwhm=[40, 100, 300]),
        dict(name="one-wide", shape=[1, 40, 33], voxel=[3, 3, 3], fwhm=[9, 6, 30]),
        dict(name="two-wide", shape=[60, 2, 11], voxel=[3, 3, 3], fwhm=[8, 20, 8]),
        dict(name="three-wide", shape=[44, 10, 3], voxel=[3, 3, 3], fwhm=[5, 5, 12]),
        dict(name="line", shape=[1320, 1, 1], voxel=[1, 1, 1], fwhm=[200, 5, 0]),
        dict(name="gaussian-not-finite", shape=cube, voxel=[3, 3, 3], fwhm=[6, 6, 6], bad=[5, 700, 1320, 3000, 3001]),
        dict(name="gaussian-mask", shape=cube, voxel=[3, 3, 3.5], fwhm=[6, 6, 6], mask=True),
        dict(name="gaussian-mask-wide", shape=cube, voxel=[2, 3, 3.5], fwhm=[50, 0, 9], mask=True),
    ]
    raw = make_input()
    os.makedirs(os.path.join(HERE, "more"), exist_ok=True)

    def write(name, b):
        with open(os.path.join(HERE, "more", name), "wb") as f:
            f.write(gzip.compress(b, mtime=0))

    write("input.i16.gz", raw.tobytes())
    z, y, x = np.mgrid[:10, :11, :12]
    ellipsoid = ((x - 5.5) / 6) ** 2 + ((y - 5) / 5.5) ** 2 + ((z - 4.5) / 5) ** 2 < 0.9
    ellipsoid[4, 5, 5:7] = False
    write("mask.u8.gz", ellipsoid.astype("u1").tobytes())
    for c in fwhm + plain:
        lo, hi = c.get("volumes", [0, 3])
        sx, sy, sz = c["shape"]

        def volumes(lo, hi):
            return (raw[lo:hi].astype(np.float32) / 2).reshape(-1, sz, sy, sx)

        data = volumes(lo, hi)
        for i, p in enumerate(c.get("bad", [])):
            data.reshape(-1)[p] = [np.nan, np.inf, -np.inf][i % 3]
        if "empty" in c:
            data[c["empty"]] = 0
        mask = ellipsoid if c.get("mask") else None
        voxel = np.array(c["voxel"], dtype=float)
        if "goal" in c:
            c["kind"] = "to-fwhm"
            options = {k: c[k] for k in ("two_d", "rate", "maxite", "no_detrend", "uniform", "all_volumes") if k in c}
            master = volumes(*c["master"]) if "master" in c else None
            out, c["rounds"], c["reason"], c["voxels"] = to_fwhm(data, voxel, c["goal"], mask, master, **options)
            out = out[c["kept"]]
        else:
            c["kind"], c["volumes"], c["kept"] = "gaussian", [lo, hi], list(range(hi - lo))
            v = np.where(np.isfinite(data), data, 0).astype(np.float32)
            if mask is None:
                out = np.array([smooth(u, voxel, c["fwhm"]) for u in v])
            else:
                w = smooth(mask.astype(np.float32), voxel, c["fwhm"])
                out = np.array([np.where(mask, smooth(u * mask, voxel, c["fwhm"]) / w, 0) for u in v])
        write(c["name"] + ".f32.gz", out.astype("<f4").tobytes())
        print(c["name"], c["kind"], len(c.get("rounds", [])), c.get("reason"), c.get("voxels"), c.get("rounds", [[]])[0], c.get("rounds", [[]])[-1], flush=True)
    with open(os.path.join(HERE, "more", "cases.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in fwhm + plain) + "\n]\n")


if __name__ == "__main__":
    {"check": check, "make": make}[sys.argv[1]]()
