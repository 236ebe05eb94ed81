// The few-shot curves. Above: statistics of the draws and where marks stand. Below: the view, a function of the traits.

/** P(|T| < sqrt(df) tan(angle)) for Student's T: a finite sum for a whole number of degrees of freedom. */
export function coverage(angle, df) {
  const odd = df % 2, sine = Math.sin(angle), cosine = Math.cos(angle);
  let term = odd ? cosine : 1, total = 0;
  for (let j = 2 + odd; j <= df; j += 2) {
    total += term;
    term *= cosine * cosine * (j - 1) / j;
  }
  return odd ? 2 / Math.PI * (angle + sine * total) : sine * total;
}

/** The t with P(-t < T < t) = level, by bisection over the angle whose tangent is t / sqrt(df). */
export function tQuantile(df, level = 0.95) {
  let low = 0, high = Math.PI / 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (coverage(middle, df) < level) low = middle; else high = middle;
  }
  return Math.sqrt(df) * Math.tan(low);
}

const mean = (values) => values.reduce((total, value) => total + value, 0) / values.length;

/** Mean and Student's interval of at least two draws: { mean, low, high }. */
export function interval(values, level = 0.95) {
  const n = values.length, middle = mean(values);
  const variance = values.reduce((total, value) => total + (value - middle) ** 2, 0) / (n - 1);
  const half = tQuantile(n - 1, level) * Math.sqrt(variance / n);
  return { mean: middle, low: middle - half, high: middle + half };
}

/** The differences of two methods on the same draws. */
export const paired = (one, other) => one.map((value, draw) => value - other[draw]);

/** The k of a list that is nearest to the wanted one, counted in doublings; the smaller of two as near. */
export function nearestK(ks, wanted) {
  const far = (k) => Math.abs(Math.log2(k / wanted));
  return ks.reduce((best, k) => far(k) < far(best) ? k : best);
}

/** The state without contradictions: a task and a reference that exist, a k that the task has, methods in their order. */
export function settle(state) {
  const { methods, tasks, accuracies } = state;
  const task = tasks.find(({ name }) => name === state.task) ?? tasks[0];
  const ks = Object.keys(accuracies[task.name]).map(Number).sort((a, b) => a - b);
  const reference = methods.find(({ name }) => name === state.reference) ?? methods[0];
  const shown = methods.filter(({ name }) => state.shown_methods.includes(name));
  const draws = Object.values(accuracies[task.name][ks[0]])[0].length;
  return { ...state, task, ks, k: nearestK(ks, state.k), reference, shown, draws };
}

/** The numbers on show, one row for each mark: { method, k, mean, low, high, values }. As FewShotCurves.rows() in Python. */
export function rowsOf(state) {
  const { task, ks, k, view, reference, shown, accuracies } = settle(state), cells = accuracies[task.name];
  const methods = view === "paired" ? shown.filter(({ name }) => name !== reference.name) : shown;
  const ours = cells[k][reference.name];
  return methods.flatMap(({ name }) => (view === "curve" ? ks : [k]).map((size) => {
    const values = view === "paired" ? paired(ours, cells[k][name]) : cells[size][name];
    return { method: name, k: size, ...interval(values), values };
  }));
}

/** Which way an interval lies: 1 above 0, -1 below, 0 when it holds 0. */
export const side = ({ low, high }) => low > 0 ? 1 : high < 0 ? -1 : 0;

/** Round ticks from low to high, about count of them: steps of 1, 2 or 5 times a power of ten. */
export function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => snap((first + i) * step, step));
}

/** The ends of the axis: all intervals and what else must be in sight, in tenths; accuracies never past 0 and 1. */
export function valueRange(rows, view, more = []) {
  const values = [...rows.flatMap((row) => [row.low, row.high, ...(row.values ?? [])]), ...more];
  if (view === "paired") {
    const reach = Math.max(0.05, ...values.map(Math.abs));
    return [Math.min(-0.02, ...values) - 0.06 * reach, Math.max(0.02, ...values) + 0.06 * reach];
  }
  const low = Math.floor(10 * Math.min(0.9, ...values) + 1e-9) / 10, high = Math.ceil(10 * Math.max(...values, low + 0.1) - 1e-9) / 10;
  return [clamp(low, 0, 1), clamp(high, 0, 1)];
}

