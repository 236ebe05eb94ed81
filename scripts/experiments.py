"""Make the runs of the few-shot comparison and of the rate sweep: `make experiments`. Interrupt it and start it again.

Runs go side by side in processes of one thread each. Each finished run is written at once, so an interruption costs the
runs in progress and no more.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import multiprocessing
import os
import platform
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from tqdm import tqdm

from ia3_lab import pretrained
from ia3_lab.study import protocol, results, runs, tasks

#: The log of each stage of the protocol.
LOGS = {"search": results.FEW_SHOT.name, "final": results.FEW_SHOT.name, "sweep": results.RATES.name}


def prepare() -> None:
    """Load the model once in each process, which ends when the script does, however that ends."""
    global base
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches all processes, and the script answers it
    threading.Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    torch.set_num_threads(1)
    base = pretrained.load()


def perform(run: protocol.Run) -> protocol.Result:
    """Make a run with the model of this process."""
    return runs.perform(run, base)


def write(log: BinaryIO, **entry: dict) -> None:
    """Append a line; the log has no buffer, so it is written at once."""
    log.write(json.dumps(entry).encode() + b"\n")


def environment() -> dict:
    """Return what the runs made here are made with."""
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "transformers", "tokenizers", "numpy", "ia3-lab")},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": pretrained.get_device().type,
        "weights": pretrained.DIGESTS["model.safetensors"],
        "tasks": {name: tasks.get_task(name).digest() for name in tasks.TASKS},
    }


def go_on(log: BinaryIO, path: Path, here: dict) -> dict[protocol.Run, protocol.Result]:
    """Keep other scripts out of a log, cut off an unfinished last line, and return what is there."""
    fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    log.seek(0)
    content = log.read()
    if content and not content.startswith(b'{"environment": '):
        raise ValueError(f"{path} is no log of runs: choose another --output")
    before = results.read_environments(path)
    if any(then["weights"] != here["weights"] or then["tasks"].items() - here["tasks"].items() for then in before):
        raise ValueError(f"the runs in {path} were made with other weights or sentences: choose another --output")
    log.truncate(content.rfind(b"\n") + 1)
    return results.read_log(path)


def make_runs(folder: Path, jobs: int) -> None:
    """Make every run that the logs in a folder lack, those of the search first, round by round."""
    folder.mkdir(parents=True, exist_ok=True)
    pool, done = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=prepare), {}
    here = environment()
    with pool:
        try:
            for name in dict.fromkeys(LOGS.values()):
                with open(folder / name, "a+b", buffering=0) as log:
                    done |= go_on(log, folder / name, here)
                    while (missing := protocol.missing_runs(done)) and LOGS[missing[0].stage] == name:
                        if results.read_environments(folder / name)[-1:] != [here]:
                            write(log, environment=here)
                        make(missing, pool, log, done)
        except BaseException:
            for process in multiprocessing.active_children():
                process.kill()
            raise


def make(missing: list[protocol.Run], pool: ProcessPoolExecutor, log: BinaryIO, done: dict) -> None:
    """Make runs side by side, and write each as it is finished."""
    run_of = {pool.submit(perform, run): run for run in missing}
    for future in tqdm(as_completed(run_of), f"{missing[0].stage} runs", len(run_of), unit="run"):
        run = run_of[future]
        done[run] = future.result()
        write(log, run=run._asdict(), result=done[run]._asdict())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of the two logs, gone on with")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs side by side (1 is enough on a GPU)")
    arguments = parser.parse_args()
    goes_on = f"Finished runs are in {arguments.output}; the same command goes on from there."
    try:
        make_runs(arguments.output, arguments.jobs)
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted. {goes_on}")
    except BrokenProcessPool:
        sys.exit(f"\nA process has ended, as it says above, or else for lack of memory: try --jobs 1. {goes_on}")
    except BlockingIOError:
        sys.exit(f"another script is writing to {arguments.output}: wait for it, or choose another --output")
    print(f"All runs are in {arguments.output}. The book's own are in ia3_lab/study/data.")


if __name__ == "__main__":
    main()
