// The few-shot curves on a page: the view is a function of the traits. Its numbers are few_shot_curves_math.mjs's.

// --- a method's looks, which come in matplotlib's words ------------------------------------------------------------

export const DASHES = { "-": null, ":": "1 4", "--": "7 4", "-.": "8 3 1 3" };
// prettier-ignore
const PLUS = [
  [-0.42, -1], [0.42, -1], [0.42, -0.42], [1, -0.42], [1, 0.42], [0.42, 0.42],
  [0.42, 1], [-0.42, 1], [-0.42, 0.42], [-1, 0.42], [-1, -0.42], [-0.42, -0.42],
];
// prettier-ignore
const CORNERS = {
  s: [[-0.87, -0.87], [0.87, -0.87], [0.87, 0.87], [-0.87, 0.87]],
  "^": [[0, -1.1], [1.05, 0.8], [-1.05, 0.8]],
  v: [[0, 1.1], [1.05, -0.8], [-1.05, -0.8]],
  D: [[0, -1.2], [1.05, 0], [0, 1.2], [-1.05, 0]],
  P: PLUS.map(([x, y]) => [1.1 * x, 1.1 * y]),
  X: PLUS.map(([x, y]) => [0.778 * (x - y), 0.778 * (x + y)]),
};

/** Outline of a mark of radius r around the origin. */
export function outline(marker, r) {
  if (marker === "o") return `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0Z`;
  return `M${CORNERS[marker].map(([x, y]) => `${x * r} ${y * r}`).join("L")}Z`;
}

const colorOf = ({ role }) => `--fs-color: var(--ia3-${role})`;
const path = (d, kind, dash = null) => s("path", { d, class: kind, "stroke-dasharray": dash });
const words = (x, y, said, anchor, kind = "ia3-tick") => s("text", { x, y, class: kind, "text-anchor": anchor }, said);

function mark({ marker, filled }, x, y) {
  const kind = filled ? "fs-mark" : "fs-mark fs-hollow";
  return s("path", { d: outline(marker, 5.5), transform: `translate(${x} ${y})`, class: kind });
}

function series(method, attributes, ...nodes) {
  return s("g", { class: "fs-series", style: colorOf(method), "data-method": method.name, ...attributes }, ...nodes);
}

// --- the drawings: each returns { nodes, places of the marks, layout, box }; all are as high ------------------------

const HEIGHT = 396;
const isNarrow = (width) => width < 520;
const wide = ({ label }) => 7 * label.length; // of a label, roughly

/** A column of the grid, shaded. */
const band = ({ left, right, top, bottom }, x) =>
  s("path", { d: `M${x} ${top}V${bottom}`, class: "fs-at", "stroke-width": 0.13 * (right - left) });
/** A dotted line at the accuracy of guessing, and its name: below it, for above stand methods that learn little. */
const guess = ({ left, right }, y) =>
  [path(`M${left} ${y}H${right}`, "fs-chance"), words(right, y + 13, "guessing", "end")];
const roomFor = ({ chance }) => (chance ? [chance - 0.03] : []);

