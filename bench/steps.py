"""Time a training step of each method of the comparison, in turns, and store the seconds that chapter 7 prints.

Run with ``make step-times``, on a machine without other work; it takes some minutes. One thread, as in the comparison.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from ia3_lab import pretrained, step_times

OUTPUT = Path(__file__).resolve().parent.parent / "ia3_lab" / "data" / "step-times.json"


def main() -> None:
    """Measure, write the file beside the old one first, and print each method's median ratio to IA3."""
    torch.set_num_threads(1)
    seconds = step_times.measure_step_times(pretrained.load("cpu"))
    machine = f"{platform.system()} {platform.machine()}, one thread of {os.cpu_count()} cores"
    content = {"environment": {"machine": machine, "torch": torch.__version__}, "seconds": seconds}
    half = OUTPUT.with_suffix(".part")
    half.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf8")
    os.replace(half, OUTPUT)
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(times, seconds["ia3"], strict=True)]
        print(f"{name:14} {statistics.median(times):.3f} s a step, {statistics.median(ratios):.2f} times IA3's")


if __name__ == "__main__":
    main()