/** Where numbers of parameters stand on a logarithmic axis, from 0 to 1: 0 parameters at its left end, before a gap. */
export function parameterAxis(counts) {
  const some = counts.filter((count) => count > 0), zero = counts.some((count) => count === 0);
  const low = some.length ? Math.floor(Math.log10(Math.min(...some)) + 1e-9) : 0;
  const high = some.length ? Math.max(low + 1, Math.ceil(Math.log10(Math.max(...some)) - 1e-9)) : 1;
  const start = zero ? 0.18 : 0.02, length = 0.98 - start;
  const place = (count) => count === 0 ? 0.05 : start + length * (Math.log10(count) - low) / (high - low);
  const powers = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  return { marks: [...(zero ? [0] : []), ...powers].map((count) => [count, place(count)]), places: counts.map(place), zero };
}

/** 10000 -> "10 k". */
export function shortCount(count) {
  const [unit, size] = [[" B", 1e9], [" M", 1e6], [" k", 1e3], ["", 1]].find(([, least]) => count >= least) ?? ["", 1];
  return `${Number((count / size).toPrecision(3))}${unit}`;
}

/**
 * Where the reading cursor goes from mark at. marks: { column, value }. On a grid of curves left and right change the column
 * and stay on the curve, up and down go to the next value in the column; elsewhere all keys step through the marks.
 */
export function nextMark(marks, at, dx, dy, layout) {
  if (layout === "line") return clamp(at + dx + dy, 0, marks.length - 1);
  if (layout === "rows") return clamp(at + dx - dy, 0, marks.length - 1);
  const here = marks[at];
  if (dx) {
    const mine = marks.map((mark, i) => i).filter((i) => marks[i].method === here.method);
    return mine[clamp(mine.indexOf(at) + dx, 0, mine.length - 1)];
  }
  const column = marks.map((mark, i) => i).filter((i) => marks[i].column === here.column)
    .sort((a, b) => marks[a].value - marks[b].value || a - b);
  return column[clamp(column.indexOf(at) + dy, 0, column.length - 1)];
}

/**
 * Three digits as Python writes them: the dust of binary sums removed first, exact halves to the even digit. A number that
 * would round to 0.000 without being 0 gets digits up to its first: whether an interval excludes 0 must show.
 */
export function digits(value) {
  const clean = Number(Math.abs(value).toFixed(10)), half = clean * 16 % 2 === 1;
  if (clean > 0 && Number(clean.toFixed(3)) === 0) {
    let places = 4;
    while (Number(clean.toFixed(places)) === 0) places++;
    return fmt(value, places);
  }
  const kept = half ? 2 * Math.round(clean * 500) / 1000 : clean;
  return fmt(value < 0 ? -kept : kept, 3);
}

/** "a, b and c"; where the words hold commas themselves, "a; b; and c". */
export function andList(words) {
  if (words.length < 2) return words.join("");
  const commas = words.some((word) => word.includes(","));
  return `${words.slice(0, -1).join(commas ? "; " : ", ")}${commas ? ";" : ""} and ${words.at(-1)}`;
}

