"""Makes the .h5.gz files and files.json: what h5py reads from them, for the tests of package hdf5.

    pip install h5py==3.16.0 numpy==2.4.6   # built with HDF5 2.0.0
    python files.py

The same objects are written in each format of the library; the answers must be the same. Tolerance 0:
floats stand in hexadecimal. Values of long datasets stand as the SHA-256 of their bytes, little-endian.
"""
import gzip
import hashlib
import json
import os
import tempfile

import h5py
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.RandomState(5)
counts = np.cumsum(rng.poisson(3, 500)).astype("i4")
seconds = np.sort(rng.uniform(0, 100, 700))


def hexed(v):
    v = float(v)
    return "nan" if np.isnan(v) else "inf" if v == np.inf else "-inf" if v == -np.inf else v.hex()


def chunked(group, name, data, chunks, alloc=None, **kw):
    """A chunked dataset, with what h5py's high level does not offer."""
    data = np.asarray(data)
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if alloc:
        dcpl.set_alloc_time(alloc)
    group.create_dataset(name, data=data, chunks=chunks, dcpl=dcpl, **kw)


def compact(group, name, data):
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(data.shape)
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(data.dtype), space, dcpl).write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def fill(f):
    n = f.create_group("numbers")
    for kind in ("i1", "u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4", "<i8", ">i8", "<u8", ">u8"):
        info = np.iinfo(kind)
        n[kind] = np.array([info.min, 0, 1, 5, info.max], kind)
    for kind in ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8"):
        info = np.finfo(np.dtype(kind).newbyteorder("="))
        n[kind] = np.array([0.0, -0.0, 1 / 3, -2.5, info.max, info.tiny, info.smallest_subnormal, np.inf, -np.inf, np.nan], kind)
    n["bool"] = np.array([[True, False], [False, True]])
    n.create_dataset("enum", data=[2, 0, 2], dtype=h5py.enum_dtype({"a": 0, "b": 2}, "i2"))
    n["scalar"] = 2.5
    n["empty"] = np.zeros(0)
    n["no rows"] = np.zeros((0, 3), "i4")
    n["null"] = h5py.Empty("f8")
    n["cube"] = np.arange(24, dtype="u2").reshape(2, 3, 4)

    t = f.create_group("texts")
    t["fixed"] = np.array([b"a", b"", b"abcde"], "S5")
    t["scalar"] = "spike train é"
    t["variable"] = ["good", "", "mua", "x" * 5000, "µ"]
    t.create_dataset("ascii", data=[b"one", b"two"], dtype=h5py.string_dtype("ascii"))
    t.create_dataset("utf8 fixed", data=np.array(["é".encode(), b"e"], h5py.string_dtype("utf-8", 4)))
    t.create_dataset("unwritten", (3,), dtype=h5py.string_dtype())
    space = h5py.h5t.C_S1.copy()
    space.set_size(4)
    space.set_strpad(h5py.h5t.STR_SPACEPAD)
    h5py.h5d.create(t.id, b"spaces", space, h5py.h5s.create_simple((2,))).write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([b"ab  ", b"abcd"], "S4"), mtype=space)

    o = f.create_group("others")
    point = np.dtype([("start", "<i4"), ("count", "<i4"), ("where", h5py.ref_dtype), ("name", h5py.string_dtype()), ("xy", "<f4", (2,)), ("in", [("a", "u1"), ("b", "<f8")])])
    rows = np.zeros(2, point)
    rows[0] = (1, 2, n.ref, "first", (0.5, 1.5), (3, 4.5))
    rows[1] = (-1, 7, n["cube"].ref, "second", (2.5, -3.5), (9, -0.0))
    o["compound"] = rows
    o["reference"] = np.array([f.ref, o.ref, h5py.Reference()], h5py.ref_dtype)
    o.create_dataset("array", (2, 2), np.dtype(("<i4", (3,))))[...] = np.arange(12, dtype="<i4").reshape(2, 2, 3)
    o["named type"] = np.dtype("<f4")
    o.create_dataset("of named type", data=[1.5, 2.5], dtype=o["named type"])

    l = f.create_group("layouts")
    compact(l, "compact", seconds[:20])
    chunked(l, "plain", counts, (64,))
    chunked(l, "gzip shuffle", seconds, (100,), compression="gzip", shuffle=True)
    chunked(l, "gzip shuffle fletcher32", counts, (33,), compression="gzip", shuffle=True, fletcher32=True)
    chunked(l, "fletcher32 odd", np.arange(11, dtype="u1"), (5,), fletcher32=True)
    chunked(l, "single", counts[:50], (50,))
    chunked(l, "single larger", counts[:50], (64,), maxshape=(64,))
    chunked(l, "single gzip", counts[:50], (50,), compression="gzip")
    chunked(l, "implicit", counts[:60].reshape(6, 10), (4, 3), alloc=h5py.h5d.ALLOC_TIME_EARLY)
    chunked(l, "implicit larger", counts[:60].reshape(6, 10), (4, 3), alloc=h5py.h5d.ALLOC_TIME_EARLY, maxshape=(9, 21))
    chunked(l, "fixed 3-d", counts[:210].reshape(5, 6, 7), (2, 4, 3), compression="gzip")
    chunked(l, "fixed larger", counts[:210].reshape(5, 6, 7), (2, 4, 3), maxshape=(6, 13, 19))
    chunked(l, "endless", counts, (3,), maxshape=(None,))
    chunked(l, "endless gzip", seconds, (9,), maxshape=(None,), compression="gzip", shuffle=True)
    chunked(l, "endless rows", counts[:210].reshape(5, 6, 7), (1, 2, 3), maxshape=(None, 6, 9))
    chunked(l, "endless columns", counts[:210].reshape(5, 6, 7), (1, 2, 3), maxshape=(5, 6, None), compression="gzip")
    chunked(l, "endless both", counts[:300].reshape(20, 15), (2, 2), maxshape=(None, None))
    chunked(l, "endless both gzip", counts[:300].reshape(20, 15), (2, 2), maxshape=(None, None), compression="gzip")
    chunked(l, "bytes", np.frombuffer(b"spikes and bins", "S3"), (2,), compression="gzip", shuffle=True)
    l.create_dataset("texts in chunks", data=["a", "bc", "", "def"], chunks=(3,), maxshape=(None,), dtype=h5py.string_dtype(), compression="gzip")
    l.create_dataset("unwritten", (7,), "<i4", fillvalue=-3)
    l.create_dataset("unwritten chunks", (3, 2), "<f8", chunks=(2, 2), fillvalue=0.5)
    holes = l.create_dataset("holes", (20, 9), "<i2", chunks=(4, 4), fillvalue=7, maxshape=(None, 9))
    holes[17, 2:7] = [1, 2, 3, 4, 5]
    chunked(l, "shrunk", counts[:100].reshape(10, 10), (3, 3), maxshape=(None, None))
    l["shrunk"].resize((4, 5))
    chunked(l, "grown", counts[:10], (4,), maxshape=(None,), fillvalue=1)
    l["grown"].resize((20,))

    g = f.create_group("groups")
    many = g.create_group("many")
    for i in range(70):
        many["member %03d %s" % (i, "x" * (i % 7))] = n["scalar"]
    ordered = g.create_group("ordered", track_order=True)
    for name in "cab":
        ordered[name] = 1
    g.create_group("none")
    g["soft"] = h5py.SoftLink("/numbers/scalar")
    g["relative"] = h5py.SoftLink("many")
    g["dangling"] = h5py.SoftLink("/nowhere")
    g["circle"] = h5py.SoftLink("/groups/circle")
    g["outside"] = h5py.ExternalLink("other.h5", "/numbers")
    g["above"] = f["/"]

    a = f.create_group("attributes")
    a.attrs["text"] = "a text"
    a.attrs["texts"] = ["b", "cc"]
    a.attrs["bytes"] = np.bytes_(b"abc")
    a.attrs["number"] = 3
    a.attrs["numbers"] = np.arange(6, dtype=">f4").reshape(2, 3)
    a.attrs["bool"] = True
    a.attrs["reference"] = n.ref
    a.attrs["null"] = h5py.Empty("i4")
    a.attrs["compound"] = rows
    few = f.create_group("few attributes")
    few.attrs["one"] = np.float64(1)
    few.attrs.create("named", 2.5, dtype=o["named type"])
    lots = f.create_group("many attributes")
    for i in range(60):
        lots.attrs["attribute %d" % i] = i
    large = f.create_group("large attributes")
    for i in range(10):
        large.attrs["large %d" % i] = np.arange(i * 200, dtype="<u2")  # from 2 kB on without a place in the heap's blocks
    f["numbers/cube"].attrs["of a dataset"] = "yes"


