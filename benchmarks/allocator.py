"""What keeping freed memory does to a training step on a CPU: the same steps in two processes, alternating.

python benchmarks/allocator.py -o results/allocator.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from allfocus.atomic_file import write_json
from allfocus.evaluate.measure import machine

STEP = """
import sys, time, torch
from allfocus.nets.registry import architecture
from allfocus.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
batch, side, threads = map(int, sys.argv[3:])
torch.set_num_threads(threads)
net = architecture(sys.argv[2]).build().to(memory_format=torch.channels_last)
photos = torch.rand(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
times = []
for _ in range(6):
    started = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = net(photos)
    output.sharp.float().square().mean().backward()
    net.zero_grad(set_to_none=True)
    times.append(time.perf_counter() - started)
print(sorted(times[2:])[2])
"""


def main() -> None:
    """Alternate, take medians, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="ifan-fast")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=160, help="side of the photos in px")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/allocator.json"))
    options = parser.parse_args()
    numbers = [str(one) for one in (options.batch, options.patch, options.threads)]
    seconds: dict[str, list[float]] = {"default": [], "kept": []}
    for _ in range(options.rounds):
        for name, times in seconds.items():
            line = [sys.executable, "-c", STEP, name, options.architecture, *numbers]
            times.append(float(subprocess.run(line, check=True, capture_output=True, text=True).stdout))
    median = {name: statistics.median(times) for name, times in seconds.items()}
    record = {
        "what": f"training step of {options.architecture}, batch {options.batch} of {options.patch}x{options.patch}, "
        f"bfloat16, {options.threads} threads",
        "seconds": seconds,
        "median_seconds": median,
        "ratio": median["default"] / median["kept"],
        "machine": machine(),
    }
    write_json(options.output, record)
    print(json.dumps(record["median_seconds"]), record["ratio"])


if __name__ == "__main__":
    main()
