// Shared by every widget of the book: element makers, number formats, controls, axes and drag handles.
// This file is placed above each widget's own module, so there is nothing to import and nothing to fetch.

const SVG = "http://www.w3.org/2000/svg";

/** Make an HTML element: h("p", { class: "note", onclick: f }, "text", child). */
function h(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** Make an SVG element, with the same arguments. */
function s(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else set(node, name, value);
  }
  const texts = (child) => (typeof child === "string" ? typeset(node, child) : [child]);
  node.append(...children.filter((child) => child != null).flatMap(texts));
  return node;
}

/** A text as nodes in which l_k, W_2 and the like have real subscripts; the underscore stays in the text, unseen. */
function typeset(node, text) {
  const parts = text.split(/\b([lWb])_(ff|up|gate|[kvqo12])\b/);
  if (parts.length === 1) return parts;
  const drawn = node.namespaceURI === SVG;
  const lowered = (name) => [s("tspan", { class: "ia3-sub", dy: 3 }, name), s("tspan", { dy: -3 }, "\u200b")];
  const subscript = (name) =>
    drawn
      ? [s("tspan", { display: "none" }, "_"), ...lowered(name)]
      : [h("i", { hidden: true }, "_"), h("sub", {}, name)];
  return parts.flatMap((part, i) => (i % 3 === 2 ? subscript(part) : [part]));
}

/** Write an attribute only when it changes; null and false remove it. */
function set(node, name, value) {
  if (value == null || value === false) return node.removeAttribute(name);
  const text = value === true ? "" : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

/** Write text only when it changes, and only the words that do: new nodes cost a redraw more than new words. */
function say(node, text) {
  if (node.textContent.replaceAll("\u200b", "") === text) return;
  const [parts, now] = [typeset(node, text), [...node.childNodes]];
  const alike = (part, i) => (typeof part === "string" ? now[i].nodeType === Node.TEXT_NODE : part.isEqualNode(now[i]));
  if (parts.length !== now.length || !parts.every(alike)) node.replaceChildren(...parts);
  else parts.forEach((part, i) => typeof part === "string" && now[i].data !== part && (now[i].data = part));
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
/** Round to a multiple of step, without the dust of binary fractions. */
const snap = (value, step) => Number((Math.round(value / step) * step).toFixed(10)) + 0;
/** A number with fixed digits, a true minus sign and never "-0.00". */
function fmt(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? "\u2212" + text : text;
}
/** 614400 -> "614,400". */
const fmtCount = (count) => Math.round(count).toLocaleString("en-US");

/** A word in quotation marks. */
const quoted = (word) => `\u201c${word}\u201d`;

/** Call draw once now and once after each burst of changes to the named traits; returns the clean-up. */
function bind(model, names, draw) {
  let asked = false;
  const later = () => {
    if (asked) return;
    asked = true;
    queueMicrotask(() => {
      asked = false;
      draw();
    });
  };
  const events = names.map((name) => "change:" + name);
  for (const event of events) model.on(event, later);
  draw();
  return () => {
    for (const event of events) model.off(event, later);
  };
}

/** Set several traits and tell the kernel, when there is one. */
function update(model, changes) {
  for (const [name, value] of Object.entries(changes)) model.set(name, value);
  model.save_changes();
}

/** Several traits as an object. */
function readTraits(model, names) {
  return Object.fromEntries(names.map((name) => [name, model.get(name)]));
}

/** One trait as a control reads and writes it. */
function traitOf(model, name) {
  return { read: () => model.get(name), write: (value) => update(model, { [name]: value }) };
}

const KEYS = "Arrow keys move by a step, with Shift by a fifth, Page Up and Down by ten; Home and End go to the ends.";
const SLIDER_KEYS = "Arrow keys move by a step, Page Up and Down by ten; Home and End go to the ends.";
const CHOICES = "Tab goes from control to control, the arrow keys choose within one.";
const CELLS = "Arrow keys go from cell to cell, Home and End to the ends of a row, the Page keys to those of a column.";

/**
 * The widget's outer element, with its title, what to do, and which keys do it. Keys pressed inside stay inside: no
 * page turning, no notebook shortcuts.
 */
function frame(el, name, title, todo = "", keys = KEYS) {
  const heading = h("span", { role: "heading", "aria-level": 3 }, title);
  const help = h("details", { class: "ia3-keys" }, h("summary", {}, "Keys"), h("p", {}, keys));
  const head = h("div", { class: "ia3-head" }, heading, help, todo && h("p", { class: "ia3-muted" }, todo));
  const root = h("section", { class: `ia3 ia3-${name}`, role: "group", "aria-label": title }, head);
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" && event.key !== "Tab") event.stopPropagation();
  });
  el.append(root);
  return root;
}

