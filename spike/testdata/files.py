"""Makes files.json and the folder files: recordings as other programs write them, for the tests of reading and writing.

    pip install neo==0.14.6 numpy==2.4.6 pandas==3.1.1 quantities==0.16.4
    python files.py > files.json   # the folder comes to stand beside the script

Tolerance 0: exact. Times of sample numbers are numpy's quotient of number and rate.

The files files/written.* are those of WriteFile: TestWriteFile writes the trains of "written" and compares the bytes, and
this script, in check, reads them as WriteFile says that Python can. After a change of the format:
go test -run TestWriteFile -update, and run this again.
"""
import json
import os
import sys

import neo
import numpy as np
import pandas as pd

from exact import hexed, hexes, lines

here = os.path.dirname(os.path.abspath(__file__))
os.makedirs(os.path.join(here, "files"), exist_ok=True)
rng = np.random.RandomState(28)
cases = []


def path(*names):
    p = os.path.join(here, "files", *names)
    os.makedirs(os.path.dirname(p), exist_ok=True)
    return p


def text(content, *names):
    with open(path(*names), "w", newline="") as f:
        f.write(content)


def case(name, trains, **options):
    """A file and the (name, unit, t_start, t_stop, times) that it has."""
    cases.append({"path": name, "options": options, "trains": [
        {"name": n, "unit": u, "t_start": hexed(a), "t_stop": hexed(b), "times": hexes(t)} for n, u, a, b, t in trains]})


# --- .npy of every type and order --------------------------------------------------

for code in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"):
    for order in "<>" if code[1] != "1" else "<":
        a = np.array([5, 12, 7], order + code)
        name = f"times_{code}{'_big' if order == '>' else ''}.npy"
        np.save(path(name), a)
        case(name, [("", "s", 0, 12, a.astype(float))], unit="s")
rows = np.array([[3, 40], [1, 50], [3, 60]], "<u4")
for name, a in (("rows_u4", rows), ("rows_u4_fortran", np.asfortranarray(rows)), ("rows_f4_big", rows.astype(">f4")), ("rows_i2_fortran_big", np.asfortranarray(rows.astype(">i2")))):
    np.save(path(name + ".npy"), a)
    case(name + ".npy", [("1", "ms", 0, 60, [50]), ("3", "ms", 0, 60, [40, 60])], unit="ms")
np.save(path("column.npy"), np.array([[0.5], [0.25]]))
case("column.npy", [("", "s", 0, 0.5, [0.5, 0.25])], unit="s")

# 30 kHz sample numbers, up to ten hours, and other rates.
numbers = np.sort(rng.randint(0, 10 * 3600 * 30000, 300)).astype("u8")
np.save(path("samples.npy"), numbers)
last = int(numbers[-1])
for rate, u, per in (("30 kHz", "s", 30000.0), ("30000 Hz", "s", 30000.0), ("30000 1/s", "s", 30000.0), ("30 kHz", "ms", 30.0), ("30000 Hz", "ms", 30.0), ("30000 Hz", "us", 30000 * 1e-6), ("24414.0625 Hz", "s", 24414.0625),
                     ("29999.9976 Hz", "s", 29999.9976)):
    opts = {"rate": rate}
    if u != "s":
        opts["unit"] = u
    case("samples.npy", [("", u, 0, last / per, numbers / per)], **opts)
case("samples.npy", [("", "ms", 0, 36000000, numbers / 30.0)], rate="30 kHz", unit="ms", t_stop="10 h")

# --- Kilosort and phy -----------------------------------------------------------------

params = "dat_path = r'C:\\data\\rec.dat'  # sample_rate = 1\nn_channels_dat = 385\ndtype = 'int16'\noffset = 0\nsample_rate = 30000.\nhp_filtered = False\n"
times = np.array([30, 45000, 7, 100000, 99999, 30, 12])
clusters = np.array([10, 2, 2, 10, 0, 300, 2])


def sorting(folder, times_type="u8", clusters_type="i4", column=False, templates=False, params=params, tables=None):
    t, c = times.astype(times_type), clusters.astype(clusters_type)
    if column:
        t, c = t[:, None], c[:, None]
    np.save(path(folder, "spike_times.npy"), t)
    np.save(path(folder, "spike_templates.npy"), c if templates else np.zeros_like(c))
    if not templates:
        np.save(path(folder, "spike_clusters.npy"), c)
    if params:
        text(params, folder, "params.py")
    for name, content in (tables or {}).items():
        text(content, folder, name)


def units(*ids, rate=30000.0, u="s"):
    return [(str(i), u, 0, 100000 / rate, times[clusters == i] / rate) for i in ids]