/** Curves over k, or marks over parameters: accuracy upward. The names stand beside the marks, if there is room. */
function plane(now, rows, width) {
  const curve = now.view === "curve";
  const { chance } = now.task;
  const room = isNarrow(width) ? 10 : 8 + Math.max(...now.methods.map(wide));
  const box = { left: 42, right: width - room, top: 26, bottom: HEIGHT - 44 };
  const ends = rows.map(({ low, high }) => ({ low, high }));
  const range = valueRange(ends, now.view, roomFor(now.task));
  const y = linear(range, [box.bottom, box.top]);
  const across = (curve ? overKs : overParameters)(now, box);
  const places = rows.map(({ method, k, mean, low, high }) => {
    const i = now.shown.findIndex(({ name }) => name === method);
    const ends = { top: y(high), bottom: y(low) };
    return { x: across.at(i, k), y: y(mean), ...ends, column: curve ? k : i, method, value: mean };
  });
  const last = now.shown.map((method) => ({ ...places.findLast((one) => one.method === method.name), method }));
  const most = Math.max(...last.map(({ x }) => x));
  const named = last.map((one) => ({ ...one, x: curve ? most : one.x, wide: wide(one.method) }));
  const begins = isNarrow(width) ? [] : besideMarks(named, box.top + 4, box.bottom - 8);
  const bar = (row, x) => `M${x} ${y(row.low)}V${y(row.high)}${caps(row, range, (end) => `M${x - 3} ${y(end)}h6`)}`;
  const drawn = (method, i) => {
    const mine = rows.map((row, j) => ({ ...row, ...places[j] })).filter((one) => one.method === method.name);
    const line = `M${mine.map((one) => `${one.x} ${one.y}`).join("L")}`;
    const bars = mine.map((one) => path(bar(one, one.x), "fs-interval"));
    const curves = curve ? [path(line, "fs-curve", DASHES[method.line])] : [];
    const marks = mine.map((one) => mark(method, one.x, one.y));
    return series(method, {}, ...curves, ...bars, ...marks, ...(begins[i] ? label(method, last[i], begins[i]) : []));
  };
  const upward = { side: "left", place: y, values: ticks(...range, 5), text: (value) => fmt(value, 1) };
  const nodes = [
    ...(curve ? [band(box, across.place(now.k))] : []),
    ...drawAxis({ box, label: "accuracy", ...upward }),
    ...drawAxis({ box, side: "bottom", lines: "ticks", ...across }),
    path(across.line ?? `M${box.left} ${box.bottom}H${box.right}`, "fs-axis"),
    ...(chance ? guess(box, y(chance)) : []),
    ...now.shown.map(drawn),
  ];
  return { nodes, places, layout: curve ? "grid" : "line", box };
}

/** A method's name, and a line to it from its mark where they are not side by side. */
function label(method, mark, { x, y }) {
  const apart = Math.abs(y - mark.y) > 2 || x - mark.x > 20;
  const leader = apart ? [path(`M${mark.x + 8} ${mark.y}L${x - 3} ${y}`, "fs-leader")] : [];
  return [...leader, words(x, y + 4, method.label, "start", "fs-label")];
}

/** The axis of k. at(i, k): where method i's mark stands; those at one k stand side by side to be seen. */
function overKs({ ks, shown }, { left, right }) {
  const doublings = [ks[0], ks.at(-1)].map(Math.log2);
  const along = linear(doublings, [left + 44, right - 30]);
  const place = (k) => along(Math.log2(k));
  const apart = Math.min(9, (0.11 * (right - left)) / shown.length);
  const at = (i, k) => place(k) + apart * (i - (shown.length - 1) / 2);
  return { values: ks, place, at, label: "k, training examples (log axis)" };
}

/** The axis of parameters; after 0 the line has a gap. */
function overParameters({ shown }, { left, right, bottom }) {
  const { marks, places, zero } = parameterAxis(shown.map(({ parameters }) => parameters));
  const x = linear([0, 1], [left + 8, right - 8]);
  const shares = new Map(marks);
  return {
    values: [...shares.keys()],
    text: shortCount,
    place: (count) => x(shares.get(count)),
    at: (i) => x(places[i]) + beside(places, i),
    label: "parameters without the head (log axis)",
    line: zero ? `M${left} ${bottom}H${x(0.1)}m4 -5l-4 10m8 0l4 -10m-4 5H${right}` : null,
  };
}