/** A sentence that follows the state on screen at once, and reaches a screen reader when the hand has come to rest. */
function liveRegion() {
  const seen = h("p", { class: "ia3-say", "aria-hidden": "true" });
  const heard = h("p", { class: "ia3-hidden", role: "status" });
  let timer = 0;
  let first = true;
  return {
    nodes: [seen, heard],
    say(text) {
      say(seen, text);
      if (first) {
        first = false;
        say(heard, text);
        return;
      }
      clearTimeout(timer);
      timer = setTimeout(() => say(heard, text), 500);
    },
  };
}

const ARROWS = { ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowLeft: [-1, 0], ArrowDown: [0, -1] };
/** Keys of a control: ways() says what each leads to, go(way, event) takes it. All others do what they do elsewhere. */
function onKeys(node, ways, go) {
  node.addEventListener("keydown", (event) => {
    const way = ways(event)[event.key];
    if (way === undefined || event.altKey || event.metaKey) return; // those are the browser's
    event.preventDefault();
    go(way, event);
  });
}

/** Of many places the Tab key reaches the chosen one; arrow keys lead to the others. */
function oneStop(places, chosen) {
  for (const node of places) set(node, "tabindex", node === chosen ? 0 : -1);
}

/** A labelled range input. read() gives the value to show, write(value) takes the reader's. */
function slider({ label, min, max, step, read, write, text = (value) => fmt(value) }) {
  const input = h("input", { type: "range", min, max, step, oninput: () => write(Number(input.value)) });
  const output = h("output", {});
  const pages = { PageUp: 10, PageDown: -10 };
  onKeys(input, () => pages, (steps) => write(clamp(snap(read() + steps * step, step), min, max)));
  const node = h("label", { class: "ia3-slider" }, h("span", {}, label), input, output);
  const draw = () => {
    const value = read();
    if (Number(input.value) !== value) input.value = value;
    say(output, text(value));
    set(input, "aria-valuetext", text(value));
  };
  return { node, input, draw };
}

/** A name that nothing else on the page has, whichever module made it. */
const unique = (kind) => `ia3-${kind}-${Math.random().toString(36).slice(2)}`;

/** A row of choices, one of which holds: native radio buttons. options: [[value, label], ...]. */
function segmented({ label, options, read, write }) {
  const name = unique("group");
  const inputs = options.map(([value]) => h("input", { type: "radio", name, value, onchange: () => write(value) }));
  const node = h(
    "fieldset",
    { class: "ia3-segmented" },
    h("legend", {}, label),
    ...options.map(([, text], i) => h("label", {}, inputs[i], h("span", {}, text))),
  );
  const draw = () =>
    options.forEach(([value], i) => {
      inputs[i].checked = value === read();
    });
  return { node, inputs, draw };
}

/** A labelled checkbox. */
function checkbox({ label, read, write }) {
  const input = h("input", { type: "checkbox", onchange: () => write(input.checked) });
  return {
    node: h("label", { class: "ia3-check" }, input, h("span", {}, label)),
    input,
    draw: () => { input.checked = read(); },
  };
}

