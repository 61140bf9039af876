"""A simulated calibration: the threshold and the noise of each pixel of a module, from a scan of the threshold.

It stands for a program such as Ph2_ACF: it reads its parameters as JSON from its standard input, tells its progress in
lines of JSON, and writes what it finds into the folder COUNTINGROOM_OUTPUT.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy

VERSION = "1.0"
PULSES = 100


def main() -> None:
    """Scan, then fit: the mean of the derivative is the threshold, its width the noise."""
    order = json.load(sys.stdin)
    given = order["parameters"]
    output = Path(os.environ["COUNTINGROOM_OUTPUT"])
    rows, columns, steps = int(given["rows"]), int(given["columns"]), int(given["steps"])
    tell(versions={"threshold_scan": VERSION}, comment=f"{rows * columns} pixels, {steps} steps")
    random = numpy.random.default_rng(order["result"])
    threshold = random.normal(120.0, 6.0, (rows, columns)) + numpy.linspace(-4, 4, columns)
    noise = numpy.abs(random.normal(4.0, 0.6, (rows, columns)))
    noise[rows // 3, columns // 2 :] *= 1.8  # a noisy row
    values = numpy.linspace(80.0, 160.0, steps)
    hits = numpy.zeros((steps, rows, columns))
    for step, value in enumerate(values):
        seen = 1 / (1 + numpy.exp(-1.702 * (value - threshold) / noise))
        hits[step] = random.binomial(PULSES, seen)
        tell(progress=(step + 1) / steps, comment=f"threshold {value:.1f}")
        time.sleep(float(given["pause"]))
    change = numpy.clip(numpy.diff(hits, axis=0, prepend=0.0), 0, None)
    total = numpy.maximum(change.sum(axis=0), 1)
    middle = (change * values[:, None, None]).sum(axis=0) / total
    width = numpy.sqrt(numpy.maximum((change * (values[:, None, None] - middle) ** 2).sum(axis=0) / total, 0))
    numpy.save(output / "noise.npy", width)
    numpy.save(output / "threshold.npy", middle)
    curve = ["threshold,hits"] + [
        f"{value:.3f},{mean:.4f}" for value, mean in zip(values, hits.mean(axis=(1, 2)), strict=True)
    ]
    (output / "s_curve.csv").write_text("\n".join(curve) + "\n")
    noisy = [[int(row), int(column)] for row, column in numpy.argwhere(width > 6.0)]
    summary = {
        "module": given["module"],
        "pulses": PULSES,
        "threshold": {"mean": round(float(middle.mean()), 3), "deviation": round(float(middle.std()), 3)},
        "noise": {"mean": round(float(width.mean()), 3), "deviation": round(float(width.std()), 3)},
        "noisy_pixels": noisy[:10],
    }
    (output / "summary.json").write_text(json.dumps(summary, indent=2))
    tell(counters={"pixels": rows * columns, "noisy": len(noisy)})
    print(f"noise {width.mean():.2f}, threshold {middle.mean():.1f}, {len(noisy)} noisy pixels", flush=True)


def tell(**what: object) -> None:
    """A line for countingroom."""
    print(json.dumps(what), flush=True)


main()