/** One line for each method: the interval along a horizontal axis, over the single draws. */
function lines(now, rows, width) {
  const narrow = isNarrow(width);
  const box = { left: narrow ? 10 : 178, right: width - 10, top: 22, bottom: HEIGHT - 42 };
  const { left, right, top, bottom } = box;
  const zero = now.view === "paired";
  const { chance } = now.task;
  const range = valueRange(rows, now.view, zero ? [] : roomFor(now.task));
  const x = linear(range, [left + 6, right - 6]);
  const step = (bottom - top) / rows.length;
  const places = rows.map(({ method, mean }, i) => {
    return { x: x(mean), y: top + step * (i + 0.5) + (narrow ? 6 : 0), column: i, method, value: mean };
  });
  const name = ({ label }, y) => {
    if (narrow) return words(left, y - 12, label, "start", "fs-name");
    return words(left - 12, y + 4, label, "end", "fs-name");
  };
  const drawn = (row, i) => {
    const method = now.shown.find((one) => one.name === row.method);
    const { y } = places[i];
    const bar = `M${x(row.low)} ${y}H${x(row.high)}${caps(row, range, (end) => `M${x(end)} ${y - 4}v8`)}`;
    const draws = row.values.map((value) => s("circle", { cx: x(value), cy: y + 9, r: 2.4, class: "fs-draw" }));
    const marks = [...draws, path(bar, "fs-interval"), mark(method, x(row.mean), y)];
    return series(method, { "data-side": zero ? side(row) : null }, name(method, y), ...marks);
  };
  // A line at no difference or at guessing, which on a phone leaves out the names, and what stands at its sides.
  const level = (value, kind, said) => {
    const at = x(value);
    const line = narrow ? places.map(({ y }) => `M${at} ${y - 8}v22`).join("") : `M${at} ${top}V${bottom}`;
    const fitting = said.filter(([anchor, text]) => 7 * text.length + 8 < (anchor === "end" ? at : width - at));
    const put = ([anchor, text]) => words(at + (anchor === "end" ? -6 : 6), top - 6, text, anchor);
    return [path(line, kind), ...fitting.map(put)];
  };
  const who = now.reference.label;
  const [lower, higher] = narrow ? ["lower", "higher"] : [`${who} lower`, `${who} higher`];
  const ways = [["end", `\u2190 ${lower}`], ["start", `${higher} \u2192`]];
  const label = zero ? `accuracy: ${who} minus the other` : "accuracy";
  const text = (value) => fmt(value, zero ? 2 : 1);
  const nodes = [
    ...drawAxis({ side: "bottom", box, place: x, values: ticks(...range, 6), text, label }),
    ...(zero ? level(0, "fs-zero", ways) : chance ? level(chance, "fs-chance", [["start", "guessing"]]) : []),
    path(`M${left} ${bottom}H${right}`, "fs-axis"),
    ...rows.map(drawn),
  ];
  return { nodes, places, layout: "rows", box };
}

// --- the chart and its reading cursor ------------------------------------------------------------------------------

/** tell(words) shows what the cursor reads, tell(null) that it rests. */
function chart(tell) {
  const layer = s("g", { "aria-hidden": "true" });
  const guide = s("path", { class: "fs-guide" });
  const slider = { role: "slider", tabindex: 0, "aria-label": "Reading cursor", "aria-orientation": "horizontal" };
  const rings = [s("circle", { r: 19, class: "fs-target" }), s("circle", { r: 11, class: "fs-ring" })];
  const cursor = s("g", { class: "fs-cursor", ...slider }, ...rings);
  const svg = s("svg", { class: "fs-chart", role: "group" }, layer, guide, cursor);
  let drawing = { places: [] };
  let texts = [];
  let at = 0;
  let active = false;
  const show = () => {
    const { x, y } = drawing.places[at];
    const { top, bottom, left, right } = drawing.box;
    set(svg, "data-reading", active);
    for (const node of layer.querySelectorAll(".fs-series")) {
      set(node, "data-on", active && node.dataset.method === drawing.places[at].method);
    }
    set(cursor, "transform", `translate(${x} ${y})`);
    set(guide, "d", drawing.layout === "rows" ? `M${left} ${y}H${right}` : `M${x} ${top}V${bottom}`);
    const values = { valuemin: 1, valuemax: texts.length, valuenow: at + 1, valuetext: texts[at] };
    for (const [name, value] of Object.entries(values)) set(cursor, `aria-${name}`, value);
    tell(active ? texts[at] : null);
  };
  const move = (index) => {
    at = index;
    active = true;
    show();
  };
  const nearest = (event) => {
    if (!drawing.places.length) return;
    const point = svgPoint(svg, event);
    const rows = drawing.layout === "rows";
    const far = ({ x, y }) => (rows ? Math.abs(point.y - y) : Math.hypot(point.x - x, point.y - y));
    const best = drawing.places.reduce((found, place, i) => (far(place) < far(drawing.places[found]) ? i : found), 0);
    if (rows || far(drawing.places[best]) < 40) move(best);
  };
  svg.addEventListener("pointermove", nearest);
  svg.addEventListener("pointerdown", nearest);
  cursor.addEventListener("focus", () => move(at));
  onKeys(cursor, () => ({ ...ARROWS, Home: 0, End: drawing.places.length - 1 }), (way) =>
    move(Array.isArray(way) ? nextMark(drawing.places, at, ...way, drawing.layout) : way));
  const draw = (next, readings, label) => {
    const held = drawing.places[at]; // stay on the same method and column when it is still there
    drawing = next;
    texts = readings;
    const same = next.places.findIndex(({ method, column }) => method === held?.method && column === held?.column);
    const method = next.places.findIndex((place) => place.method === held?.method);
    at = same >= 0 ? same : Math.max(0, method);
    active &&= cursor.matches(":focus");
    set(svg, "aria-label", label);
    layer.replaceChildren(...next.nodes);
    show();
  };
  const rest = () => {
    active = false;
    at = 0;
    if (texts.length) show();
  };
  return { node: svg, draw, rest };
}