/** A labelled drop-down list. options: [[value, label], ...]. */
function dropdown({ label, options, read, write }) {
  const input = h(
    "select",
    { onchange: () => write(input.value) },
    ...options.map(([value, text]) => h("option", { value }, text)),
  );
  return {
    node: h("label", { class: "ia3-select" }, h("span", {}, label), input),
    input,
    draw: () => { input.value = read(); },
  };
}

/** All numbers on show, folded, for those who cannot see the drawing. tables() -> [[caption, heads, rows], ...] */
function numberTables(tables) {
  const place = h("div", { class: "ia3-tables" });
  const line = ([first, ...more]) =>
    h("tr", {}, h("th", { scope: "row" }, first), ...more.map((text) => h("td", {}, text)));
  const made = ([caption, heads, rows]) =>
    h(
      "table",
      {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, ...rows.map(line)),
    );
  const draw = () => node.open && place.replaceChildren(...tables().map(made)); // written while it is open
  const summary = h("summary", {}, "All numbers as a table");
  const node = h("details", { class: "ia3-numbers", ontoggle: draw }, summary, place);
  return { node, draw };
}

const motionIsUnwelcome = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Call at(part) once a frame, part rising from 0 (or from) to 1 in so many seconds; at may return false to end it. */
function animation(seconds, at) {
  let asked = 0;
  const stop = () => {
    cancelAnimationFrame(asked);
    asked = 0;
  };
  const start = (from = 0) => {
    stop();
    let began = null;
    const step = (time) => {
      began ??= time;
      const part = Math.min(1, from + (time - began) / 1000 / seconds);
      asked = part < 1 ? requestAnimationFrame(step) : 0;
      if (at(part) === false) stop();
    };
    asked = requestAnimationFrame(step);
  };
  return { start, stop, running: () => asked !== 0 };
}

/** A push button. */
function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", class: "ia3-button", onclick, ...attributes }, text);
}

/**
 * One axis of a chart: at each value a line and the number that stands beside it, and the words of the axis.
 *
 * side    "left", "bottom" or "top": where the numbers stand
 * box     { left, right, top, bottom } of the plot in svg units
 * place   value -> where it stands in svg units: x for "bottom" and "top", y for "left"
 * values  what is marked
 * text    value -> what is written
 * lines   "grid" across the box, "ticks" just outside it, or "none"
 * label   the words: under the numbers of "bottom", at the drawing's left edge above those of "left"
 *
 * Returns svg nodes of the classes ia3-grid or ia3-tick-line, ia3-tick (the numbers) and ia3-axis-label. Lines and
 * numbers carry data-value, so that a widget's styles can tell one from the others.
 */
function drawAxis({ side, box, place, values, text = String, lines = "grid", label = "" }) {
  const { left, right, top, bottom } = box;
  const line = {
    left: (y) => (lines === "grid" ? `M${left} ${y}H${right}` : `M${left} ${y}h-5`),
    bottom: (x) => (lines === "grid" ? `M${x} ${top}V${bottom}` : `M${x} ${bottom}v5`),
    top: (x) => (lines === "grid" ? `M${x} ${top - 6}V${bottom}` : `M${x} ${top}v-5`),
  }[side];
  const number = {
    left: (y) => ({ x: left - 7, y: y + 4, "text-anchor": "end" }),
    bottom: (x) => ({ x, y: bottom + 17, "text-anchor": "middle" }),
    top: (x) => ({ x, y: top - 12, "text-anchor": "middle" }),
  }[side];
  const words =
    side === "left" ? { x: 0, y: top - 13 } : { x: (left + right) / 2, y: bottom + 34, "text-anchor": "middle" };
  const kind = lines === "grid" ? "ia3-grid" : "ia3-tick-line";
  return [
    ...(lines === "none"
      ? []
      : values.map((value) => s("path", { d: line(place(value)), class: kind, "data-value": value }))),
    ...values.map((value) =>
      s("text", { ...number(place(value)), class: "ia3-tick", "data-value": value }, text(value)),
    ),
    ...(label ? [s("text", { ...words, class: "ia3-axis-label" }, label)] : []),
  ];
}

