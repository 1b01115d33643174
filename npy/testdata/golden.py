"""Makes golden.json and the .npy and .npz files beside it: what numpy writes, for the tests of package npy.

    pip install numpy==2.4.6
    python golden.py > golden.json

Tolerance 0: values are compared bit by bit and the files that package npy writes byte by byte. Floats are
written in hexadecimal; half.npz has all 65536 half floats, and as single ones. The values of an array are in C order.
"""
import io
import json
import os
import zipfile

import numpy as np
from numpy.lib import format

here = os.path.dirname(os.path.abspath(__file__))
cases = []


def hexed(v):
    v = float(v)
    return "nan" if np.isnan(v) else "inf" if v == np.inf else "-inf" if v == -np.inf else v.hex()


def listed(a):
    flat = a.ravel().tolist()
    if a.dtype.kind == "f":
        return [hexed(v) for v in flat]
    if a.dtype.kind == "c":
        return [hexed(p) for v in flat for p in (v.real, v.imag)]
    if a.dtype.kind == "S":
        return [v.decode("latin1") for v in flat]
    return [str(v) for v in flat]


def save(name, a, version=(1, 0)):
    """Writes name.npy; same says whether numpy.save gives the same bytes, and so must package npy."""
    b = io.BytesIO()
    format.write_array(b, a, version=version, allow_pickle=False)
    c = io.BytesIO()
    np.save(c, a)
    with open(os.path.join(here, name + ".npy"), "wb") as f:
        f.write(b.getvalue())
    cases.append({"name": name, "type": a.dtype.str, "shape": list(a.shape), "fortran": bool(a.flags.f_contiguous and not a.flags.c_contiguous),
                  "same": b.getvalue() == c.getvalue(), "values": listed(a)})


ends = {"i1": [-128, -1, 0, 127], "u1": [0, 255], "i2": [-32768, 258, 32767], "u2": [258, 65535], "i4": [-2**31, 66051, 2**31 - 1], "u4": [66051, 2**32 - 1],
        "i8": [-2**63, 2**53 + 1, 2**63 - 1], "u8": [2**53 + 1, 2**64 - 1], "f2": [0.5, -65504, 6e-8, np.inf], "f4": [0.1, -3.4e38, 1e-45, np.nan],
        "f8": [0.1, -1.7e308, 5e-324, -0.0, -np.inf], "c8": [1 + 2j, -0.5 - 1e-45j], "c16": [0.1 + 0.2j, complex(np.nan, np.inf)]}
for code, values in ends.items():
    for order in "<>" if code[1] != "1" else "<":
        a = np.array(values, dtype=order + code)
        save(f"{code}_{'big' if order == '>' else 'little'}", a)
for v in (2, 3):
    save(f"version_{v}", np.array(ends["f8"]), (v, 0))
save("bool", np.array([[True, False, True], [False, False, True]]))
save("bytes", np.array([b"good", b"mua", b"", b"\xffx"]))
save("text", np.array(["good", "", "µV", "a\U0001f9e0"]))
save("text_big", np.array(["good", "µV"]).astype(">U4"))
save("text_empty", np.zeros(3, "<U0"))
rows = np.arange(1.0, 7.0).reshape(2, 3)
save("c_order", rows)
save("fortran", np.asfortranarray(rows))
save("fortran_3d", np.asfortranarray(np.arange(24, dtype="i4").reshape(2, 3, 4)))
save("three_d", np.arange(24, dtype="<i2").reshape(2, 3, 4))
save("fortran_text", np.asfortranarray(np.array([["a", "b", "c"], ["d", "e", "f"]])))
save("scalar", np.array(2.5))
save("empty", np.zeros(0))
save("empty_2d", np.zeros((0, 2), "u4"))
save("column", np.array([[5], [12], [7]], "u8"))
save("many_axes", np.zeros((1,) * 32, "u1"))

# What must be refused.
bad = {}


def refuse(name, kind, content):
    bad[name] = kind
    with open(os.path.join(here, name), "wb") as f:
        f.write(content)


def saved(a, **kw):
    b = io.BytesIO()
    format.write_array(b, a, **kw)
    return b.getvalue()


refuse("bad_object.npy", "type", saved(np.array([None, 1], dtype=object)))
refuse("bad_fields.npy", "type", saved(np.zeros(2, [("t", "f8"), ("i", "i4")])))
refuse("bad_datetime.npy", "type", saved(np.zeros(2, "M8[ms]")))
refuse("bad_void.npy", "type", saved(np.zeros(2, "V3")))
refuse("bad_longdouble.npy", "type", saved(np.zeros(2, np.longdouble)))
refuse("bad_trailing.npy", "format", saved(rows) + b"\0")
refuse("bad_cut.npy", "format", saved(rows)[:-1])
refuse("bad_long_header.npy", "format", saved(np.zeros(2, [(f"field{i}", "f8") for i in range(500)])))

# Archives.
archives = {}


def archive(name, arrays, save):
    b = io.BytesIO()
    save(b, **arrays)
    with open(os.path.join(here, name), "wb") as f:
        f.write(b.getvalue())
    archives[name] = [{"name": k, "type": v.dtype.str, "shape": list(v.shape), "fortran": bool(v.flags.f_contiguous and not v.flags.c_contiguous), "values": listed(v)}
                      for k, v in arrays.items()]


arrays = {"times": np.array([0.5, 1.25, 0.75]), "index": np.array([1, 3]), "names": np.array(["a", "µ"]), "nested/rows": np.asfortranarray(rows), "empty": np.zeros(0)}
archive("stored.npz", arrays, np.savez)
archive("compressed.npz", {**arrays, "zeros": np.zeros(3000, "u1")}, np.savez_compressed)
archive("none.npz", {}, np.savez)
half = np.arange(65536, dtype="<u2").view("<f2")
np.savez_compressed(os.path.join(here, "half.npz"), half=half, single=half.astype("<f4"))
stored = open(os.path.join(here, "stored.npz"), "rb").read()
deflated = open(os.path.join(here, "compressed.npz"), "rb").read()
refuse("bad_cut.npz", "format", stored[:-30])
refuse("bad_start.npz", "format", stored[40:])
refuse("bad_sum.npz", "format", stored.replace(np.float64(1.25).tobytes(), np.float64(1.5).tobytes()))
flip = deflated.index(b"times.npy") + 60
refuse("bad_deflate.npz", "format", deflated[:flip] + bytes([deflated[flip] ^ 255]) + deflated[flip + 1:])
b = io.BytesIO()
with zipfile.ZipFile(b, "w") as z:
    z.writestr("readme.txt", "no array")
refuse("bad_entry.npz", "format", b.getvalue())
b = io.BytesIO()
with zipfile.ZipFile(b, "w") as z:
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        z.writestr("a.npy", saved(rows))
        z.writestr("a.npy", saved(rows))
refuse("bad_twice.npz", "format", b.getvalue())
b = io.BytesIO()
with zipfile.ZipFile(b, "w") as z:
    z.writestr("a.npy", saved(rows) + b"\0")
refuse("bad_trailing.npz", "format", b.getvalue())
b = io.BytesIO()
with zipfile.ZipFile(b, "w", zipfile.ZIP_LZMA) as z:
    z.writestr("a.npy", saved(rows))
refuse("bad_method.npz", "format", b.getvalue())

json.dump({"arrays": cases, "archives": archives, "bad": bad}, __import__("sys").stdout, indent=0, separators=(",", ":"))
print()