function chartLabel({ task, view, ks, k, reference }) {
  const what = {
    curve: ks.length > 1 ? "accuracy against k" : `accuracy at k = ${ks[0]}`,
    parameters: `accuracy against parameters, k = ${k}`,
    paired: `accuracy of ${reference.label} minus each other method, k = ${k}`,
  }[view];
  return `${task.name}: ${what}. A table of all numbers can be shown below the chart.`;
}

// --- the numbers and the controls ----------------------------------------------------------------------------------

/** The numbers as a table that fits a phone: one line for each mark. */
function tableOf(now, rows) {
  const paired = now.view === "paired";
  const method = (row) => now.methods.find(({ name }) => name === row.method);
  const extra = {
    curve: ["k", (row) => String(row.k)],
    parameters: ["parameters", (row) => fmtCount(method(row).parameters)],
  }[now.view];
  const head = ["method", extra?.[0], paired ? "difference" : "mean", "95% interval", paired ? "excludes 0" : null];
  const cells = (row) => [
    extra?.[1](row),
    digits(row.mean),
    `${digits(row.low)} to ${digits(row.high)}`,
    paired ? (side(row) ? "yes" : "no") : null,
  ];
  const groups = now.shown.map(({ name }) => rows.filter((row) => row.method === name)).filter((group) => group.length);
  const name = (row, size) =>
    h("th", size > 1 ? { scope: "rowgroup", rowspan: size } : { scope: "row" }, method(row).label);
  const line = (row, i, group) =>
    h("tr", {}, i ? null : name(row, group.length), ...filled(cells(row)).map((cell) => h("td", {}, cell)));
  const what = paired ? `${now.reference.label} minus each other method` : "mean accuracy";
  const k = now.view !== "curve" ? `, k = ${now.k}` : now.ks.length > 1 ? "" : `, k = ${now.ks[0]}`;
  const heads = filled(head).map((word) => h("th", { scope: "col" }, word));
  return [
    h("caption", {}, `${now.task.name}${k}: ${what}, ${now.draws} draws`),
    h("thead", {}, h("tr", {}, ...heads)),
    ...groups.map((group) => h("tbody", {}, ...group.map(line))),
  ];
}

const filled = (list) => list.filter((one) => one != null);

/** Checkboxes with the method's own mark and line: the legend is the control. */
function chips(model) {
  const methods = model.get("methods");
  const write = (name, on) => {
    const shown = model.get("shown_methods");
    const chosen = methods.map((method) => method.name).filter((one) => (one === name ? on : shown.includes(one)));
    update(model, { shown_methods: chosen });
  };
  const all = methods.map((method) => {
    const input = h("input", { type: "checkbox", onchange: () => write(method.name, input.checked) });
    const line = path("M2 8H38", "fs-curve", DASHES[method.line]);
    const look = { viewBox: "0 0 40 16", class: "fs-swatch", "aria-hidden": "true" };
    const swatch = s("svg", look, line, mark(method, 20, 8));
    const node = h("label", { class: "fs-chip", style: colorOf(method) }, input, swatch, h("span", {}, method.label));
    return { input, name: method.name, node };
  });
  const node = h("fieldset", { class: "fs-chips" }, h("legend", {}, "Methods"), ...all.map((chip) => chip.node));
  const draw = () => all.forEach(({ input, name }) => (input.checked = model.get("shown_methods").includes(name)));
  return { node, draw };
}

/** Radio buttons for k, made anew when the task brings others. */
function kChoice(read, write) {
  const place = h("div", { class: "fs-k" });
  let control = null;
  let key = "";
  const draw = (ks) => {
    if (ks.join() !== key) {
      key = ks.join();
      control = segmented({ label: "k", options: ks.map((k) => [k, String(k)]), read, write });
      place.replaceChildren(control.node);
    }
    control.draw();
  };
  return { node: place, draw };
}