info = ("cluster_id\tAmplitude\tKSLabel\tgroup\tn_spikes\n0\t1.5\tgood\tgood\t1\n2\t2.5\tgood\tnoise\t3\n10\t3\tmua\tgood\t2\n300\t3\tgood\t\t1\n")
sorting("kilosort2", column=True, tables={"cluster_KSLabel.tsv": "cluster_id\tKSLabel\n0\tgood\n2\tmua\n10\tgood\n300\tmua\n"})
case("kilosort2", units(0, 2, 10, 300))
case("kilosort2", units(0, 10), labels=["good"])
case("kilosort2", units(0, 2, 10, 300), labels=["good", "mua", "absent"])
case("kilosort2", [(n, "ms", a, 4000, np.concatenate(t)) for n, u, a, b, *t in [("0", "", 0, 0, times[clusters == 0] / 30.0), ("2", "", 0, 0, times[clusters == 2] / 30.0), ("10", "", 0, 0, times[clusters == 10] / 30.0), ("300", "", 0, 0, times[clusters == 300] / 30.0)]],
     unit="ms", t_stop="4 s")
sorting("kilosort4", times_type="i8", templates=True, params="sample_rate = 25_000\r\n", tables={"cluster_group.tsv": "cluster_id\tKSLabel\n0\tgood\n2\tmua\n10\tgood\n300\tmua\n"})
case("kilosort4", units(0, 2, 10, 300, rate=25000.0))
case("kilosort4", units(2, 300, rate=25000.0), labels=["MUA"])
case("kilosort4", units(0, 2, 10, 300, rate=25000.0), rate="25 kHz")
sorting("phy", times_type="u4", clusters_type="u4", tables={"cluster_info.tsv": info, "cluster_group.tsv": "cluster_id\tgroup\n0\tmua\n", "cluster_KSLabel.tsv": "cluster_id\tKSLabel\n0\tmua\n"})
case("phy", units(0, 10), labels=["good"])
case("phy", units(300), labels=["unsorted"])
case("phy", units(2, 300), labels=["noise", "unsorted"])
sorting("phy_group", times_type="i4", clusters_type="u8", params=None, tables={"cluster_group.tsv": "cluster_id\tgroup\r\n2\tgood\r\n", "cluster_KSLabel.tsv": "cluster_id\tKSLabel\n0\tgood\n2\tmua\n10\tgood\n300\tmua\n"})
case("phy_group", units(2), labels=["good"], rate="30 kHz")
case("phy_group", units(0, 10, 300), labels=["unsorted"], rate="30 kHz")
sorting("matlab", times_type="f8", clusters_type="i8", column=True)
case("matlab", units(0, 2, 10, 300))

# --- .npz ---------------------------------------------------------------------------

np.savez(path("columns.npz"), spike_times_ms=np.array([1.5, 2, 3]), unit_id=np.array([7, -1, 7], "i2"))
case("columns.npz", [("-1", "ms", 0, 3, [2]), ("7", "ms", 0, 3, [1.5, 3])])
np.savez_compressed(path("samples.npz"), spike_samples=times.astype("u8")[:, None], cluster=clusters.astype("u4"))
case("samples.npz", units(0, 2, 10, 300), rate="30 kHz")
np.savez(path("named.npz"), t=np.array([1.5, 2, 3], "f4"), who=np.array(["b", "a", "b"]), depth=np.zeros((2, 2)))
case("named.npz", [("b", "s", 0, 3, [1.5, 3]), ("a", "s", 0, 3, [2])], unit="s", time_column="t", train_column="who")
case("named.npz", [("", "s", 0, 3, [1.5, 2, 3])], unit="s", time_column="t")
np.savez(path("positional.npz"), np.array([1.5, 2]), np.zeros(0), np.array([3], "i4"))
case("positional.npz", [("0", "s", 0, 3, [1.5, 2]), ("1", "s", 0, 3, []), ("2", "s", 0, 3, [3])], unit="s")

# --- text ----------------------------------------------------------------------------

long = rng.uniform(0, 1e4, 200)
long[:6] = [0.1, 1e-300, 123456789.12345678, 5e-324, 2.0**53, 0.30000000000000004]
frame = pd.DataFrame({"unit": np.arange(200) % 3, "spike_time_ms": long, "amplitude": 1.0})
frame[["unit", "spike_time_ms"]].to_csv(path("pandas.csv"), index=False)
want = [(str(k), "ms", 0, 2.0**53, long[k::3]) for k in range(3)]
case("pandas.csv", want)
frame[["unit", "spike_time_ms"]].to_csv(path("pandas.tsv"), index=False, sep="\t", lineterminator="\r\n")
case("pandas.tsv", want)
frame.to_csv(path("pandas_index.csv"))
case("pandas_index.csv", want, time_column="spike_time_ms")
case("pandas_index.csv", want, train_column="unit", unit="ms")
frame["unit"] = ["a, b", 'say "b"', "c"] * 66 + ["a, b", 'say "b"']
frame[["unit", "spike_time_ms"]].to_csv(path("quoted.csv"), index=False, quoting=2)
case("quoted.csv", [(n, "ms", 0, 2.0**53, long[k::3]) for k, n in enumerate(["a, b", 'say "b"', "c"])])
np.savetxt(path("savetxt.txt"), long[6:])
case("savetxt.txt", [("", "s", 0, long[6:].max(), long[6:])], unit="s")
np.savetxt(path("savetxt_header.txt"), np.stack([np.arange(194) % 2, long[6:]], 1), header="written by numpy", fmt="%d\t%.17g")
case("savetxt_header.txt", [(str(k), "s", 0, long[6:].max(), long[6 + k::2]) for k in range(2)], unit="s")
text("sample cluster\n\n30 10\n 45000\t2 \n7 2\n100000 10\n99999 0\n30 300\n12 2", "samples.txt")
case("samples.txt", units(0, 2, 10, 300), rate="30 kHz")

