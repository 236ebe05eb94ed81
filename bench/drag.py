"""Measure what a drag costs: the Ellipse Lab in the browser beside a matplotlib redraw under ipywidgets.interact.

Run with ``make bench``. It prints the median and the 95th percentile of the work per pointer event, the frames that
were dropped while a handle was dragged at the display's rate, the time of one interact redraw in the kernel, and their
ratio.
The redraw is timed without a kernel's messages and without the browser decoding the image: the ratio is a lower bound.
"""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import statistics
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import ipywidgets
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from playwright.sync_api import Page, sync_playwright

from ia3_lab.geometry import unit_circle

matplotlib.use("Agg")
SITE = Path(__file__).resolve().parent.parent / "_build" / "html"
PAGE = "book/03-geometry.html"
MOVES = 240
#: the frame of a 60 Hz display, and when one counts as dropped
FRAME_MS, DROPPED_MS = 1000 / 60, 1.5 * 1000 / 60
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

MEASURE = """async (moves) => {
  const root = document.querySelector('[data-widget-name="EllipseLab"]');
  const handle = root.querySelector('.ia3-handle');
  handle.scrollIntoView({ block: 'center' });
  await new Promise(requestAnimationFrame);
  const box = handle.querySelector('.ia3-dot').getBoundingClientRect();
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  handle.setPointerCapture = () => {};
  const fire = (type, dx) => handle.dispatchEvent(new PointerEvent(type,
    { bubbles: true, pointerId: 1, button: 0, buttons: 1, clientX: x + dx, clientY: y }));
  const work = [], frames = [];
  fire('pointerdown', 0);
  let last = await new Promise(requestAnimationFrame);
  for (let i = 1; i <= moves; i++) {
    const start = performance.now();
    fire('pointermove', -60 * Math.abs(Math.sin(i / 20)));
    await null; await null;                        // the redraw is a microtask
    work.push(performance.now() - start);
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  fire('pointerup', 0);
  return { work, frames };
}"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def measure_widget(page: Page) -> dict[str, list[float]]:
    """Return milliseconds of work per pointer event and between frames."""
    page.evaluate(MEASURE, 60)  # warm up
    return page.evaluate(MEASURE, MOVES)


def measure_interact(repeats: int = 40) -> list[float]:
    """Return milliseconds of one redraw of the same picture by ipywidgets.interact with matplotlib."""

    def draw(l_1: float = 1.0, l_2: float = 1.0) -> None:
        figure, ax = plt.subplots(figsize=(4, 4), dpi=100)
        circle = unit_circle()
        ax.plot(*circle.T, "--")
        ax.plot(*(circle @ np.diag([l_1, l_2])).T)
        ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
        figure.savefig(io.BytesIO(), format="png")
        plt.close(figure)

    times = []
    with contextlib.redirect_stdout(io.StringIO()):  # outside a notebook, clearing an output prints control codes
        panel = ipywidgets.interactive(draw, l_1=(-2.5, 2.5, 0.05), l_2=(-2.5, 2.5, 0.05))
        for i in range(repeats + 3):
            start = time.perf_counter()
            panel.children[0].value = 1 + (i % 20) * 0.05  # interact redraws when the value changes
            times.append(1000 * (time.perf_counter() - start))
    return times[3:]


def report(name: str, times: list[float]) -> float:
    """Print the median and 95th percentile; return the median."""
    median, high = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    print(f"{name:<44} median {median:8.3f} ms   95th percentile {high:8.3f} ms   n = {len(times)}")
    return median


def main() -> None:
    """Measure both and print the ratio."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/{PAGE}")
        page.wait_for_function("document.documentElement.dataset.widgets === 'ready'")
        result = measure_widget(page)
        browser.close()
    server.shutdown()
    drag = report("Ellipse Lab, work per pointer event", result["work"])
    report("Ellipse Lab, time between frames", result["frames"])
    dropped = sum(frame > DROPPED_MS for frame in result["frames"])
    print(f"{'dropped frames (longer than 25 ms)':<44} {dropped} of {MOVES}")
    redraw = report("ipywidgets.interact with matplotlib", measure_interact())
    print(f"{'ratio, interact to Ellipse Lab':<44} {redraw / drag:.0f}")


if __name__ == "__main__":
    main()
