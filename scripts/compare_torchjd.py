#!/usr/bin/env python3
"""Times aggregation beside TorchJD: the same matrices in f64, one method after the other, ours and theirs in turn.

    cargo build --release --example aggregate
    python scripts/compare_torchjd.py --ours target/release/examples/aggregate

Prints the medians in milliseconds, and the median over the rounds of the ratios ours / theirs. "small" has rows of twice as
many numbers as tasks, so that the K x K part decides; "large" has rows of 50 000 numbers.
"""

import argparse
import json
import statistics
import subprocess
import time

import torch
from torchjd import aggregation as theirs


def methods(tasks):
    """Our configuration and their aggregator, for so many tasks."""
    yield {"name": "mean"}, theirs.Mean()
    yield {"name": "mgda"}, theirs.MGDA()
    yield {"name": "dualproj"}, theirs.DualProj()
    yield {"name": "upgrad"}, theirs.UPGrad()
    yield {"name": "pcgrad"}, theirs.PCGrad()
    yield {"name": "gradvac"}, theirs.GradVac()
    yield {"name": "imtl_g"}, theirs.IMTLG()
    yield {"name": "cagrad", "c": 0.5}, theirs.CAGrad(c=0.5)
    yield {"name": "nash_mtl"}, theirs.NashMTL(n_tasks=tasks)
    yield {"name": "fairgrad", "alpha": 2.0}, theirs.FairGrad(alpha=2.0)
    yield {"name": "aligned_mtl"}, theirs.AlignedMTL()
    yield {"name": "config"}, theirs.ConFIG()
    yield {"name": "pcd", "tau": 0.02}, theirs.PCD(tau=0.02)
    yield {"name": "excess_mtl"}, theirs.ExcessMTL(robust_step_size=0.01)
    yield {"name": "graddrop"}, theirs.GradDrop()
    if tasks > 3:
        yield {"name": "krum", "n_byzantine": 1, "n_selected": 2}, theirs.Krum(1, 2)
        yield {"name": "trimmed_mean", "trim": 1}, theirs.TrimmedMean(1)


def time_ours(process, jacobian, method):
    process.stdin.write(json.dumps({"jacobian": jacobian, "method": method}) + "\n")
    process.stdin.flush()
    reply = json.loads(process.stdout.readline())
    return reply.get("seconds"), reply.get("error")


def time_theirs(aggregator, jacobian, repeat):
    seconds = []
    try:
        for _ in range(repeat):
            start = time.perf_counter()
            aggregator(jacobian)
            seconds.append(time.perf_counter() - start)
    except Exception as error:  # what is missing or fails there is a result too
        return None, type(error).__name__
    return statistics.median(seconds), None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the example `aggregate`, built for release")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", metavar="METHOD", help="these methods alone")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_default_dtype(torch.float64)
    process = subprocess.Popen(
        [arguments.ours, "--repeat", str(arguments.repeat)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    print("| method | tasks | rows | ours ms | TorchJD ms | ratio |\n| --- | --- | --- | --- | --- | --- |")
    worst = []
    for tasks in [2, 8, 40]:
        for rows, width in [("small", 2 * tasks), ("large", 50_000)]:
            torch.manual_seed(tasks)
            jacobian = torch.randn(tasks, width) + 0.2
            text = jacobian.tolist()
            for method, aggregator in methods(tasks):
                if arguments.only and method["name"] not in arguments.only:
                    continue
                pairs, errors = [], set()
                for _ in range(arguments.rounds):
                    ours, error = time_ours(process, text, method)
                    other, other_error = time_theirs(aggregator, jacobian, arguments.repeat)
                    errors |= {e for e in [error, other_error] if e}
                    if ours and other:
                        pairs.append((ours, other))
                if not pairs:
                    print(f"| `{method['name']}` | {tasks} | {rows} | {'; '.join(sorted(errors))} | | |")
                    continue
                ratio = statistics.median(a / b for a, b in pairs)
                worst.append((ratio, method["name"], tasks, rows))
                middle = [1e3 * statistics.median(side) for side in zip(*pairs)]
                print(f"| `{method['name']}` | {tasks} | {rows} | {middle[0]:.3f} | {middle[1]:.3f} | {ratio:.2f} |", flush=True)
    process.stdin.close()
    process.wait()
    slower = sorted((row for row in worst if row[0] > 1.0), reverse=True)
    mean = statistics.geometric_mean(row[0] for row in worst)
    print(f"\ngeometric mean {mean:.3f}; slower: {slower or 'none'}")


if __name__ == "__main__":
    main()
