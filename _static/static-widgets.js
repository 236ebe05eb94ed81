// Brings the stored Jupyter widgets of a page to life, with no kernel and nothing fetched.
//
// Input is the standard markup that myst-nb and the live-widget directive write:
//   <script type="application/vnd.jupyter.widget-state+json">   every model of the page
//   <script type="application/vnd.jupyter.widget-view+json">    one for each widget shown
//   <div class="widget-fallback" data-model-id="...">           the same, with a static picture inside
// Supported are anywidget's AnyModel, jslink and jsdlink, HBox and VBox, Int- and FloatSlider.
// In place of anything else the reader sees a notice. When all is mounted, <html data-widgets="ready">.
//
// The page has this script in its head and says "widget-here" after each widget, which is then drawn, while the rest
// of the page is still coming.
//
// The page's other scripts, <script type="text/plain" data-later="address">, give way: they are loaded when the widgets
// are there, and also when one has failed or keeps us waiting. When they have run, <html data-scripts="ready">.
(() => {
  "use strict";
  const TYPE = "application/vnd.jupyter.widget-";
  const REFERENCE = "IPY_MODEL_";
  const PATIENCE = 3000;                          // milliseconds
  const models = new Map();                       // id -> Model
  const mounted = new Map();                      // Python class name -> [{ model, el }], in the order of the page

  /** The part of Backbone's model that widgets use. */
  class Model {
    #state;
    #listeners = new Map();

    constructor(stored) {
      this.name = stored.model_name;
      this.#state = { ...stored.state };
      for (const { path, data } of stored.buffers ?? []) {     // bytes traits arrive as a DataView, as in Jupyter
        const owner = path.slice(0, -1).reduce((value, key) => value[key], this.#state);
        owner[path.at(-1)] = new DataView(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer);
      }
    }

    /** EllipseLab for ia3_lab.widgets.ellipse_lab.EllipseLab. */
    get pythonName() {
      return (this.get("_anywidget_id") ?? this.name).split(".").at(-1);
    }

    get(key) { return this.#state[key]; }

    set(key, value) {
      const given = typeof key === "object" ? key : { [key]: value };
      const changed = Object.entries(given).filter(([name, next]) => !Object.is(this.#state[name], next));
      for (const [name, next] of changed) this.#state[name] = next;
      for (const [name, next] of changed) this.#fire("change:" + name, this, next);
      if (changed.length) this.#fire("change", this);
    }

    on(names, callback) {
      for (const name of names.split(" ")) {
        if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
        this.#listeners.get(name).add(callback);
      }
    }

    off(names, callback) {
      for (const name of names?.split(" ") ?? [...this.#listeners.keys()]) {
        if (callback) this.#listeners.get(name)?.delete(callback);
        else this.#listeners.delete(name);
      }
    }

    save_changes() {}                             // there is no kernel to tell
    send() {}

    #fire(name, ...values) {
      for (const callback of [...(this.#listeners.get(name) ?? [])]) callback(...values);
    }
  }

  const resolve = (reference) => models.get(String(reference).slice(REFERENCE.length));

  /** What to do once per key: the first call's result is kept. */
  function once(results, key, make) {
    if (!results.has(key)) results.set(key, make());
    return results.get(key);
  }

  // --- anywidget ------------------------------------------------------------------------------------------

  const modules = new Map();                      // source -> its default export
  const styles = new Map();                       // css -> its element
  const initialized = new Map();                  // model -> clean-up of initialize

  async function importSource(source) {
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    try {
      const widget = (await import(address)).default;
      return typeof widget === "function" ? await widget() : widget;
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  function addStyle(css) {
    const element = Object.assign(document.createElement("style"), { textContent: css });
    document.head.append(element);
    return element;
  }

  async function mountAnyWidget(model, el) {
    const css = model.get("_css");
    if (css) once(styles, css, () => addStyle(css));
    const source = model.get("_esm");
    const widget = await once(modules, source, () => importSource(source));
    const leaving = new AbortController();
    const props = { model, signal: leaving.signal, experimental: {}, host };
    await once(initialized, model, async () => widget.initialize?.(props));
    const cleanUp = await widget.render?.({ ...props, el });
    whenRemoved(el, () => { leaving.abort(); cleanUp?.(); });
  }

  /** How one widget reaches another and shows it once more: anywidget's host, for references "anywidget:<id>". */
  const named = (reference) => models.get(String(reference).split(":")[1]);
  const host = {
    getModel: async (reference) => named(reference),
    getWidget: async (reference) => ({ render: ({ el }) => mount(named(reference), el) }),
  };

  /** Run a widget's clean-up when its element leaves the page. */
  function whenRemoved(el, cleanUp) {
    const observer = new MutationObserver(() => {
      if (el.isConnected) return;
      observer.disconnect();
      cleanUp();
    });
    observer.observe(document.body, { childList: true, subtree: true });
  }

  // --- ipywidgets' own ------------------------------------------------------------------------------------

  async function mountBox(model, el) {
    el.classList.add("widget-box", model.name === "HBoxModel" ? "widget-row" : "widget-column");
    await Promise.all(model.get("children").map((child) => mount(resolve(child), place(el))));
  }

  function place(parent) {
    return parent.appendChild(document.createElement("div"));
  }

  function mountSlider(model, el) {
    const label = document.createElement("label");
    const text = document.createElement("span");
    const input = document.createElement("input");
    const output = document.createElement("output");
    const whole = model.name === "IntSliderModel";
    Object.assign(input, { type: "range", min: model.get("min"), max: model.get("max"), step: model.get("step") ?? "any" });
    input.disabled = model.get("disabled") ?? false;
    text.textContent = model.get("description");
    if (!text.textContent) input.setAttribute("aria-label", "value");
    const draw = () => {
      input.value = model.get("value");
      output.textContent = whole ? model.get("value") : model.get("value").toFixed(2);
    };
    input.addEventListener("input", () => model.set("value", Number(input.value)));
    model.on("change:value", draw);
    label.className = "widget-slider";
    label.append(text, input, output);
    el.append(label);
    draw();
  }

  /** jslink and jsdlink: copy one trait to another whenever it changes. */
  function link(model) {
    const [[source, sourceTrait], [target, targetTrait]] =
      [model.get("source"), model.get("target")].map(([reference, trait]) => [resolve(reference), trait]);
    if (!source || !target) return;
    const forward = () => target.set(targetTrait, source.get(sourceTrait));
    source.on("change:" + sourceTrait, forward);
    if (model.name === "LinkModel") target.on("change:" + targetTrait, () => source.set(sourceTrait, target.get(targetTrait)));
    forward();
  }

  // While a hand drags something of a widget, book.css leaves out of each frame what lies out of sight.
  const root = document.documentElement;
  const letGo = () => { delete root.dataset.hand; };
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, letGo, true);
  addEventListener("pointermove", ({ buttons, target }) => {
    if (!buttons) letGo();                        // let go where the page did not hear of it
    else if (target.closest?.(".static-widget")) root.dataset.hand ??= "on";
  }, true);

  // --- the page -------------------------------------------------------------------------------------------

  const MOUNTS = {
    AnyModel: mountAnyWidget,
    HBoxModel: mountBox,
    VBoxModel: mountBox,
    IntSliderModel: mountSlider,
    FloatSliderModel: mountSlider,
  };

  async function mount(model, el) {
    try {
      if (!MOUNTS[model?.name]) throw new Error(`${model?.name ?? "it"} needs a running kernel`);
      const name = model.pythonName;
      el.dataset.widgetName = name;
      once(mounted, name, () => []).push({ model, el });
      await MOUNTS[model.name](model, el);
    } catch (error) {
      console.error("[static-widgets]", error);
      el.dataset.widgetError = error.message;
      el.replaceChildren(notice(`This interactive element does not work on this page: ${error.message}.`));
    }
  }

  function notice(text) {
    return Object.assign(document.createElement("p"), { className: "widget-notice", textContent: text });
  }

  const readJSON = (element) => JSON.parse(element.textContent);
  const scripts = (kind) => document.querySelectorAll(`script[type="${TYPE}${kind}+json"]`);

  /** Keys pressed in a widget are the widget's: the theme turns no page and opens no search. */
  function keepKeys(el) {
    el.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" && event.key !== "Tab") event.stopPropagation();
    });
    return el;
  }

  /** The widget is drawn beside its picture, at full size so that it can measure itself; then the picture goes. */
  async function replacePicture(picture, model) {
    const el = keepKeys(picture.cloneNode(false));
    el.className = "static-widget";
    picture.after(el);
    await mount(model, el);
    if (!el.dataset.widgetError) picture.remove();
  }

  // --- buttons in the prose -------------------------------------------------------------------------------

  /** <button class="set-widget" data-widget="EllipseLab" data-set='{"l_1": 1.8}'>: set traits of the first such widget. */
  function wireButton(button) {
    const found = mounted.get(button.dataset.widget)?.[0];
    if (!found) {
      button.disabled = true;
      button.title = `The ${button.dataset.widget} is not on this page.`;
      return;
    }
    const changes = JSON.parse(button.dataset.set);
    button.addEventListener("click", (event) => {
      found.model.set(changes);
      found.model.save_changes();
      offerWayBack(button, found.el, event.detail === 0);
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const tall = found.el.offsetHeight, room = innerHeight - 80;    // below the page's header
      const block = tall > innerHeight ? "start" : tall > room ? "end" : "nearest";   // on a phone: its controls
      found.el.scrollIntoView({ behavior: still ? "instant" : "smooth", block });
    });
  }

  let forget = () => {};                          // of the way back that is on offer

  /**
   * When the jump to a widget takes the button that asked for it out of sight: a way back, before the widget for the
   * keys, who land on it (byKeys), and at the window's edge for the eye. It goes when used, on Escape, or when one is back.
   */
  function offerWayBack(button, el, byKeys) {
    forget();
    const from = scrollY, asked = performance.now(), over = new AbortController();
    const header = document.querySelector(".bd-header-article")?.offsetHeight ?? 0;
    const back = Object.assign(document.createElement("button"),
      { type: "button", className: "way-back", textContent: "\u21a9 Back to where I was" });
    const watch = new IntersectionObserver(([{ isIntersecting }]) => {
      const away = !isIntersecting && !back.isConnected && performance.now() - asked < PATIENCE;   // by the jump
      if (away) el.before(back);
      else if (isIntersecting === back.isConnected) forget();
      if (away && byKeys) back.focus({ preventScroll: true });
    }, { rootMargin: `-${header}px 0px 0px` });     // what lies under the page's header is out of sight
    forget = () => { watch.disconnect(); over.abort(); back.remove(); };
    back.addEventListener("click", () => {
      forget();
      button.focus({ preventScroll: true });
      scrollTo({ top: from, behavior: "instant" });
    });
    addEventListener("keydown", ({ key }) => { if (key === "Escape") forget(); }, { signal: over.signal });
    watch.observe(button);
  }

  const seen = new Set();
  const fresh = (some) => [...some].filter((one) => !seen.has(one) && seen.add(one));

  /** Mount what the page has so far. */
  async function mountAll() {
    for (const element of fresh(scripts("state"))) {
      for (const [id, stored] of Object.entries(readJSON(element).state)) {
        models.set(id, new Model(stored));
        const source = stored.state._esm;           // compiled while the page comes; who mounts it meets its errors
        if (source) once(modules, source, () => importSource(source)).catch(() => {});
      }
    }
    const views = fresh(scripts("view")).map((element) => {
      const el = keepKeys(document.createElement("div"));
      el.className = "static-widget";
      element.before(el);
      return mount(models.get(readJSON(element).model_id), el);
    });
    const pictures = fresh(document.querySelectorAll(".widget-fallback[data-model-id]"));
    await Promise.all([...views, ...pictures.map((one) => replacePicture(one, models.get(one.dataset.modelId)))]);
  }

  const begun = [];
  function begin() {
    const some = mountAll();
    some.catch(() => {});                         // whoever waits for it in the end will hear
    begun.push(some);
  }

  async function start() {
    begin();
    await Promise.all(begun);
    for (const model of models.values()) if (/^(Directional)?LinkModel$/.test(model.name)) link(model);
    document.querySelectorAll("button.set-widget").forEach(wireButton);
    window.ia3Widgets = Object.fromEntries([...mounted].map(([name, list]) => [name, list.map(({ model }) => model)]));
    document.documentElement.dataset.widgets = "ready";
  }

  /** Load the scripts that gave way, to run in the order in which the page has them. */
  async function loadRest() {
    await Promise.all([...document.querySelectorAll("script[data-later]")].map(({ dataset }) => new Promise((done) => {
      const script = Object.assign(document.createElement("script"), { src: dataset.later, async: false });
      script.onload = script.onerror = done;
      document.head.append(script);
    })));
    // Copying is a convenience of the mouse: keys select and copy any text, and have forty stops fewer to pass.
    for (const button of document.querySelectorAll("button.copybtn")) button.tabIndex = -1;
    document.documentElement.dataset.scripts = "ready";
  }

  /** The widgets first, for as long as a reader would wait; then all the rest, whatever became of them. */
  async function run() {
    try {
      if (document.readyState === "loading") {
        begin();
        document.addEventListener("widget-here", begin);
        await new Promise((done) => document.addEventListener("DOMContentLoaded", done));
      }
      await Promise.race([start(), new Promise((done) => setTimeout(done, PATIENCE))]);
    } catch (error) {
      console.error("[static-widgets]", error);
      document.documentElement.dataset.widgets = "failed";
    }
    await loadRest();
  }

  // --- paper ----------------------------------------------------------------------------------------------

  /** A print has no dark background, so the page goes light for it; light text on white paper would be lost. */
  let shown = null;
  addEventListener("beforeprint", () => {
    shown ??= root.dataset.theme;
    root.dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    if (shown !== null) root.dataset.theme = shown;
    shown = null;
  });

  run();
})();
