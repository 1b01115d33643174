"""Times elephant.statistics.time_histogram on two cases.

    pip install -r requirements.txt
    python peer.py write CASE TRAINS.npy
    python peer.py time CASE TRAINS.npy
    python peer.py table RESULTS           # both sides side by side

The cases: "tutorial", that of Elephant's parallel tutorial, 8 Poisson trains of
10 Hz and 100 s in 100 histograms with bins of 1 to 100 ms; "recording", 200
trains of 20 Hz and 600 s, 2.4 million spikes, in one with bins of 10 ms.

"time" prints a JSON object for each run, with a checksum of all counts.
"""
import json
import statistics
import sys
import time
import zlib

RUNS = 5
CASES = {  # trains, Hz, s, bins in ms
    "tutorial": (8, 10, 100, list(range(1, 101))),
    "recording": (200, 20, 600, [10]),
}


def write(case, path):
    import numpy as np
    import quantities as pq
    from elephant.spike_train_generation import StationaryPoissonProcess

    n, rate, stop, _ = CASES[case]
    np.random.seed(28)
    trains = StationaryPoissonProcess(rate * pq.Hz, t_stop=stop * pq.s).generate_n_spiketrains(n)
    np.save(path, np.concatenate([np.column_stack((np.full(len(t), k), t.magnitude)) for k, t in enumerate(trains)]))


def measure(case, path):
    import logging
    import warnings

    import neo
    import numpy as np
    import quantities as pq
    from elephant.statistics import time_histogram

    # Elephant logs and warns of moved and dropped spikes: that is not measured.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    n, _, stop, bins = CASES[case]
    rows = np.load(path)
    trains = [neo.SpikeTrain(rows[rows[:, 0] == k, 1], units="s", t_stop=stop * pq.s) for k in range(n)]
    bins = [b * pq.ms for b in bins]
    for run in range(1 + RUNS):
        start = time.perf_counter()
        hists = [time_histogram(trains, b) for b in bins]
        took = time.perf_counter() - start
        if run == 0:
            continue  # to warm up
        checksum = 0
        for h in hists:
            checksum = zlib.crc32(h.magnitude.ravel().astype("<i8").tobytes(), checksum)
        print(json.dumps({"case": case, "executor": "elephant", "workers": 1, "value": took,
                          "spikes": len(rows) * len(bins), "checksum": checksum}))


def table(path):
    with open(path) as f:
        results = [json.loads(line) for line in f]
    for case in CASES:
        mine = [r for r in results if r["case"] == case]
        checksums = {r["checksum"] for r in mine}
        if len(checksums) != 1:
            sys.exit("the two sides count differently: %s" % checksums)
        values = {}
        for r in mine:
            values.setdefault((r["executor"], r["workers"]), []).append(r["value"])
        median = {key: statistics.median(v) for key, v in values.items()}
        print("%s: %d spikes, counts are equal (checksum %08x)" % (case, mine[0]["spikes"], checksums.pop()))
        for (name, workers), v in values.items():
            print("  %-9s %d core%s %9.3f ms  %6.2f ns a spike  %6.1f x Elephant  (median of %d, %.3f to %.3f ms)" % (
                name, workers, " " if workers == 1 else "s", 1e3 * median[name, workers], 1e9 * median[name, workers] / mine[0]["spikes"],
                median["elephant", 1] / median[name, workers], len(v), 1e3 * min(v), 1e3 * max(v)))


{"write": write, "time": measure, "table": table}[sys.argv[1]](*sys.argv[2:])