/** The live sentence. */
export function describe(state) {
  const { task, ks, k, view, reference, shown, draws, methods } = settle(state), rows = rowsOf(state);
  const label = (row) => methods.find(({ name }) => name === row.method).label;
  if (!shown.length) return "Choose at least one method.";
  if (!rows.length) return `Choose a method to compare with ${reference.label}.`;
  const where = `${task.label}, k = ${view === "curve" ? ks.at(-1) : k}, ${draws} draws`;
  if (view !== "paired") {
    const last = rows.filter((row) => row.k === (view === "curve" ? ks.at(-1) : k)).sort((a, b) => a.mean - b.mean);
    const [low, high] = [last[0], last.at(-1)], name = (row) => `${label(row)} (${digits(row.mean)})`;
    if (last.length === 1) return `${where}: the mean of ${label(low)} is ${digits(low.mean)}, its 95% interval ${digits(low.low)} to ${digits(low.high)}.`;
    return `${where}: the means run from ${name(low)} to ${name(high)}. Whether two methods differ, their paired difference says.`;
  }
  const group = (way) => rows.filter((row) => side(row) === way).map(label);
  const [above, level, below] = [group(1), group(0), group(-1)];
  if (!above.length && !below.length) return `${where}: no 95% interval excludes 0, so no difference from ${reference.label} is established.`;
  const said = [above.length ? `above ${andList(above)}` : "", below.length ? `below ${andList(below)}` : ""].filter(Boolean);
  const rest = level.length ? ` The interval holds 0 for ${andList(level)}.` : "";
  return `${where}: the 95% interval excludes 0 and puts ${reference.label} ${said.join(", but ")}.${rest}`;
}

/** What the cursor reads at a row. */
export function reading(state, row) {
  const { view, reference, methods } = settle(state), { label, parameters } = methods.find(({ name }) => name === row.method);
  const ends = `95% interval ${digits(row.low)} to ${digits(row.high)}`;
  if (view === "paired") {
    const won = row.values.filter((value) => value > 0).length, tied = row.values.filter((value) => value === 0).length;
    return `${reference.label} minus ${label}, k = ${row.k}: ${digits(row.mean)}, ${ends}; higher on ${won} of ${row.values.length} draws${tied ? `, equal on ${tied}` : ""}.`;
  }
  const size = view === "parameters" ? `, ${fmtCount(parameters)} parameters` : "";
  const draws = `draws from ${digits(Math.min(...row.values))} to ${digits(Math.max(...row.values))}`;
  return `${label}, k = ${row.k}${size}: mean ${digits(row.mean)}, ${ends}; ${draws}.`;
}

// --- the drawing ---------------------------------------------------------------------------------------------------

/** Whether an interval runs past the axis: only accuracies can, whose axis ends at 0 and 1. */
export const cutOff = ({ low, high }, view) => view !== "paired" && (low < 0 || high > 1);

/** The short bars at the ends of an interval; a cut end has none. at(value) -> path of one bar. */
const caps = ({ low, high }, [least, most], at) => [low, high].filter((end) => end >= least && end <= most).map(at).join("");

/** Outline of a mark around the origin. */
function outline(shape, r) {
  const polygon = (...points) => `M${points.map(([x, y]) => `${x * r} ${y * r}`).join("L")}Z`, w = 0.42;
  const plus = [[-w, -1], [w, -1], [w, -w], [1, -w], [1, w], [w, w], [w, 1], [-w, 1], [-w, w], [-1, w], [-1, -w], [-w, -w]];
  const turned = plus.map(([x, y]) => [(x - y) * Math.SQRT1_2, (x + y) * Math.SQRT1_2]);
  return { circle: `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0Z`, square: polygon([-.87, -.87], [.87, -.87], [.87, .87], [-.87, .87]),
    triangle: polygon([0, -1.1], [1.05, .8], [-1.05, .8]), down: polygon([0, 1.1], [1.05, -.8], [-1.05, -.8]),
    diamond: polygon([0, -1.2], [1.05, 0], [0, 1.2], [-1.05, 0]), plus: polygon(...plus.map(([x, y]) => [1.1 * x, 1.1 * y])),
    cross: polygon(...turned.map(([x, y]) => [1.1 * x, 1.1 * y])) }[shape];
}

const colorOf = ({ role }) => `--fs-color: var(--ia3-${role})`;

function mark(method, x, y, r = 5.5) {
  return s("path", { d: outline(method.shape, r), transform: `translate(${x} ${y})`, class: `fs-mark${method.filled ? "" : " fs-hollow"}` });
}

function stroke(method, d, kind) {
  return s("path", { d, class: kind, "stroke-dasharray": kind === "fs-curve" && method.dash ? method.dash : null });
}

const text = (x, y, words, kind = "fs-tick", anchor = "middle") => s("text", { x, y, class: kind, "text-anchor": anchor }, words);
const path = (d, kind) => s("path", { d, class: kind });

