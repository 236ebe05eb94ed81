"""Throw random keys, clicks and drags at every widget: `make fuzz`, ten thousand events each, seeds fixed.

Nothing may raise, no text may hold NaN, no trait may leave what Python accepts, and Reset has to bring the start back.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import shutil
import sys
from pathlib import Path

from ipywidgets.embed import dependency_state
from playwright.sync_api import Page, sync_playwright
from test_widgets import MAKERS

from conftest import CHROMIUM_FLAGS, WIDGET

ROOT = Path(__file__).resolve().parent.parent
KEYS = [
    "ArrowLeft",
    "ArrowRight",
    "ArrowUp",
    "ArrowDown",
    "PageUp",
    "PageDown",
    "Home",
    "End",
    "Tab",
    "Enter",
    " ",
    "0",
    "7",
    "-",
]


def open_page(page: Page, widget) -> None:
    """Show one widget alone, as the site shows it."""
    state = json.dumps({"state": dependency_state([widget], drop_defaults=False)}).replace("</", "<\\/")
    view = json.dumps({"model_id": widget.model_id})
    script = (ROOT / "_static" / "static-widgets.js").read_text("utf8")
    head = f'<!doctype html><html lang="en" data-theme="light"><script type="{WIDGET}-state+json">{state}</script>'
    body = f'<main><script type="{WIDGET}-view+json">{view}</script></main><script>{script}</script>'
    page.set_content(f"{head}{body}</html>")
    page.wait_for_function("document.documentElement.dataset.widgets === 'ready'")


def throw(page: Page, chance: random.Random) -> None:
    """Make one event: a key on what has the focus, a click or a drag anywhere on the widget."""
    box = page.locator(".ia3").first.bounding_box()
    spot = box["x"] + chance.random() * box["width"], box["y"] + chance.random() * box["height"]
    kind = chance.random()
    if kind < 0.6:
        page.keyboard.press(chance.choice(["", "Shift+"]) + chance.choice(KEYS))
    elif kind < 0.8:
        page.mouse.click(*spot)
    else:
        page.mouse.move(*spot)
        page.mouse.down()
        page.mouse.move(spot[0] + chance.gauss(0, 60), spot[1] + chance.gauss(0, 60))
        page.mouse.up()


def faults(page: Page, name: str, make, events: int, seed: int) -> list[str]:
    """Return what went wrong with one widget."""
    found, widget, chance = [], make(), random.Random(seed)
    page.on("pageerror", lambda error: found.append(f"{name}: {error}"))
    open_page(page, widget)
    known = re.findall(r"(\w+)=", repr(widget))
    read = f"names => names.map(name => ia3Widgets.{name}[0].get(name))"
    for event in range(events):
        throw(page, chance)
        if event % 50 == 49:
            values = dict(zip(known, page.evaluate(read, known), strict=True))
            if re.search(r"\b(NaN|undefined|Infinity)\b", page.locator(".ia3").first.text_content()):
                found.append(f"{name}: NaN on the page after {event + 1} events, {values}")
            for trait, value in values.items():
                try:
                    widget.set_trait(trait, value)
                except Exception as error:
                    found.append(f"{name}: {error}")
        if found:
            break
    reset = page.get_by_role("button", name=re.compile("^reset", re.IGNORECASE))
    if not found and reset.count():
        reset.first.click()
        page.wait_for_timeout(1500)
        for trait, value in zip(known, page.evaluate(read, known), strict=True):
            start = getattr(make(), trait)
            same = math.isclose(value, start) if isinstance(start, float) else json.loads(json.dumps(start)) == value
            if not same:
                found.append(f"{name}: after Reset {trait} is {value}, not {start}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=sorted(MAKERS))
    parser.add_argument("--events", type=int, default=10_000)
    arguments = parser.parse_args()
    wrong = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        for seed, name in enumerate(arguments.names):
            page = browser.new_page(viewport={"width": 900, "height": 1200})
            found = faults(page, name, MAKERS[name], arguments.events, seed)
            print(f"{name}: {arguments.events} events, {len(found)} faults", *found, sep="\n  ", flush=True)
            wrong += found
            page.close()
        browser.close()
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
