"""Times elephant.statistics.time_histogram on the case of its parallel tutorial.

    pip install -r requirements.txt
    python peer.py write TRAINS.npy   # 8 Poisson trains of 10 Hz and 100 s
    python peer.py time TRAINS.npy    # 100 histograms, bins of 1 to 100 ms
    python peer.py table RESULTS      # both sides side by side

"time" prints a JSON object for each run, with a checksum of all counts.
"""
import json
import statistics
import sys
import time
import zlib

RUNS = 5


def write(path):
    import numpy as np
    import quantities as pq
    from elephant.spike_train_generation import StationaryPoissonProcess

    np.random.seed(28)
    trains = StationaryPoissonProcess(10 * pq.Hz, t_stop=100 * pq.s).generate_n_spiketrains(8)
    np.save(path, np.concatenate([np.column_stack((np.full(len(t), k), t.magnitude)) for k, t in enumerate(trains)]))


def measure(path):
    import logging
    import warnings

    import neo
    import numpy as np
    import quantities as pq
    from elephant.statistics import time_histogram

    # Elephant logs and warns of moved and dropped spikes: that is not measured.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    rows = np.load(path)
    trains = [neo.SpikeTrain(rows[rows[:, 0] == k, 1], units="s", t_stop=100 * pq.s) for k in range(8)]
    bins = [b * pq.ms for b in np.linspace(1, 100, 100)]
    for run in range(1 + RUNS):
        start = time.perf_counter()
        hists = [time_histogram(trains, b) for b in bins]
        took = time.perf_counter() - start
        if run == 0:
            continue  # to warm up
        checksum = 0
        for h in hists:
            checksum = zlib.crc32(h.magnitude.ravel().astype("<i8").tobytes(), checksum)
        print(json.dumps({"metric": "time-histogram", "executor": "elephant", "workers": 1, "value": took, "unit": "s", "checksum": checksum}))


def table(path):
    with open(path) as f:
        results = [json.loads(line) for line in f]
    checksums = {r["checksum"] for r in results}
    if len(checksums) != 1:
        sys.exit("the two sides count differently: %s" % checksums)
    values = {}
    for r in results:
        values.setdefault(r["executor"], []).append(r["value"])
    for name, v in values.items():
        print("%-10s %9.3f ms (median of %d, %.3f to %.3f)" % (name, 1e3 * statistics.median(v), len(v), 1e3 * min(v), 1e3 * max(v)))
    ratio = statistics.median(values["elephant"]) / statistics.median(values["parade"])
    print("parade is %.0f times as fast, counts are equal (checksum %08x)" % (ratio, checksums.pop()))


{"write": write, "time": measure, "table": table}[sys.argv[1]](sys.argv[2])