/** Curves over k, or marks over parameters: accuracy upward. Returns the nodes, the marks' places and the height. */
function plane(now, rows, width) {
  const height = width < 480 ? 320 : 360, left = 42, right = width - 10, top = 26, bottom = height - 44;
  const [low, high] = valueRange(rows.map(({ values, ...row }) => row), now.view, now.task.chance ? [now.task.chance - 0.03] : []);
  const y = (value) => bottom - (bottom - top) * (clamp(value, low, high) - low) / (high - low);
  const curve = now.view === "curve", count = now.shown.length;
  const axis = curve ? null : parameterAxis(now.shown.map(({ parameters }) => parameters));
  const x = (share) => left + 8 + (right - left - 16) * share;
  const kShare = (k) => 0.08 + 0.84 * Math.log2(k / now.ks[0]) / Math.log2(now.ks.at(-1) / now.ks[0]);
  const spread = Math.min(9, (right - left) * 0.11 / count);           // marks at one k stand side by side
  const offset = (i) => curve ? spread * (i - (count - 1) / 2) : beside(axis.places, i);
  const marks = curve ? now.ks.map((k) => [k, kShare(k)]) : axis.marks;
  const nodes = ticks(low, high, 5).flatMap((value) => [path(`M${left} ${y(value)}H${right}`, "fs-grid"), text(left - 7, y(value) + 4, fmt(value, 1), "fs-tick", "end")]);
  nodes.push(...marks.map(([value, share]) => text(x(share), bottom + 18, curve ? value : shortCount(value))),
    ...marks.filter(([value]) => value > 0).map(([, share]) => path(`M${x(share)} ${bottom}v5`, "fs-axis")),
    path(axis?.zero ? `M${left} ${bottom}H${x(0.1)}m4 -5l-4 10m8 0l4 -10m-4 5H${right}` : `M${left} ${bottom}H${right}`, "fs-axis"),
    text((left + right) / 2, height - 5, curve ? "k, training examples (logarithmic axis)" : "parameters besides the head (logarithmic axis)", "fs-label"),
    text(left - 40, top - 13, "accuracy", "fs-label", "start"));
  if (now.task.chance) nodes.push(path(`M${left} ${y(now.task.chance)}H${right}`, "fs-chance"), text(right, y(now.task.chance) + 13, "guessing", "fs-tick", "end"));
  const places = rows.map((row) => {
    const i = now.shown.findIndex(({ name }) => name === row.method);
    return { x: x(curve ? kShare(row.k) : axis.places[i]) + offset(i), y: y(row.mean), column: curve ? row.k : i, method: row.method, value: row.mean };
  });
  nodes.push(...now.shown.map((method) => {
    const mine = rows.map((row, j) => ({ row, ...places[j] })).filter(({ row }) => row.method === method.name);
    return s("g", { class: "fs-series", style: colorOf(method), "data-method": method.name },
      ...mine.map((one) => stroke(method, `M${one.x} ${y(one.row.low)}V${y(one.row.high)}${caps(one.row, [low, high], (end) => `M${one.x - 3} ${y(end)}h6`)}`, "fs-interval")),
      curve ? stroke(method, `M${mine.map((one) => `${one.x} ${one.y}`).join("L")}`, "fs-curve") : null, ...mine.map((one) => mark(method, one.x, one.y)));
  }));
  return { nodes, places, height: height + 4, layout: curve ? "grid" : "line", box: { left, right, top, bottom } };
}

/** Marks whose places nearly coincide stand side by side. */
function beside(places, i) {
  const near = places.map((_, j) => j).filter((j) => Math.abs(places[j] - places[i]) < 0.012);
  return 12 * (near.indexOf(i) - (near.length - 1) / 2);
}

