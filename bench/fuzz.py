"""Throw random keys, clicks and drags at every widget: `make fuzz`, ten thousand each, seeds fixed.

One in ten comes from the browser's own mouse and keyboard, the others are made in the page. Nothing may raise, no text
may hold NaN, no trait may leave what Python accepts, and Reset has to bring the start back.
"""

from __future__ import annotations

import argparse
import functools
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
from ia3_lab.widgets import Quiz

WIDGETS = MAKERS | {"Quiz": functools.partial(Quiz, "02-formulation")}
ROOT = Path(__file__).resolve().parent.parent
KEYS = [*(f"Arrow{way}" for way in ("Left", "Right", "Up", "Down")), "PageUp", "PageDown", "Home", "End", "Tab"]
KEYS += ["Enter", " ", "0", "7", "-"]
ROUND = 50  # events, of which so many come from the browser's own mouse and keyboard:
BY_HAND = 5

#: Events made in the page, a thousand times as fast: what keys do to the browser's own controls is done for them.
IN_PAGE = """async ([seed, count, keys]) => {
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const any = list => list[Math.floor(random() * list.length)];
    const root = document.querySelector(".ia3"), all = css => [...root.querySelectorAll(css)].filter(n => !n.disabled);
    Element.prototype.setPointerCapture = Element.prototype.releasePointerCapture = () => {};
    const fire = (node, kind, clientX, clientY) => node.dispatchEvent(new PointerEvent(kind,
        { bubbles: true, cancelable: true, pointerId: 1, isPrimary: true, button: 0, clientX, clientY }));
    const key = () => {
        const node = root.contains(document.activeElement) ? document.activeElement : root, key = any(keys);
        const init = { key, shiftKey: random() < 0.5, bubbles: true, cancelable: true };
        if (!node.dispatchEvent(new KeyboardEvent("keydown", init))) return;
        if (key === "Tab") any(all("button, input, select, summary, [tabindex='0']"))?.focus();
        else if (node.localName === "select") node.value = any([...node.options]).value;
        else if (node.type === "range") node.value = +node.min + random() * (node.max - node.min);
        else if (node.type === "number") node.value = any(["", "7", "0", "-1", "1e9", "4096"]);
        else return [" ", "Enter"].includes(key) ? node.click?.() : undefined;
        for (const kind of ["input", "change"]) node.dispatchEvent(new Event(kind, { bubbles: true }));
    };
    for (let i = 0; i < count; i++) {
        const box = root.getBoundingClientRect(), x = box.x + random() * box.width, y = box.y + random() * box.height;
        const node = document.elementFromPoint(x, y) ?? any(all("*")), kind = random();
        if (kind < 0.6) key();
        else {
            node.closest("button, input, select, summary, [tabindex]")?.focus();
            fire(node, "pointerdown", x, y);
            for (let step = 0; kind > 0.8 && step < 3; step++) {
                fire(node, "pointermove", x + 120 * (random() - 0.5), y + 120 * (random() - 0.5));
            }
            fire(node, "pointerup", x, y);
            if (kind < 0.8) node.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: x, clientY: y }));
        }
        if (i % 5 === 4) await new Promise(requestAnimationFrame);
    }
}"""


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
    for done in range(ROUND, events + ROUND, ROUND):
        page.evaluate(IN_PAGE, [chance.randrange(1, 2**31 - 1), ROUND - BY_HAND, KEYS])
        for _ in range(BY_HAND):
            throw(page, chance)
        values = dict(zip(known, page.evaluate(read, known), strict=True))
        if re.search(r"\b(NaN|undefined|Infinity)\b", page.locator(".ia3").first.text_content()):
            found.append(f"{name}: NaN on the page after {done} events, {values}")
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
    parser.add_argument("names", nargs="*", default=sorted(WIDGETS))
    parser.add_argument("--events", type=int, default=10_000)
    arguments = parser.parse_args()
    wrong = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        for seed, name in enumerate(arguments.names):
            page = browser.new_page(viewport={"width": 900, "height": 1200})
            found = faults(page, name, WIDGETS[name], arguments.events, seed)
            print(f"{name}: {arguments.events} events, {len(found)} faults", *found, sep="\n  ", flush=True)
            wrong += found
            page.close()
        browser.close()
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