def only_latest(f):
    """What takes too much room in the old format."""
    l = f["layouts"]
    chunked(l, "fixed pages", counts[:30].repeat(100).astype("u1"), (1,))
    holes = l.create_dataset("fixed pages with holes", (5000,), "u1", chunks=(1,))
    holes[4099] = 5
    far = l.create_dataset("endless pages", (140000,), "u1", chunks=(1,), maxshape=(None,))
    far[3], far[139998] = 1, 2
    few = l.create_dataset("endless columns with holes", (3, 2000), "u1", chunks=(2, 1), maxshape=(3, None))
    few[2, 1999] = 4
    f["attributes"].attrs["very large"] = np.arange(9000, dtype="<f8")


def values(f, v, dtype):
    """Values as they stand in the .json file: one list, row after row."""
    text = h5py.check_string_dtype(dtype)
    if h5py.check_ref_dtype(dtype):
        return [h5py.h5i.get_name(f[r].id).decode() if r else None for r in np.ravel(np.array(v, dtype=object))]
    if text is not None:
        flat = np.ravel(np.array(v, dtype=object))
        return [(s if isinstance(s, str) else bytes(s).decode()) for s in ((s.rstrip() if isinstance(s, bytes) and text.length else s) for s in flat)]
    if dtype.names:
        v = np.atleast_1d(v)
        return {name: values(f, v[name] if v[name].dtype.kind != "O" else list(v[name]), dtype[name].base) for name in dtype.names}
    v = np.ravel(np.asarray(v))
    if len(v) > 600:
        return hashlib.sha256(v.astype(v.dtype.newbyteorder("<")).tobytes()).hexdigest()
    if v.dtype.kind == "f":
        return [hexed(x) for x in v]
    if v.dtype.kind == "S":
        return [x.decode() for x in v]
    return [int(x) for x in v]