/** One line for each method: the interval along a horizontal axis, over the single draws. */
function lines(now, rows, width) {
  const narrow = width < 520, step = narrow ? 46 : 36, left = narrow ? 10 : 178, right = width - 10, top = 8;
  const bottom = top + step * rows.length + 4, zero = now.view === "paired";
  const [low, high] = valueRange(rows, now.view, !zero && now.task.chance ? [now.task.chance - 0.03] : []);
  const x = (value) => left + 6 + (right - left - 12) * (clamp(value, low, high) - low) / (high - low);
  const nodes = ticks(low, high, narrow ? 4 : 6).flatMap((value) => [path(`M${x(value)} ${top}V${bottom}`, "fs-grid"),
    text(x(value), bottom + 18, zero ? fmt(value, 2) : fmt(value, 1))]);
  if (zero) nodes.push(path(`M${x(0)} ${top}V${bottom}`, "fs-zero"));
  else if (now.task.chance) nodes.push(path(`M${x(now.task.chance)} ${top}V${bottom}`, "fs-chance"), text(x(now.task.chance) + 5, bottom - 3, "guessing", "fs-tick", "start"));
  nodes.push(path(`M${left} ${bottom}H${right}`, "fs-axis"), text((left + right) / 2, bottom + 38,
    zero ? `accuracy: ${now.reference.label} minus the other, same draws` : "accuracy", "fs-label"));
  const places = rows.map((row, i) => ({ x: x(row.mean), y: top + step * (i + 0.5) + (narrow ? 9 : 0), column: i, method: row.method, value: row.mean }));
  nodes.push(...rows.map((row, i) => {
    const method = now.shown.find(({ name }) => name === row.method), { y } = places[i];
    return s("g", { class: "fs-series", style: colorOf(method), "data-method": method.name, "data-side": zero ? side(row) : null },
      text(narrow ? left : left - 12, narrow ? y - 15 : y + 4, method.label, "fs-name", narrow ? "start" : "end"),
      ...row.values.map((value) => s("circle", { cx: x(value), cy: y + 9, r: 2.4, class: "fs-draw" })),
      stroke(method, `M${x(row.low)} ${y}H${x(row.high)}${caps(row, [low, high], (end) => `M${x(end)} ${y - 4}v8`)}`, "fs-interval"), mark(method, x(row.mean), y));
  }));
  return { nodes, places, height: bottom + 46, layout: "rows", box: { left, right, top, bottom } };
}

/** The chart and its reading cursor. read(row) gives the words, tell(words) shows them. */
function chart(tell) {
  const layer = s("g", { "aria-hidden": "true" }), guide = s("path", { class: "fs-guide" });
  const cursor = s("g", { class: "fs-cursor", role: "slider", tabindex: 0, "aria-label": "Reading cursor", "aria-orientation": "horizontal" },
    s("circle", { r: 19, class: "fs-target" }), s("circle", { r: 11, class: "fs-ring" }));
  const svg = s("svg", { class: "fs-chart", role: "group" }, layer, guide, cursor);
  let drawing = { places: [] }, texts = [], at = 0, active = false;
  const show = () => {
    const place = drawing.places[at], { top, bottom, left, right } = drawing.box;
    set(svg, "data-reading", active);
    set(cursor, "transform", `translate(${place.x} ${place.y})`);
    set(guide, "d", drawing.layout === "rows" ? `M${left} ${place.y}H${right}` : `M${place.x} ${top}V${bottom}`);
    set(cursor, "aria-valuemin", 1);
    set(cursor, "aria-valuemax", texts.length);
    set(cursor, "aria-valuenow", at + 1);
    set(cursor, "aria-valuetext", texts[at]);
    tell(active ? texts[at] : null);
  };
  const move = (index) => { at = index; active = true; show(); };
  const nearest = (event) => {
    if (!drawing.places.length) return;
    const point = svgPoint(svg, event), rows = drawing.layout === "rows";
    const far = ({ x, y }) => rows ? Math.abs(point.y - y) : Math.hypot(point.x - x, point.y - y);
    const best = drawing.places.reduce((found, place, i) => far(place) < far(drawing.places[found]) ? i : found, 0);
    if (far(drawing.places[best]) < (rows ? 24 : 40)) move(best);
  };
  svg.addEventListener("pointermove", nearest);
  svg.addEventListener("pointerdown", nearest);
  cursor.addEventListener("focus", () => move(at));
  cursor.addEventListener("keydown", (event) => {
    const way = { ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowLeft: [-1, 0], ArrowDown: [0, -1] }[event.key];
    const end = { Home: 0, End: drawing.places.length - 1 }[event.key];
    if (way) move(nextMark(drawing.places, at, ...way, drawing.layout));
    else if (end !== undefined) move(end);
    else return;
    event.preventDefault();
  });
  const draw = (next, words, label, width) => {
    const held = drawing.places[at];                                  // stay on the same method and column when it is still there
    drawing = next;
    texts = words;
    const same = next.places.findIndex(({ method, column }) => method === held?.method && column === held?.column);
    const method = next.places.findIndex((place) => place.method === held?.method);
    at = same >= 0 ? same : Math.max(0, method);
    if (!held) active = false;
    set(svg, "viewBox", `0 0 ${width} ${next.height}`);
    set(svg, "aria-label", label);
    layer.replaceChildren(...next.nodes);
    show();
  };
  return { node: svg, draw, rest: () => { active = false; at = 0; if (texts.length) show(); } };
}

