"""Make the runs of the few-shot comparison: `make experiments`. Interrupt it when you like and start it again.

Runs go side by side in processes of one thread each. Each finished run is written and flushed at once. The first
Ctrl+C lets the runs in progress finish, a second one costs them and no more.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import platform
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from importlib import metadata
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tqdm import tqdm

from ia3_lab import devices, experiments, methods, pretrained, protocol

OUTPUT = Path("results/few-shot.jsonl")
#: Relative cost of a training step, to start the long runs first and to say what time is left.
COST = {"head": 0.4, "full": 2.5}

_base: pretrained.Pretrained


def prepare() -> None:
    """Load the model once in each process."""
    import torch

    global _base
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process answers Ctrl+C
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _base = pretrained.load()


def end_with_parent() -> None:
    """Leave no process behind when the parent was killed and could not end its own."""
    multiprocessing.parent_process().join()
    os._exit(1)


def perform(run: protocol.Run) -> protocol.Result:
    """Make a run with the model of this process."""
    return experiments.perform(run, _base)


def cost(run: protocol.Run) -> int:
    """Say what a run costs, in steps of IA3; scoring counts like fifteen steps."""
    return round(run.steps * COST.get(run.method, 1.0)) + 15


def cost_to_come(missing: list[protocol.Run]) -> int:
    """Say what is left; in the search, guess the final runs at the number of steps that every search starts with."""
    if missing[0].stage == "final":
        return sum(map(cost, missing))
    guess = {name: protocol.Trial(None, -11, 1) for name in methods.METHODS}
    return sum(map(cost, missing)) + sum(map(cost, protocol.final_runs(guess)))


def open_log(path: Path) -> dict[protocol.Run, protocol.Result]:
    """Read what is there, mend its last line, and note the versions and the machine of what follows."""
    results = protocol.read_results(path) if path.exists() else {}
    if path.exists():
        protocol.check_tasks(path)
        check_weights(path)
        mend(path)
    environment = {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "transformers", "tokenizers", "numpy", "ia3-lab")},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": devices.get_device().type,
        "weights": pretrained.DIGESTS["model.safetensors"],
        "tasks": {name: protocol.task_digest(name) for name in protocol.TASKS},
    }
    if not path.exists() or protocol.read_environments(path)[-1:] != [environment]:
        write(path, protocol.json_line({"environment": environment}))
    return results


def check_weights(path: Path) -> None:
    """Refuse to go on with runs that were made with other weights."""
    ours = pretrained.DIGESTS["model.safetensors"]
    for environment in protocol.read_environments(path):
        if (theirs := environment.get("weights")) != ours:
            raise ValueError(
                f"the runs in {path} were made with weights {theirs}, those of {pretrained.NAME} are {ours}: "
                "move the file away, or choose another --output"
            )


def mend(path: Path) -> None:
    """End the file with a whole line: cut one that an interruption left unfinished, or add the end that it lacks."""
    content, rest = path.read_bytes(), protocol.cut_short(path)
    if rest:
        print(f"Cutting {len(rest)} bytes off the end of {path}: a run that an interruption left half written.")
        os.truncate(path, len(content) - len(rest))
    elif content and not content.endswith(b"\n"):
        write(path, "\n")


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep a second script from making the same runs, where the system has file locks."""
    if path.is_dir():
        raise ValueError(f"--output must be a file, {path} is a folder: name a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path.with_name(f"{path.name}.lock"), "a") as file:  # "w" would empty a file of yours that has this name
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"another script is writing to {path}: wait for it, or choose another --output") from error
        yield


def write(path: Path, line: str) -> None:
    """Append a line and see it onto the disk."""
    with open(path, "a", encoding="utf8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


class Interruption:
    """Answers Ctrl+C and SIGTERM while runs are made: the first waits for those in progress, the second ends them."""

    def __init__(self, pending: Mapping[Future, protocol.Run]) -> None:
        self.pending, self.came = pending, False

    def __enter__(self) -> Interruption:
        self.before = {number: signal.signal(number, self.answer) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, answer in self.before.items():
            signal.signal(number, answer)

    def answer(self, *signal_and_frame: object) -> None:
        """Say what happens now, or end the processes."""
        if self.came:
            for process in multiprocessing.active_children():
                process.kill()
            raise KeyboardInterrupt
        self.came = True
        runs = "1 run" if len(self.pending) == 1 else f"{len(self.pending)} runs"
        message = f"\nFinishing {runs}; press Ctrl+C again to stop now.\n"
        os.write(2, message.encode())  # to stderr; the signal may have come in the middle of a print


def submit(pool: ProcessPoolExecutor, run: protocol.Run) -> Future:
    """Ask for a run. A process that starts for it inherits that Ctrl+C, which reaches all of them, is ignored."""
    answer = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return pool.submit(perform, run)
    finally:
        signal.signal(signal.SIGINT, answer)


def make_runs(path: Path, jobs: int) -> None:
    """Make every missing run, those of the search first."""
    results = open_log(path)
    done = sum(cost(run) for run in results)
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=prepare)
    pending: dict[Future, protocol.Run] = {}
    bar = tqdm(total=done, initial=done, unit="step", unit_scale=True, smoothing=0.02)
    with bar, Interruption(pending) as interruption:
        try:
            while missing := sorted(protocol.missing_runs(results), key=cost, reverse=True):
                if not interruption.came:
                    bar.total = bar.n + cost_to_come(missing)
                    bar.set_description(f"{missing[0].stage} runs")
                    waiting = [run for run in missing if run not in pending.values()]
                    pending |= {submit(pool, run): run for run in waiting[: jobs - len(pending)]}
                if not pending:
                    raise KeyboardInterrupt  # the runs in progress have finished
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    run = pending.pop(future)
                    results[run] = future.result()
                    write(path, protocol.line_for(run, results[run]))
                    bar.update(cost(run))
        finally:
            pool.shutdown(cancel_futures=True)


def main() -> None:
    """Read the command line and make the runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="results file, resumed if it is there")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs side by side (1 is enough on a GPU)")
    arguments = parser.parse_args()
    if arguments.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {arguments.jobs}")
    finished = f"Finished runs are in {arguments.output}; the same command goes on from there."
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as if it were Ctrl+C
    try:
        with alone(arguments.output):
            pretrained.load("cpu")  # so that a missing or wrong file is told here, once
            make_runs(arguments.output, arguments.jobs)
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted. {finished}")
    except BrokenProcessPool:
        sys.exit(f"\nThe system ended one of the processes, perhaps for lack of memory: try --jobs 1. {finished}")
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"\n{error}")
    published = Path(__file__).resolve().parent.parent / "ia3_lab" / "data" / "few-shot.jsonl"
    print(f"All runs are in {arguments.output}. The book prints {published.name} of ia3_lab/data: copy yours over it.")


if __name__ == "__main__":
    main()
