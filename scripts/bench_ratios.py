"""Prints a Markdown table of two saved criterion baselines: time per iteration and ratio.

Usage: bench_ratios.py CRITERION_FOLDER BASE HEAD

A ratio below 1 is faster. Where the 95 % intervals of the two means overlap, the difference may be noise and the
last column says so. A bench that only one side has is listed without a ratio.
"""

import json
import pathlib
import sys


def estimates(folder, baseline):
    """Mean time in ns with its interval, by bench."""
    found = {}
    for path in sorted(folder.glob(f"**/{baseline}/estimates.json")):
        mean = json.loads(path.read_text())["mean"]
        interval = mean["confidence_interval"]
        name = path.parent.parent.relative_to(folder).as_posix()
        found[name] = (mean["point_estimate"], interval["lower_bound"], interval["upper_bound"])
    return found


def time(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def row(name, base, head):
    if base is None or head is None:
        shown = [time(side[0]) if side else "–" for side in (base, head)]
        return [name, *shown, "–", "new" if base is None else "gone"]
    apart = base[2] < head[1] or head[2] < base[1]
    verdict = "within noise" if not apart else "faster" if head[0] < base[0] else "slower"
    return [name, time(base[0]), time(head[0]), f"{head[0] / base[0]:.3f}", verdict]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    folder, base_name, head_name = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    base, head = estimates(folder, base_name), estimates(folder, head_name)
    if not base and not head:
        sys.exit(f"{folder}: expected estimates of {base_name} or {head_name}, found none")
    print(f"| bench | {base_name} | {head_name} | ratio | |\n| --- | ---: | ---: | ---: | --- |")
    for name in sorted(base.keys() | head.keys()):
        print("| " + " | ".join(row(name, base.get(name), head.get(name))) + " |")


main()