/** The numbers as a table that fits a phone: one line for each mark. */
function tableOf(now, rows) {
  const label = (row) => now.methods.find(({ name }) => name === row.method), zero = now.view === "paired", curve = now.view === "curve";
  const head = ["method", ...(curve ? ["k"] : now.view === "parameters" ? ["parameters"] : []), zero ? "difference" : "mean", "95% interval",
    ...(zero ? ["excludes 0"] : [])];
  const groups = now.shown.map(({ name }) => rows.filter((row) => row.method === name)).filter((group) => group.length);
  const line = (row, i, group) => h("tr", {},
    i ? null : h("th", { scope: group.length > 1 ? "rowgroup" : "row", rowspan: group.length > 1 ? group.length : null }, label(row).label),
    curve ? h("td", {}, String(row.k)) : now.view === "parameters" ? h("td", {}, fmtCount(label(row).parameters)) : null,
    h("td", {}, digits(row.mean)), h("td", {}, `${digits(row.low)} to ${digits(row.high)}`), zero ? h("td", {}, side(row) ? "yes" : "no") : null);
  const what = zero ? `${now.reference.label} minus each other method` : "mean accuracy";
  const k = curve ? now.ks.length > 1 ? "" : `, k = ${now.ks[0]}` : `, k = ${now.k}`;
  return [h("caption", {}, `${now.task.label}${k}: ${what}, ${now.draws} draws`),
    h("thead", {}, h("tr", {}, ...head.map((word) => h("th", { scope: "col" }, word)))), ...groups.map((group) => h("tbody", {}, ...group.map(line)))];
}

/** Checkboxes with the method's own mark and line: the legend is the control. */
function chips(model) {
  const methods = model.get("methods");
  const write = (name, on) => {
    const shown = model.get("shown_methods");
    update(model, { shown_methods: methods.map((method) => method.name).filter((other) => other === name ? on : shown.includes(other)) });
  };
  const all = methods.map((method) => {
    const input = h("input", { type: "checkbox", onchange: () => write(method.name, input.checked) });
    const swatch = s("svg", { viewBox: "0 0 40 16", class: "fs-swatch", "aria-hidden": "true" }, stroke(method, "M2 8H38", "fs-curve"), mark(method, 20, 8));
    return { input, name: method.name, node: h("label", { class: "fs-chip", style: colorOf(method) }, input, swatch, h("span", {}, method.label)) };
  });
  const node = h("fieldset", { class: "fs-chips" }, h("legend", {}, "Methods"), ...all.map((chip) => chip.node));
  return { node, draw: () => all.forEach(({ input, name }) => { input.checked = model.get("shown_methods").includes(name); }) };
}

