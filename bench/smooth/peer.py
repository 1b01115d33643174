"""Times the Gaussian of nilearn.image.smooth_img, which is SciPy's, on one recording.

    pip install -r requirements.txt
    python peer.py time RUN.npy RESULT.npy     # and compares with Parade's result
    python peer.py file IN OUT                 # smooths a NIfTI file
    python peer.py spawn CASE NAME COMMAND...  # times a command as a whole process
    python peer.py table RESULTS               # both sides side by side

"time" does with the array, in the order in which nibabel gives it, what nilearn 0.12
does: gaussian_filter1d along each axis of the whole recording, in place. AFNI is not run
here: its times in the table are of AFNI 26.2.03 on a recording of this shape, 36 % of its
voxels in the mask, one thread on the machine of 2026-11, and of 33 and 39 rounds.
"""
import json
import math
import resource
import statistics
import subprocess
import sys
import time

AFNI = {"to-fwhm": 292.0, "to-fwhm-mask": 96.0}  # CPU s


def measure(path, result):
    import numpy as np
    from scipy.ndimage import gaussian_filter1d

    data = np.load(path).T  # (x, y, z, t), x fastest
    cpu, wall = time.process_time(), time.perf_counter()
    data[~np.isfinite(data)] = 0
    for axis, voxel in enumerate((3, 3, 3.5)):
        gaussian_filter1d(data, 6 / (math.sqrt(8 * math.log(2)) * voxel), axis=axis, output=data, mode="reflect", truncate=4.0)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    off = float(np.abs(data - np.load(result).T).max() / np.abs(data).max())
    if off > 2e-6:
        sys.exit("the results differ by %g of the maximum" % off)
    print(json.dumps({"case": "gaussian", "executor": "scipy", "workers": 1, "cpu": cpu, "wall": wall, "peak": peak, "off": off}))


def smooth_file(source, target):
    import nibabel
    import numpy as np
    from scipy.ndimage import gaussian_filter1d

    image = nibabel.load(source)
    data = image.get_fdata(dtype=np.float32)
    data[~np.isfinite(data)] = 0
    for axis, voxel in enumerate(image.header.get_zooms()[:3]):
        gaussian_filter1d(data, 6 / (math.sqrt(8 * math.log(2)) * voxel), axis=axis, output=data, mode="reflect", truncate=4.0)
    nibabel.save(nibabel.Nifti1Image(data, image.affine), target)


def spawn(case, name, *command):
    wall = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - wall
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"case": case, "executor": name, "workers": 2 if name == "parade" else 1,
                      "cpu": used.ru_utime + used.ru_stime, "wall": wall, "peak": 1024 * used.ru_maxrss}))


def table(path):
    with open(path) as f:
        results = [json.loads(line) for line in f]
    runs = {}
    for r in results:
        runs.setdefault((r["case"], r["executor"], r["workers"]), []).append(r)
    # The least of several: what else runs on the machine only adds.
    least = {key: min(r["cpu"] for r in rs) for key, rs in runs.items()}
    for (case, name, workers), rs in runs.items():
        cpu = least[case, name, workers]
        ratio = ""
        if name == "parade" and case == "gaussian":
            ratio = "%.1f x SciPy" % (least["gaussian", "scipy", 1] / cpu)
        elif name == "parade" and case in AFNI:
            ratio = "%.1f x AFNI's time, %d rounds" % (AFNI[case] / cpu, rs[0]["rounds"])
        elif name == "parade":
            walls = [min(r["wall"] for r in runs[case, who, n]) for who, n in (("nibabel", 1), ("parade", 2))]
            ratio = "wall %.1f x nibabel and SciPy" % (walls[0] / walls[1])
        print("%-13s %-7s %d core%s  CPU %6.2f s  wall %6.2f s (least of %d; median %6.2f and %6.2f)  peak %4d MB  %s" % (
            case, name, workers, " " if workers == 1 else "s", cpu, min(r["wall"] for r in rs), len(rs),
            statistics.median(r["cpu"] for r in rs), statistics.median(r["wall"] for r in rs), max(r["peak"] for r in rs) / 1e6, ratio))
    print("largest difference from SciPy: %.1e of the maximum" % max(r.get("off", 0) for r in results))


{"time": measure, "file": smooth_file, "spawn": spawn, "table": table}[sys.argv[1]](*sys.argv[2:])