const scales = new WeakMap();
/** Pixels to a unit of a drawing, asked once a redraw: after something is written, asking has it laid out first. */
function scaleOf(svg) {
  if (!scales.has(svg)) {
    scales.set(svg, svg.getScreenCTM()?.a || 1);
    queueMicrotask(() => scales.delete(svg));
  }
  return scales.get(svg);
}

/** Where a pointer event falls, in the svg's own units (y grows downward). */
function svgPoint(svg, event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
}

/**
 * A point of a drawing that can be dragged and moved with the keyboard: a slider to a screen reader.
 *
 * place()        -> { x, y } in svg units: where it stands now
 * drag({ x, y }) <- svg units: where the reader pulls it (relative grabs are kept: it does not jump)
 * nudge(dx, dy)  <- steps in the reader's terms (right and up positive): an arrow 1, with Shift 0.2, a Page key 10
 * ends(which)    <- optional, "min" or "max" for Home and End
 * value()        -> { now, text, min, max } for the screen reader
 */
function dragHandle({ svg, label, color, shape = "circle", radius = 8, place, drag, nudge, ends, value }) {
  const target = s("circle", { r: 19, class: "ia3-target" }); // 38 px across for a finger
  const dot =
    shape === "circle"
      ? s("circle", { r: radius, class: "ia3-dot" })
      : s("rect", { x: -radius, y: -radius, width: 2 * radius, height: 2 * radius, rx: 2, class: "ia3-dot" });
  const inner = s("g", {}, target, dot);
  const node = s(
    "g",
    { class: "ia3-handle", tabindex: 0, role: "slider", "aria-label": label, style: `--ia3-handle: ${color}` },
    inner,
  );
  let offset = null;
  node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const point = svgPoint(svg, event);
    const here = place();
    offset = { x: point.x - here.x, y: point.y - here.y };
    node.setPointerCapture(event.pointerId);
    node.focus({ preventScroll: true });
    event.preventDefault();
  });
  node.addEventListener("pointermove", (event) => {
    if (!offset) return;
    const point = svgPoint(svg, event);
    drag({ x: point.x - offset.x, y: point.y - offset.y });
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    node.addEventListener(end, () => {
      offset = null;
    });
  }
  const ways = { ...ARROWS, PageUp: [0, 10], PageDown: [0, -10], ...(ends && { Home: "min", End: "max" }) };
  onKeys(node, () => ways, (way, { shiftKey }) =>
    typeof way === "string" ? ends(way) : nudge(...way.map((steps) => steps * (shiftKey ? 0.2 : 1))));
  const draw = () => {
    const { x, y } = place();
    const { now, text, min, max } = value();
    const scale = scaleOf(svg);
    set(node, "transform", `translate(${x} ${y})`);
    set(inner, "transform", `scale(${1 / scale})`);
    set(node, "aria-valuenow", now);
    set(node, "aria-valuetext", text);
    set(node, "aria-valuemin", min);
    set(node, "aria-valuemax", max);
  };
  return { node, draw, place, drag };
}

/** A tap beside the handles moves the nearest one there: what dragging does, without a drag. */
function tapToMove(svg, handles) {
  svg.addEventListener("click", (event) => {
    if (event.target.closest(".ia3-handle")) return;
    const point = svgPoint(svg, event);
    const far = (handle) => Math.hypot(handle.place().x - point.x, handle.place().y - point.y);
    const nearest = handles().reduce((best, handle) => (far(handle) < far(best) ? handle : best));
    nearest.drag(point);
    nearest.node.focus({ preventScroll: true });
  });
}

/** Redraw when the element changes size (handles keep their size in pixels); returns the clean-up. */
function onResize(node, draw) {
  const observer = new ResizeObserver(() => draw());
  observer.observe(node);
  return () => observer.disconnect();
}