const NOTES = {
  curve: "Lines join means over the draws; bars are their 95% intervals. Marks at one k stand side by side.",
  lines: "Large marks are means over the draws with 95% intervals, small dots the draws.",
  parameters: "Means over the draws with 95% intervals. The head, which every method trains, is not counted.",
  paired: "Small dots are single draws. Each interval is at 95% by itself: of several, one can exclude 0 by luck.",
};
const CUT = " Intervals that run past 0 or 1 are cut.";
// prettier-ignore
const VIEWS = [["curve", "by examples"], ["parameters", "by parameters"], ["paired", "head to head"]];
const NAMES = ["task", "k", "view", "reference", "shown_methods", "numbers"];
const DATA = ["methods", "chance", "accuracies", "quantiles"];

function render({ model, el }) {
  const todo = "Choose a task and a view. Point at a mark to read it, or use the reading cursor and the arrow keys.";
  const root = frame(el, "fewshot", "Few-shot curves", todo, CHOICES);
  const start = readTraits(model, NAMES);
  const data = readTraits(model, DATA);
  const state = () => ({ ...data, ...readTraits(model, NAMES) });
  const settled = (name) => () => settle(state())[name];
  const trait = (name) => traitOf(model, name);
  const choice = (label, name, options) =>
    dropdown({ label, options, read: () => settled(name)().name, write: trait(name).write });
  const sizes = (name) => Object.keys(data.accuracies[name]);
  const only = (name) => (sizes(name).length > 1 ? "" : ` (k = ${sizes(name)[0]} only)`);
  const tasks = Object.keys(data.chance).map((name) => [name, name + only(name)]);
  const task = choice("Task", "task", tasks);
  const named = data.methods.map(({ name, label }) => [name, label]);
  const reference = choice("Compare with", "reference", named);
  const view = segmented({ label: "View", options: VIEWS, ...trait("view") });
  const k = kChoice(settled("k"), (value) => trait("k").write(Number(value)));
  const methods = chips(model);
  const numbers = checkbox({ label: "Show the numbers", ...trait("numbers") });
  const note = h("p", { class: "fs-note ia3-muted" });
  const live = liveRegion();
  const table = h("table", { class: "fs-table" });
  const scroll = h("div", { class: "fs-scroll", tabindex: 0, role: "group", "aria-label": "The numbers" }, table);
  let overview = "";
  const plot = chart((said) => say(live.nodes[0], said ?? overview)); // the cursor speaks for itself: no status of it
  const reset = button("Reset", () => {
    update(model, start);
    plot.rest();
  });
  const row = (...nodes) => h("div", { class: "ia3-row" }, ...nodes);
  root.append(row(task.node, reference.node), row(view.node, k.node, reset), plot.node, ...live.nodes);
  root.append(methods.node, note, numbers.node, scroll);

  const draw = () => {
    const now = settle(state());
    const rows = rowsOf(state());
    const width = Math.round(clamp(root.clientWidth - 32, 280, 720));
    for (const control of [task, reference, view, methods, numbers]) control.draw();
    k.draw(now.ks);
    live.say((overview = describe(state())));
    const single = now.view === "curve" && now.ks.length === 1;
    const drawn = single || now.view === "paired" ? lines : plane;
    const readings = rows.map((one) => reading(state(), one));
    set(plot.node, "viewBox", `0 0 ${width} ${HEIGHT}`);
    set(plot.node, "data-empty", !rows.length);
    if (rows.length) plot.draw(drawn(now, rows, width), readings, chartLabel(now));
    say(note, NOTES[single ? "lines" : now.view] + (rows.some((one) => cutOff(one, now.view)) ? CUT : ""));
    scroll.hidden = !now.numbers || !rows.length;
    table.replaceChildren(...(scroll.hidden ? [] : tableOf(now, rows)));
  };
  let known = root.clientWidth; // the drawing follows the width, not its own height
  const resized = () => {
    if (root.clientWidth === known) return;
    known = root.clientWidth;
    draw();
  };
  const leave = [bind(model, NAMES, draw), onResize(root, resized)];
  return () => leave.forEach((stop) => stop());
}

export default { render };