/** Radio buttons for k, made anew when the task brings others. */
function kChoice(read, write) {
  const place = h("div", { class: "fs-k" });
  let control = null, key = "";
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

const HINT = "Point at a mark, or move the reading cursor with the arrow keys.";
const NOTES = {
  curve: "Marks joined by lines are means over the draws; bars are 95% intervals of the mean. Marks at one k stand side by side to be seen.",
  lines: "Large marks are means over the draws with their 95% intervals, small dots the draws themselves.",
  parameters: "Marks are means over the draws with 95% intervals. The head is trained by every method and not counted.",
  paired: "Small dots are the differences on single draws. Each interval is at 95% by itself: among several, one can exclude 0 by luck.",
};
const NAMES = ["task", "k", "view", "reference", "shown_methods", "numbers"];

function render({ model, el }) {
  const root = frame(el, "fewshot", "Few-shot curves: accuracy of several methods");
  const start = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
  const data = Object.fromEntries(["methods", "tasks", "accuracies"].map((name) => [name, model.get(name)]));
  const state = () => ({ ...data, ...Object.fromEntries(NAMES.map((name) => [name, model.get(name)])) });
  const trait = (name, convert = (value) => value) => ({ read: () => model.get(name), write: (value) => update(model, { [name]: convert(value) }) });
  const named = (list) => list.map(({ name, label }) => [name, label]);
  const task = dropdown({ label: "Task", options: named(data.tasks), ...trait("task"), read: () => settle(state()).task.name });
  const reference = dropdown({ label: "Reference", options: named(data.methods), ...trait("reference"), read: () => settle(state()).reference.name });
  const view = segmented({ label: "View", options: [["curve", "against k"], ["parameters", "against parameters"], ["paired", "paired difference"]], ...trait("view") });
  const k = kChoice(() => settle(state()).k, trait("k", Number).write);
  const methods = chips(model), numbers = checkbox({ label: "Show the numbers", ...trait("numbers") });
  const note = h("p", { class: "fs-note ia3-muted" }), read = h("p", { class: "fs-reading" }), spoken = liveRegion();
  const table = h("table", { class: "fs-table" }), scroll = h("div", { class: "fs-scroll", tabindex: 0, role: "group", "aria-label": "The numbers" }, table);
  const plot = chart((words) => { say(read, words ?? HINT); set(read, "data-reading", Boolean(words)); });
  const reset = button("Reset", () => { update(model, start); plot.rest(); });
  root.append(h("div", { class: "ia3-row" }, task.node, reset), h("div", { class: "ia3-row" }, view.node),
    h("div", { class: "ia3-row" }, k.node, reference.node), methods.node, plot.node, read, note, ...spoken.nodes, numbers.node, scroll);

  const draw = () => {
    const now = settle(state()), rows = rowsOf(state()), width = Math.round(clamp(root.clientWidth - 32, 280, 720));
    for (const control of [task, reference, view, methods, numbers]) control.draw();
    k.draw(now.ks);
    k.node.hidden = now.view === "curve";
    reference.node.hidden = now.view !== "paired";
    const flat = now.view === "paired" || (now.view === "curve" && now.ks.length === 1);
    for (const node of [plot.node, read, note]) set(node, "hidden", rows.length === 0);
    if (rows.length) plot.draw((flat ? lines : plane)(now, rows, width), rows.map((row) => reading(state(), row)), chartLabel(now), width);
    const cut = rows.some((row) => cutOff(row, now.view)) ? " An interval that runs past 0 or 1 is cut there and has no end bar." : "";
    say(note, NOTES[flat && now.view === "curve" ? "lines" : now.view] + cut);
    scroll.hidden = !now.numbers || !rows.length;
    table.replaceChildren(...(now.numbers && rows.length ? tableOf(now, rows) : []));
    spoken.say(describe(state()));
  };
  let wide = root.clientWidth;                                       // the drawing follows the width, not its own height
  const resized = () => { if (root.clientWidth !== wide) { wide = root.clientWidth; draw(); } };
  const leave = [bind(model, NAMES, draw), onResize(root, resized)];
  return () => leave.forEach((stop) => stop());
}

function chartLabel(now) {
  const what = { curve: now.ks.length > 1 ? "accuracy against k" : `accuracy at k = ${now.ks[0]}`, parameters: `accuracy against parameters, k = ${now.k}`,
    paired: `accuracy of ${now.reference.label} minus each other method, k = ${now.k}` }[now.view];
  return `${now.task.label}: ${what}. A table of all numbers can be shown below the chart.`;
}

export default { render };
