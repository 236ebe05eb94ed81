"""Fixtures of the suite: the built site over localhost, one Chromium, and a page that reports what went wrong on it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ.get("IA3_SITE", ROOT / "_build" / "html"))
#: Nothing that a browser does by itself may reach for another host.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
VIEWPORTS = {1280: 800, 390: 844}


@pytest.fixture(scope="session")
def base() -> Iterator[Any]:
    """Load the pretrained model once, and hold every test to leaving it as it is: adapt a copy."""
    from ia3_lab import pretrained

    loaded = pretrained.load("cpu")
    before = {name: tensor.clone() for name, tensor in loaded.encoder.state_dict().items()}
    yield loaded
    after = loaded.encoder.state_dict()
    assert after.keys() == before.keys()
    assert all(after[name].dtype == tensor.dtype and after[name].equal(tensor) for name, tensor in before.items())
    assert not loaded.encoder.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in loaded.encoder.parameters())


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of the built site; `make book` builds it."""
    if not (SITE / "index.html").is_file():
        pytest.fail(f"no built site in {SITE}; run `make book` first")
    return SITE


@pytest.fixture(scope="session")
def site_url(site: Path) -> Iterator[str]:
    """Serve the built site on localhost and return its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Start one Chromium for the whole run."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM_FLAGS))
        yield chromium
        chromium.close()


class Watch:
    """Collects what a page must not do: console errors, requests to other hosts, failed requests."""

    def __init__(self, page: Any, home: str) -> None:
        self.problems: list[str] = []
        page.on("console", lambda message: self._console(message))
        page.on("pageerror", lambda error: self.problems.append(f"uncaught error: {error}"))
        page.on("response", lambda response: self._response(response))
        page.on("request", lambda request: self._request(request.url, home))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def _response(self, response: Any) -> None:
        if response.status >= 400:
            self.problems.append(f"HTTP {response.status}: {response.url}")

    def _request(self, url: str, home: str) -> None:
        if not url.startswith((home, "data:", "blob:", "about:")):
            self.problems.append(f"request to another host: {url}")


@pytest.fixture
def watch_class() -> type[Watch]:
    """Return the class that watches a page, for the test that it sees what it should."""
    return Watch


@pytest.fixture
def page_of(browser: Any, site_url: str) -> Iterator[Callable[..., Any]]:
    """Open pages of the site; at the end, fail on anything that went wrong on one of them."""
    contexts, watches = [], []

    def open_page(name: str, *, theme: str = "light", width: int = 1280, touch: bool = False, **options: Any) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": VIEWPORTS.get(width, 800)}, has_touch=touch, **options
        )
        context.add_init_script(f"localStorage.mode = localStorage.theme = {json.dumps(theme)};")
        page = context.new_page()
        contexts.append(context)
        watches.append((name, Watch(page, site_url)))
        page.goto(f"{site_url}/{name}")
        page.wait_for_function("document.documentElement.dataset.widgets === 'ready'")
        return page

    yield open_page
    for context in contexts:
        context.close()
    problems = [f"{name}: {problem}" for name, watch in watches for problem in watch.problems]
    assert not problems, "\n".join(problems)


def _blank_page(browser: Any, site_url: str, body: str, **options: Any) -> tuple[Any, Watch]:
    """Return a page of the site's origin that holds nothing but the given body, and its watch."""
    page = browser.new_context(**options).new_page()
    watch = Watch(page, site_url)
    page.route("**/blank.html", lambda route: route.fulfill(body=f"<!doctype html>{body}", content_type="text/html"))
    page.goto(f"{site_url}/blank.html")
    return page, watch


@pytest.fixture(scope="session")
def js(browser: Any, site_url: str) -> Iterator[Callable[..., Callable[..., Any]]]:
    """Call a named export of a widget's module in Chromium: ``js(EllipseLab)("imageMatrix", ...)``."""
    page, _ = _blank_page(browser, site_url, "<title>modules</title>")
    run = """async ([source, name, args]) => {
        const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
        const module = await import(url);
        if (typeof module[name] !== "function") throw new Error(`the module exports no function ${name}`);
        return module[name](...args);
    }"""

    def of(widget_class: type) -> Callable[..., Any]:
        return lambda name, *args: page.evaluate(run, [str(widget_class._esm), name, list(args)])

    yield of
    page.context.close()


@pytest.fixture
def widget_page(browser: Any, site_url: str) -> Iterator[Callable[..., Any]]:
    """Mount one widget alone on a blank page, with the site's own loader and no kernel."""
    contexts, watches = [], []

    def mount(widget: Any, *, theme: str = "light", width: int = 900, touch: bool = False) -> Any:
        from ipywidgets.embed import embed_data

        data = embed_data(views=[widget], drop_defaults=False)
        state = json.dumps(data["manager_state"]).replace("</", "<\\/")
        view = json.dumps(data["view_specs"][0])
        kind = "application/vnd.jupyter.widget"
        body = (
            f'<html lang="en" data-theme="{theme}"><meta name="viewport" content="width=device-width"><title>w</title>'
            f'<script type="{kind}-state+json">{state}</script>'
            f'<main><script type="{kind}-view+json">{view}</script></main>'
            '<script src="_static/static-widgets.js"></script></html>'
        )
        page, watch = _blank_page(browser, site_url, body, has_touch=touch, viewport={"width": width, "height": 900})
        contexts.append(page.context)
        watches.append(watch)
        page.wait_for_function("document.documentElement.dataset.widgets === 'ready'")
        return page

    yield mount
    for context in contexts:
        context.close()
    problems = [problem for watch in watches for problem in watch.problems]
    assert not problems, "\n".join(problems)
