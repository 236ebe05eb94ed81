"""Fixtures of the suite: the built site over localhost, one Chromium, and pages that report what went wrong on them."""

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
CHROMIUM_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--process-per-site"),
]
WIDGET = "application/vnd.jupyter.widget"
HEIGHTS = {1280: 800, 390: 844, 900: 900}


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


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of the built site; `make book` builds it."""
    if not (SITE / "index.html").is_file():
        pytest.fail(f"no built site in {SITE}; run `make book` first")
    return SITE


@pytest.fixture(scope="session")
def site_url(site: Path) -> Iterator[str]:
    """Serve the built site on localhost and return its address."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Start one Chromium for the whole run."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        chromium.new_context().new_page()  # what all tests share that ask for nothing else
        yield chromium
        chromium.close()


class Pages:
    """Opens pages of the site, each in a context of its own, and collects in ``problems`` what a page may not do.

    That is to log an error or a warning, to miss a file, or to ask another host for anything.
    """

    def __init__(self, browser: Any, home: str) -> None:
        self.browser, self.home = browser, home
        self.pages, self.problems = [], []

    def open(
        self, name: str, *, body: str = "", theme: str = "light", width: int = 1280, touch: bool = False, **options: Any
    ) -> Any:
        """Open a page of the site, or one that holds the given body alone, and wait until its widgets are drawn."""
        alone = touch or options  # else in the context that all share, whose processes run already
        context = self.browser.new_context(has_touch=touch, **options) if alone else self.browser.contexts[0]
        page = context.new_page()
        self.pages.append(page)
        page.set_viewport_size({"width": width, "height": HEIGHTS.get(width, 800)})
        page.add_init_script(f"localStorage.mode = localStorage.theme = {json.dumps(theme)};")
        self._watch(page)
        if body:
            html = f'<!doctype html><html lang="en" data-theme="{theme}"><title>{name}</title>{body}</html>'
            page.route(f"**/{name}", lambda route: route.fulfill(body=html, content_type="text/html"))
        return self._go(page, name)

    def follow(self, name: str, *, width: int) -> Any:
        """Open a page in the tab of the one before, if there is one: its scripts are at hand, for half the work."""
        self.problems.clear()
        if not self.pages:
            return self.open(name, width=width, reduced_motion="reduce")
        page = self.pages[-1]
        page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
        return self._go(page, name)

    def close(self) -> list[str]:
        """Close all pages, and return their problems."""
        while self.pages:
            page = self.pages.pop()
            page.evaluate("try { localStorage.clear(); } catch {}")
            (page if page.context == self.browser.contexts[0] else page.context).close()
        return self.problems

    def _go(self, page: Any, name: str) -> Any:
        page.goto(f"{self.home}/{name}")
        page.wait_for_function("(({ widgets, scripts }) => widgets && scripts)(document.documentElement.dataset)")
        return page

    def _watch(self, page: Any) -> None:
        def note(problem: bool, text: str) -> None:
            if problem:
                self.problems.append(f"{page.url}: {text}")

        ours = (self.home, "data:", "blob:", "about:")
        page.on("console", lambda message: note(message.type in ("error", "warning"), message.text))
        page.on("pageerror", lambda error: note(True, f"uncaught error: {error}"))
        page.on("response", lambda answer: note(answer.status >= 400, f"HTTP {answer.status}: {answer.url}"))
        page.on("request", lambda request: note(not request.url.startswith(ours), f"another host: {request.url}"))


@pytest.fixture
def any_pages(browser: Any, site_url: str) -> Iterator[Pages]:
    """Return what opens pages and lists their problems, for tests of what goes wrong."""
    pages = Pages(browser, site_url)
    yield pages
    pages.close()


@pytest.fixture
def page_of(any_pages: Pages) -> Iterator[Callable[..., Any]]:
    """Open pages; at the end, fail on anything that went wrong on one of them."""
    yield any_pages.open
    assert any_pages.close() == []


@pytest.fixture(scope="module")
def tab(browser: Any, site_url: str) -> Iterator[Pages]:
    """Open pages one after the other in one tab, with the problems of the last one."""
    pages = Pages(browser, site_url)
    yield pages
    pages.close()


@pytest.fixture
def bare_page(any_pages: Pages) -> Callable[..., Any]:
    """Open a page that has stored widgets, the site's loader and the given body, and nothing else."""

    def open_page(models: dict[str, Any], body: str, **options: Any) -> Any:
        state = json.dumps({"state": models}).replace("</", "<\\/")
        head = f'<meta name="viewport" content="width=device-width"><script type="{WIDGET}-state+json">{state}</script>'
        loader = '<script src="_static/static-widgets.js"></script>'
        return any_pages.open("bare.html", body=f"{head}<main>{body}</main>{loader}", **options)

    return open_page


@pytest.fixture
def widget_page(any_pages: Pages, bare_page: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Mount one widget alone on a page, with no kernel; at the end, fail on anything that went wrong."""
    from ipywidgets.embed import dependency_state

    def mount(widget: Any, *, width: int = 900, **options: Any) -> Any:
        models = dependency_state([widget], drop_defaults=False)
        view = json.dumps({"model_id": widget.model_id})
        return bare_page(models, f'<script type="{WIDGET}-view+json">{view}</script>', width=width, **options)

    yield mount
    assert any_pages.close() == []


@pytest.fixture(scope="session")
def js(browser: Any, site_url: str) -> Iterator[Callable[..., Callable[..., Any]]]:
    """Call a named export of a widget's module in Chromium: ``js(EllipseLab)("imageMatrix", ...)``."""
    page = browser.new_context().new_page()
    page.goto(f"{site_url}/_static/static-widgets.js")  # any address of the site: here it is text
    load = """async ([widget, source]) => {
        const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
        (window.modules ??= {})[widget] ??= await import(url);
    }"""
    call = """([widget, name, args]) => {
        if (typeof modules[widget][name] !== "function") throw new Error(`the module exports no function ${name}`);
        return modules[widget][name](...args);
    }"""

    def of(widget_class: type) -> Callable[..., Any]:
        page.evaluate(load, [widget_class.__name__, str(widget_class._esm)])
        return lambda name, *args: page.evaluate(call, [widget_class.__name__, name, list(args)])

    yield of
    page.context.close()
