"""Makes nibabel.json and nibabel.zip beside it: what nibabel writes, for package nifti to read, and what nibabel reads of
the files in written/, which package nifti has written.

    pip install nibabel==5.3.2 numpy==2.2.6
    python golden.py

When package nifti writes other bytes, make written/ anew with go test -run TestWritten -update, and run this again.

Tolerance 0: values and header fields are compared bit by bit, as float64 in hexadecimal; affines within 1e-6 of the voxel,
since nibabel computes quaternions in another order.
"""
import glob
import io
import json
import os
import tempfile
import zipfile

import nibabel as nib
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
archive = zipfile.ZipFile(os.path.join(here, "nibabel.zip"), "w", zipfile.ZIP_DEFLATED)
rng = np.random.default_rng(5)
shape = (3, 2, 2, 2)
MM = {"meter": 1e3, "mm": 1, "micron": 1e-3, "unknown": 1}
SEC = {"sec": 1, "msec": 1e-3, "usec": 1e-6, "unknown": 1}


def hexed(v):
    v = float(v)
    return "nan" if np.isnan(v) else "inf" if v == np.inf else "-inf" if v == -np.inf else v.hex()


def listed(a):
    return [hexed(v) for v in np.asarray(a, dtype=np.float64).ravel(order="F")]


tables = []


def shared(values):
    """The index of a list that many images have; of a long one the first values are enough."""
    values = values[:100]
    if values not in tables:
        tables.append(values)
    return tables.index(values)


def field(h, name):
    return bytes(h[name].tobytes()).split(b"\0")[0].decode()


def described(img):
    """What package nifti has to say of an image that nibabel has loaded, units applied."""
    h = img.header
    space, time = h.get_xyzt_units()
    qform, qcode = h.get_qform(coded=True)
    sform, scode = h.get_sform(coded=True)
    affine = img.affine.copy() if qcode or scode else np.diag(list(np.abs(h["pixdim"][1:4])) + [1.0])
    affine[:3] *= MM[space]
    return {
        "shape": list(img.shape), "datatype": h.get_data_dtype().name, "big": h.endianness == ">",
        "version": 2 if h["sizeof_hdr"] == 540 else 1,
        "affine": [listed(row) for row in affine], "voxel": listed(np.linalg.norm(affine[:3, :3], axis=0)),
        "tr": hexed(float(h["pixdim"][4]) * SEC[time] if len(img.shape) > 3 and img.shape[3] > 1 else 0),
        "codes": [int(h["qform_code"]), int(h["sform_code"])], "units": int(h["xyzt_units"]),
        "slices": [int(h["slice_start"]), int(h["slice_end"]), int(h["slice_code"]), int(h["dim_info"])],
        "intent": int(h["intent_code"]), "intent_name": field(h, "intent_name"), "descrip": field(h, "descrip"), "aux_file": field(h, "aux_file"),
        "numbers": listed([h["toffset"], h["slice_duration"], h["cal_min"], h["cal_max"], h["intent_p1"], h["intent_p2"], h["intent_p3"]]),
        "pixdim": listed(h["pixdim"]),
        "extensions": [{"code": e.get_code(), "text": (c if isinstance(c := e.get_content(), bytes) else str(c).encode()).rstrip(b"\0").decode()} for e in h.extensions],
        "values": shared(listed(img.get_fdata(dtype=np.float64))),
    }


cases = []


def save(name, img, container):
    """Puts what nibabel writes into the archive, and what it reads of that into the list."""
    files = {"nii": ["image"], "nii.gz": ["image"], "img": ["header", "image"], "img.gz": ["header", "image"]}[container]
    suffix = {"nii": {"image": ".nii"}, "nii.gz": {"image": ".nii.gz"}, "img": {"header": ".hdr", "image": ".img"},
              "img.gz": {"header": ".hdr.gz", "image": ".img.gz"}}[container]
    tmp = os.path.join(tempfile.gettempdir(), "golden_" + name)
    nib.save(img, tmp + suffix["image"])
    case = described(nib.load(tmp + suffix["image"]))
    case["name"] = name + suffix["image"]
    for f in files:
        with open(tmp + suffix[f], "rb") as g:
            # A fixed time, so that the archive is the same each time.
            archive.writestr(zipfile.ZipInfo(name + suffix[f]), g.read(), zipfile.ZIP_DEFLATED)
        os.remove(tmp + suffix[f])
    cases.append(case)


