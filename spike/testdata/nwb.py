"""Makes the .nwb.gz files and nwb.json: what PyNWB reads of their units, for the tests of package spike.

    pip install pynwb==4.2.0 hdmf==6.2.0 h5py==3.16.0 numpy==2.4.6
    python nwb.py

Tolerance 0: exact. Every float is written in hexadecimal and compared bit by bit.
"""
import datetime
import gzip
import json
import os
import tempfile
import warnings

import h5py
import numpy as np
from hdmf.backends.hdf5.h5_utils import H5DataIO
from pynwb import NWBHDF5IO, NWBFile
from pynwb.misc import Units

from exact import hexed, hexes, lines

warnings.simplefilter("ignore")
here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.RandomState(3)
start = datetime.datetime(2026, 11, 24, tzinfo=datetime.timezone.utc)
cases = []


def poisson(rate, a, b):
    return np.sort(rng.uniform(a, b, rng.poisson(rate * (b - a))))


def case(name, build, libver=None, edit=None, refuse=None, **options):
    """Writes a file with the units that build adds; edit changes it behind PyNWB's back, refuse is what is wrong then."""
    path = os.path.join(tempfile.mkdtemp(), name + ".nwb")
    nwb = NWBFile(session_description="units", identifier=name, session_start_time=start, file_create_date=start)
    build(nwb)
    with h5py.File(path, "w", libver=libver) as f:
        with NWBHDF5IO(file=f, mode="w") as io:
            io.write(nwb, cache_spec=False)
    out = {"name": name, **options}
    if refuse:
        out["refuse"] = refuse
    else:
        with NWBHDF5IO(path, "r") as io:
            units = io.read().units
            out["units"] = []
            for i in range(len(units)):
                observed = units.get_unit_obs_intervals(i) if "obs_intervals" in units.colnames else []
                out["units"].append({"id": str(units.id[i]), "times": hexes(units.get_unit_spike_times(i)),
                                     "observed": [[hexed(a), hexed(b)] for a, b in observed],
                                     **({"label": str(units["quality"][i])} if "quality" in units.colnames else {})})
    if edit:
        with h5py.File(path, "r+") as f:
            edit(f)
    with open(path, "rb") as plain, open(os.path.join(here, name + ".nwb.gz"), "wb") as packed:
        packed.write(gzip.compress(plain.read(), 9, mtime=0))
    cases.append(out)


def sorted_units(nwb):
    nwb.add_unit_column("quality", "what phy says")
    for id, rate, quality in ((7, 4, "good"), (3, 0, "mua"), (12, 2, "good"), (4, 3, "noise")):
        nwb.add_unit(id=id, spike_times=poisson(rate, 0.5, 9.5), obs_intervals=[[0.5, 9.5 + id / 8]], quality=quality)


def plain(nwb):
    for id in range(3):
        nwb.add_unit(id=id, spike_times=poisson(1, 0, 30))


def compressed(nwb):
    """As NeuroConv writes: in chunks, with gzip and shuffle."""
    ends = np.cumsum(rng.poisson(9, 40))
    times = np.concatenate([np.sort(rng.uniform(0, 60, n)) for n in np.diff(ends, prepend=0)])
    units = Units(name="units", description="units", resolution=1 / 30000)
    nwb.units = units
    for i, n in enumerate(np.split(times, ends[:-1])):
        units.add_unit(id=i, spike_times=n)
    for name in ("spike_times", "spike_times_index"):
        column = units[name] if name.endswith("index") else units["spike_times"].target
        column.set_data_io(H5DataIO, dict(compression="gzip", shuffle=True, chunks=(50,), maxshape=(None,)))


def often_observed(nwb):
    for id in range(2):
        nwb.add_unit(id=id, spike_times=poisson(3, 0, 10), obs_intervals=[[0.0, 4.0], [6.0, 10.0]])


def unsorted(nwb):
    nwb.add_unit(id=0, spike_times=[3.0, 1.0, 2.0])
    nwb.add_unit(id=1, spike_times=[0.0, 0.25])


def no_units(nwb):
    pass


def no_times(nwb):
    nwb.add_unit_column("depth", "in µm")
    nwb.add_unit(id=0, depth=1.0)


def replace(path, make):
    def edit(f):
        data, attributes = f[path][()], dict(f[path].attrs)
        del f[path]
        make(f, path, data)
        f[path].attrs.update(attributes)
    return edit


def double(f):
    f["units/id"][2] = 1


def descend(f):
    f["units/spike_times_index"][0] = f["units/spike_times_index"][1] + 1


def leave_over(f):
    f["units/spike_times_index"][2] -= 1


case("nwb_sorted", sorted_units)
case("nwb_plain", plain)
case("nwb_latest", sorted_units, libver="latest")
case("nwb_compressed", compressed)
case("nwb_compressed_latest", compressed, libver="latest")
case("nwb_unsorted", unsorted)
case("nwb_often_observed", often_observed)
case("nwb_no_units", no_units, refuse="no table of units at /units")
case("nwb_no_times", no_times, refuse="lacks a column, spike_times")
case("nwb_twice", plain, edit=double, refuse="row 3: bad file: an earlier unit has its id, 1")
case("nwb_descending", plain, edit=descend, refuse="/units/spike_times_index: row 2 ends at")
case("nwb_left_over", plain, edit=leave_over, refuse="/units/spike_times_index: its 3 rows end at")
case("nwb_samples", plain, edit=replace("units/spike_times", lambda f, path, v: f.create_dataset(path, data=(v * 30000).astype("i8"))), refuse="/units/spike_times: it holds int64")
case("nwb_lzf", plain, edit=replace("units/spike_times", lambda f, path, v: f.create_dataset(path, data=v, compression="lzf")), refuse="/units/spike_times: HDF5 feature not supported: the filter LZF; rewrite the file with h5repack -f GZIP=4")
case("nwb_minutes", plain, edit=lambda f: f["units/spike_times"].attrs.modify("unit", "minutes"), refuse='/units/spike_times: its unit is "minutes", want seconds')
with open(os.path.join(here, "nwb.json"), "w") as out:
    out.write("{\n" + lines("cases", cases) + "\n}\n")