# --- Neo's arguments as JSON ------------------------------------------------------------

neos = [neo.SpikeTrain([3.5, 1, 2], units="ms", t_start=-1.0, t_stop=10.0, name="3"), neo.SpikeTrain([], units="s", t_stop=2.5), neo.SpikeTrain([0.1], units="s", t_stop=2.5, name="µ \"quoted\"")]
with open(path("neo.json"), "w") as f:
    json.dump([{"times": s.magnitude.tolist(), "units": s.dimensionality.string, "t_start": float(s.t_start), "t_stop": float(s.t_stop), "name": s.name, "description": "a"} for s in neos], f)
case("neo.json", [(s.name or "", s.dimensionality.string, s.t_start, s.t_stop, s.magnitude) for s in neos])
with open(path("bare.json"), "w") as f:
    json.dump([{"times": [3, 1]}, {"times": []}], f, indent=1)
case("bare.json", [("", "ms", 0, 7, [3, 1]), ("", "ms", 0, 7, [])], unit="ms", t_stop="7 ms")

# --- what WriteFile writes ------------------------------------------------------------------

written = {
    "json": [("3", "ms", -1.0, 10.0, [3.5, 1.0, 0.1]), ("", "s", 0.0, 2.5, []), ("µ \"x\"", "us", 0.0, 1e22, [5e-324, 1e22, 123456789.0, 1 / 3])],
    "npz": [("3", "ms", -1.0, 10.0, [3.5, 1.0, 0.1]), ("", "s", 0.0, 2.5, []), ("µ \"x\"", "us", 0.0, 1e22, [5e-324, 1e22, 123456789.0, 1 / 3])],
    "csv": [("3", "ms", 0.0, 100.0, [3.5, 1.0, 0.1]), ("a, \"b\"", "ms", 0.0, 100.0, [5e-324, 1 / 3]), ("#c", "ms", 0.0, 100.0, [100.0])],
    "tsv": [("", "s", 0.0, 100.0, [3.5, 1.0, 0.1])],
}


def check():
    def equal(trains, want):
        assert len(trains) == len(want)
        for s, (n, u, a, b, t) in zip(trains, want):
            assert (s.name or "") == n and s.dimensionality.string == u and float(s.t_start) == a and float(s.t_stop) == b, s
            assert s.magnitude.dtype == np.float64 and s.magnitude.tobytes() == np.array(t, float).tobytes(), s

    equal([neo.SpikeTrain(**t) for t in json.load(open(path("written.json")))], written["json"])
    f = np.load(path("written.npz"))
    equal([neo.SpikeTrain(times, units=str(u), t_start=a, t_stop=b, name=str(n)) for times, u, a, b, n in
           zip(np.split(f["times"], f["index"]), f["units"], f["t_start"], f["t_stop"], f["names"])], written["npz"])
    table = pd.read_csv(path("written.csv"), dtype={"train": str})
    assert list(table.columns) == ["train", "time_ms"]
    assert [(n, t) for n, t in table.itertuples(index=False)] == [(n, v) for n, _, _, _, t in written["csv"] for v in t]
    table = pd.read_csv(path("written.tsv"), sep="\t")
    assert list(table.columns) == ["time_s"] and table["time_s"].tolist() == written["tsv"][0][4]


if os.path.exists(path("written.json")):
    check()
    for kind, trains in written.items():
        bounds = {} if kind in ("json", "npz") else {"t_stop": f"{trains[0][3]} {trains[0][1]}"}
        case("written." + kind, trains, **bounds)

items = [{"kind": kind, "trains": [{"name": n, "unit": u, "t_start": hexed(a), "t_stop": hexed(b), "times": hexes(t)} for n, u, a, b, t in trains]} for kind, trains in written.items()]
sys.stdout.write("{" + lines("files", cases) + ",\n" + lines("written", items) + "}\n")