def image(data, version=1, order="<", pair=False, affine=None, **fields):
    klass = {(1, False): nib.Nifti1Image, (1, True): nib.Nifti1Pair, (2, False): nib.Nifti2Image, (2, True): nib.Nifti2Pair}[version, pair]
    h = klass.header_class(endianness=order)
    h.set_data_dtype(data.dtype)
    img = klass(data, np.diag([2, 3, 4, 1.0]) if affine is None else affine, h, dtype=fields.pop("dtype", data.dtype))
    for k, v in fields.items():
        img.header[k] = v
    return img


types = ["u1", "i2", "i4", "f4", "f8", "i1", "u2", "u4", "i8", "u8"]
for t in types:
    dtype = np.dtype(t)
    if dtype.kind == "f":
        a = rng.standard_normal(shape).astype(dtype)
        a.ravel(order="K")[:4] = [0, np.nan, np.inf, -np.inf]
    else:
        info = np.iinfo(dtype)
        a = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
        a[0, 0, 0, 0], a[1, 0, 0, 0] = info.min, info.max
    for version in (1, 2):
        for order in "<>":
            for container in ("nii", "nii.gz", "img"):
                save(f"{dtype.name}_{version}_{'little' if order == '<' else 'big'}", image(a, version, order, container == "img"), container)
save("both_gzipped", image(a, pair=True), "img.gz")

# Scaled integers: nibabel chooses slope and intercept.
smooth = rng.standard_normal(shape) * 50 + 500
for t in ("u1", "i1", "i2", "u2", "i4", "u4"):
    for order in "<>":
        save(f"scaled_{np.dtype(t).name}_{'little' if order == '<' else 'big'}", image(smooth, order=order, dtype=np.dtype(t)), "nii")

# Shapes.
for s in [(5,), (4, 3), (4, 3, 1), (3, 2, 1, 4), (3, 2, 2, 1, 3), (2, 1, 2, 2, 1, 2), (2, 1, 1, 2, 1, 2, 2), (40000,)]:
    version = 2 if max(s) > 32767 else 1
    save("shape_" + "x".join(map(str, s)), image(np.arange(np.prod(s)).reshape(s).astype("u1" if version == 2 else "i2"), version), "nii.gz")

# Orientations, units and the other fields.
values = np.arange(np.prod(shape), dtype="f4").reshape(shape)
oblique = nib.affines.from_matvec(np.linalg.qr(rng.standard_normal((3, 3)))[0] @ np.diag([2, 3, 4.0]), [-20, 30.5, 7])
if np.linalg.det(oblique) < 0:
    oblique[:, 2] *= -1
    oblique[:3, 3] = [-20, 30.5, 7]
left = oblique.copy()
left[:3, 0] *= -1
half = np.diag([-2, -3, 4, 1.0])  # a turn by 180 degrees
for name, affine in {"oblique": oblique, "left": left, "half": half, "flip": np.diag([-2, 3, 4, 1.0])}.items():
    for form in ("qform", "sform", "both"):
        img = image(values, affine=affine)
        img.set_sform(affine if form != "qform" else None, 4 if form != "qform" else 0)
        img.set_qform(affine if form != "sform" else None, 1 if form != "sform" else 0)
        save(f"{name}_{form}", img, "nii")
img = image(values)
img.set_sform(None, 0)
img.set_qform(None, 0)
save("no_form", img, "nii")
for space in MM:
    for time in SEC:
        img = image(values, affine=np.diag([2 / MM[space], 3 / MM[space], 4 / MM[space], 1.0]))
        img.header.set_xyzt_units(space, time)
        img.header["pixdim"][4] = 2.5 / SEC[time]
        save(f"units_{space}_{time}", img, "nii")
for version in (1, 2):
    for pair in (False, True):
        img = image(values, version, pair=pair, toffset=1.5, slice_duration=0.25, cal_min=-3, cal_max=7, intent_code=3, intent_p1=11, intent_p2=0.5,
                    intent_p3=-1, intent_name=b"a statistic", descrip=b"x" * 80, aux_file=b"y" * 24, slice_start=0, slice_end=1, slice_code=3, dim_info=57)
        img.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a comment"))
        img.header.extensions.append(nib.nifti1.Nifti1Extension(4, b"<AFNI_attributes/>" + b" " * 100))
        img.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"another one"))
        save(f"fields_{version}_{'pair' if pair else 'single'}", img, "img" if pair else "nii")

written = []
for path in sorted(glob.glob(os.path.join(here, "written", "*"))):
    case = described(nib.load(path))
    case["name"] = os.path.basename(path)
    written.append(case)
archive.close()


def lines(all):
    return "[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in all) + "\n]"


with open(os.path.join(here, "nibabel.json"), "w") as f:
    f.write('{"read": ' + lines(cases) + ',\n"written": ' + lines(written) + ',\n"values": ' + lines(tables) + "}\n")