def array(f, dtype, shape, read):
    if shape is None:
        return {"null": True}
    if dtype.subdtype:
        shape, dtype = shape + dtype.subdtype[1], dtype.base
    return {"shape": list(shape), "values": values(f, read(), dtype)}


def attributes(f, o):
    out = {}
    for name in o.attrs:
        a = o.attrs.get_id(name)
        out[name] = array(f, a.dtype, None if a.get_space().get_simple_extent_type() == h5py.h5s.NULL else a.shape, lambda: o.attrs[name])
    return out


def answers(f):
    out = {}

    def visit(path, o):
        path = "/" + path
        out[path] = {"attributes": attributes(f, o)}
        if isinstance(o, h5py.Group):
            out[path]["members"] = sorted(o)
        elif isinstance(o, h5py.Dataset):
            out[path]["array"] = array(f, o.dtype, o.shape, lambda: o[()])

    visit("", f)
    f.visititems(visit)
    return out


def small(f):
    """A little of everything, for the fuzzer to change."""
    f.attrs["text"] = ["a", "bc"]
    for i in range(9):
        f.create_group("groups/%d" % i).attrs.update({"a": i})
        f["groups"].attrs["attribute %d" % i] = i
    f["soft"] = h5py.SoftLink("groups/1")
    f["compound"] = np.array([(1, (2, 3), "text")], [("a", "u1"), ("b", "<f4", (2,)), ("c", h5py.string_dtype())])
    for i, maxshape in enumerate(((9, 4), (None, 4), (None, None))):
        chunked(f, "chunks %d" % i, counts[:30].reshape(10, 3)[:9], (1, 2), maxshape=maxshape)
    chunked(f, "gzip", counts[:20], (12,), compression="gzip", shuffle=True, fletcher32=True)


def refused(f):
    """Objects that the Go package does not read; gives what it says of each."""
    says = {}

    def refuse(name, why, make):
        make(name)
        says["/" + name] = why

    data = np.arange(20, dtype="<i4")
    refuse("lzf", "the filter LZF; rewrite the file with h5repack", lambda n: f.create_dataset(n, data=data, compression="lzf"))
    refuse("scaleoffset", "the filter scaleoffset", lambda n: f.create_dataset(n, data=data, scaleoffset=0, chunks=(5,)))
    refuse("external", "elements in other files", lambda n: f.create_dataset(n, (20,), "<i4", external=[("data.bin", 0, 80)]))
    layout = h5py.VirtualLayout((20,), "<i4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (20,))
    refuse("virtual", "virtual datasets", lambda n: f.create_virtual_dataset(n, layout))
    refuse("long double", "floats that are not IEEE's", lambda n: f.create_dataset(n, data=np.ones(2, np.longdouble)))
    odd = h5py.h5t.STD_I32LE.copy()
    odd.set_precision(24)
    refuse("24 bits", "integers of 24 bits in 4 bytes", lambda n: h5py.h5d.create(f.id, n.encode(), odd, h5py.h5s.create_simple((3,))))
    refuse("sequences", "sequences of variable length", lambda n: f.create_dataset(n, (3,), h5py.vlen_dtype("<i2")))
    f["data"] = data
    refuse("region", "references to regions", lambda n: f.create_dataset(n, data=np.array([f["data"].regionref[2:4]], h5py.regionref_dtype)))
    return says


def pack(path, name):
    with open(path, "rb") as plain, open(os.path.join(here, name + ".h5.gz"), "wb") as packed:
        packed.write(gzip.compress(plain.read(), 9, mtime=0))


files, extra = None, None
for name, libver in (("earliest", "earliest"), ("v108", "v108"), ("v110", ("v110", "v110")), ("latest", "latest")):
    path = os.path.join(tempfile.mkdtemp(), name + ".h5")
    with h5py.File(path, "w", libver=libver, userblock_size=1024 if name == "v110" else None) as f:
        fill(f)
        if name == "latest":
            only_latest(f)
    with h5py.File(path) as f:
        found = answers(f)
    pack(path, name)
    if name == "latest":
        extra = {k: v for k, v in found.items() if v != files.get(k)}
    else:
        assert files is None or found == files
        files = found
for name, build, libver in (("small_earliest", small, "earliest"), ("small_latest", small, "latest"), ("refused", refused, "earliest")):
    path = os.path.join(tempfile.mkdtemp(), name + ".h5")
    with h5py.File(path, "w", libver=libver) as f:
        says = build(f)
    pack(path, name)
json.dump({"all": files, "latest": extra, "refused": says}, open(os.path.join(here, "files.json"), "w"), indent=0, sort_keys=True, allow_nan=False)
