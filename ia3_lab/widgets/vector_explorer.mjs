// The vector explorer: one rescaling vector as a histogram around 1, and each entry's deviation from 1.
// Models arrive as plain data: every entry of a vector in steps of a resolution, or a summary of it.

const BINS = { low: -0.0125, high: 2.0125, count: 81 };
const KINDS = ["k", "v", "ff"];
const PART_NAMES = { "": "", encoder: "encoder", decoder: "decoder", cross: "cross-attention" };

/** Whole numbers of 16 bits from base64: all low bytes first, then all high bytes. */
export function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), half = bytes.length / 2;
  return Array.from({ length: half }, (_, i) => (bytes[i] + 256 * bytes[half + i]) << 16 >> 16);
}

/** Counts of values below the bins, in each bin, and above. */
export function histogram(values) {
  const counts = Array(BINS.count + 2).fill(0);
  for (const value of values) {
    const place = Math.floor((value - BINS.low) / (BINS.high - BINS.low) * BINS.count);
    counts[clamp(place, -1, BINS.count) + 1]++;
  }
  return counts;
}

/** Mean, root mean square deviation from 1, entries in [0.8, 1.2], entries below 0. */
export function figures(values) {
  const mean = (f) => values.reduce((sum, value) => sum + f(value), 0) / values.length;
  return {
    mean: mean((value) => value), rms: Math.sqrt(mean((value) => (value - 1) ** 2)),
    near_one: values.filter((value) => Math.abs(value - 1) < 0.2 + 1e-9).length,
    negatives: values.filter((value) => value < 0).length,
  };
}

/** Indices from the value farthest from 1 to the nearest; equal ones keep their order. */
export function farthestFirst(values) {
  return values.map((_, i) => i).sort((i, j) => Math.abs(values[j] - 1) - Math.abs(values[i] - 1) || i - j);
}

/**
 * A vector as it is drawn: { size, units, values, order, counts, mean, rms, near_one, negatives, band }.
 * units are the indices of the known values, order leads from the farthest to the nearest of them. Entries that are not
 * known lie within band of 1; band is null where all are known.
 */
export function readVector(vector, resolution) {
  const value = (step) => 1 + step * resolution;
  if (vector.steps !== undefined) {
    const values = unpack(vector.steps).map(value);
    const units = values.map((_, i) => i);
    return { size: vector.size, units, values, order: farthestFirst(values), counts: histogram(values), ...figures(values), band: null };
  }
  const { size, mean, rms, near_one, negatives, moved } = vector, numbers = unpack(vector.packed);
  const found = unpack(vector.packed).slice(-2 * moved, -moved), steps = numbers.slice(-moved);
  const sorted = found.map((unit, i) => [unit, value(steps[i])]).sort(([a], [b]) => a - b);
  const units = sorted.map(([unit]) => unit), values = sorted.map(([, one]) => one);
  const band = moved < size ? Math.abs(value(steps.at(-1)) - 1) : null;
  return { size, units, values, order: farthestFirst(values), counts: numbers.slice(0, BINS.count + 2), mean, rms, near_one, negatives, band };
}

const without = (values) => [...new Set(values)];

/** What can be chosen, and the vector that comes closest to what is asked for. */
export function choose(models, { model, part, kind, layer }) {
  const set = models.find(({ name }) => name === model) ?? models[0], { vectors } = set;
  const parts = without(vectors.map((vector) => vector.part)), here = parts.includes(part) ? part : parts[0];
  const there = vectors.filter((vector) => vector.part === here);
  const kinds = KINDS.filter((known) => there.some((vector) => vector.kind === known));
  const shown = kinds.includes(kind) ? kind : kinds.at(-1);
  const alike = there.filter((vector) => vector.kind === shown);
  const gap = (vector) => Math.abs(vector.layer - layer);
  const vector = alike.reduce((best, next) => (gap(next) < gap(best) || (gap(next) === gap(best) && next.layer < best.layer) ? next : best));
  const layers = without(vectors.map((one) => one.layer)).sort((a, b) => a - b);
  return { set, vector, alike, parts, kinds, layers };
}

/** Where among the known units the pointed one stands: the farthest from 1 for -1, else the nearest index. */
export function pointAt({ units, order }, unit) {
  if (unit < 0) return order[0];
  let best = 0;
  units.forEach((other, i) => { if (Math.abs(other - unit) < Math.abs(units[best] - unit)) best = i; });
  return best;
}

/** The smallest of 1, 2, 5, 10, 20, ... (times a power of ten) that is at least value. */
export function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  return [1, 2, 5, 10].map((digit) => Number((digit * power).toPrecision(6))).find((nice) => nice >= value * (1 - 1e-9));
}

/** Height of a count from 0 to 1, when the tallest bar may count top. */
export const height = (count, top, log) => (log ? Math.log1p(count) / Math.log1p(top) : count / top);

const ordinal = (n) => `${fmtCount(n)}${n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th"}`;

/** "l_k, decoder, layer 3". */
export function placeName({ part, kind, layer }) {
  return [`l_${kind}`, PART_NAMES[part], `layer ${layer}`].filter(Boolean).join(", ");
}

/** The sentence about the whole vector. */
export function describeVector(place, read, { simulated }) {
  const start = `${simulated ? "Simulated: " : ""}${placeName(place)}: ${fmtCount(read.size)} entries`;
  if (read.rms === 0) return `${start}, all of them 1: nothing is rescaled.`;
  const share = fmt(100 * read.near_one / read.size, 1), negative = read.negatives ? fmtCount(read.negatives) : "none";
  return `${start}. Rms deviation from 1: ${fmt(read.rms, 3)}; ${share}% within 0.8 to 1.2; ${negative} negative.`;
}

/** The sentence about the pointed entry. */
export function describeUnit(read, i, num_heads, kind) {
  const unit = read.units[i], value = read.values[i], away = value - 1;
  const rank = read.order.indexOf(i) + 1, deviation = `${away > 0 ? "+" : ""}${fmt(away, 3)}`;
  const farness = rank === 1 ? "farthest from 1" : `${ordinal(rank)} farthest from 1`;
  const size = num_heads && kind !== "ff" ? read.size / num_heads : 0;
  const head = size ? ` It is place ${unit % size} of head ${Math.floor(unit / size)}.` : "";
  return `Entry ${fmtCount(unit)}: ${fmt(value, 3)} (${deviation}), ${farness}.${head}`;
}

// --- drawing -------------------------------------------------------------------------------------------------------

const TALL = 196, TOP = 24, FLOOR = 158, SIDE = 46;

/** A chart as wide as its place on the page, so that its text keeps its size. */
function chart(label, role) {
  const axes = s("g", {}), body = s("g", {}), svg = s("svg", { role, "aria-label": label }, axes, body);
  let wide = 0;
  return {
    svg, axes, body,
    get wide() { return wide; },
    fit(width) {
      wide = Math.max(240, Math.round(width));
      set(svg, "viewBox", `0 0 ${wide} ${TALL}`);
      set(svg, "style", `height: ${TALL}px`);
    },
  };
}

const line = (x1, y1, x2, y2, kind) => s("line", { x1, y1, x2, y2, class: kind });
const text = (x, y, words, anchor = "middle", kind = "ve-tick") => s("text", { x, y, "text-anchor": anchor, class: kind }, words);

function countTicks(top, log) {
  return log ? [0, 1, 10, 100, 1000, 10000].filter((count) => count <= top) : [0, top / 2, top];
}

/** Bars of the counts; the first and the last bar count what lies beyond the axis. */
function drawHistogram(panel, { read, top, log }) {
  const { wide, axes, body } = panel, left = SIDE, right = wide - 26;
  const step = (right - left) / read.counts.length, x = (value) => left + step * (1 + (value - BINS.low) / 0.025);
  const y = (count) => FLOOR - (FLOOR - TOP) * height(count, top, log);
  axes.replaceChildren(
    ...countTicks(top, log).flatMap((count) => [line(left, y(count), right, y(count), "ve-grid"),
      text(left - 6, y(count) + 4, fmtCount(count), "end")]),
    ...[0, 0.5, 1, 1.5, 2].map((value) => text(x(value), FLOOR + 17, fmt(value, 1))),
    text((left + right) / 2, FLOOR + 34, "value of an entry", "middle", "ve-label"),
    text(0, 10, "number of entries (same scale in every layer)", "start", "ve-label"));
  const bars = read.counts.map((count, i) => (count ? `M${(left + step * i).toFixed(1)} ${FLOOR}V${y(count).toFixed(1)}h${(step * 0.86).toFixed(2)}V${FLOOR}z` : ""));
  const below = read.counts[0], above = read.counts.at(-1);
  body.replaceChildren(s("path", { d: bars.join(""), class: "ve-bars" }), line(x(1), TOP - 8, x(1), FLOOR + 4, "ve-one"),
    ...(below ? [text(left, y(below) - 5, `${fmtCount(below)} below`, "start")] : []),
    ...(above ? [text(right, y(above) - 5, `${fmtCount(above)} above`, "end")] : []));
}

/** A line from 1 to each known entry, heads as stripes, the range of the unknown ones as a band. */
function drawEntries(panel, { read, limit, num_heads }) {
  const { wide, axes, body } = panel, left = SIDE, right = wide - 26, middle = (TOP + FLOOR) / 2;
  const x = (unit) => left + (right - left) * (unit + 0.5) / read.size;
  const y = (value) => middle - (FLOOR - TOP) / 2 * (value - 1) / limit;
  const digits = limit < 0.1 ? 3 : limit < 1 ? 2 : 1, last = read.size - 1;
  const stripes = num_heads ? [...Array(Math.floor(num_heads / 2)).keys()].map((i) => {
    const wideOne = (right - left) / num_heads;
    return s("rect", { x: left + wideOne * (2 * i + 1), y: TOP, width: wideOne, height: FLOOR - TOP, class: "ve-head" });
  }) : [];
  axes.replaceChildren(...stripes,
    ...[-limit, 0, limit].flatMap((away) => [line(left, y(1 + away), right, y(1 + away), away ? "ve-grid" : "ve-axis"),
      text(left - 6, y(1 + away) + 4, `${away > 0 ? "+" : ""}${fmt(away, away ? digits : 0)}`, "end")]),
    text(left, FLOOR + 17, "0", "start"), text(right, FLOOR + 17, fmtCount(last), "end"),
    text((left + right) / 2, FLOOR + 34, `entry${num_heads ? " (stripes: heads)" : ""}`, "middle", "ve-label"),
    text(0, 10, "deviation from 1", "start", "ve-label"));
  const known = read.units.length === read.size, thick = known ? Math.max((right - left) / read.size, 0.9) : 2;
  const path = read.units.map((unit, i) => `M${x(unit).toFixed(2)} ${middle}V${y(read.values[i]).toFixed(2)}`).join("");
  const band = read.band === null ? [] : [s("rect", { x: left, y: y(1 + read.band), width: right - left, height: y(1 - read.band) - y(1 + read.band), class: "ve-band" })];
  body.replaceChildren(...band, s("path", { d: path, class: "ve-lines", "stroke-width": thick.toFixed(2) }));
  return { x, y, unitAt: (place) => Math.round((place - left) / (right - left) * read.size - 0.5) };
}

const NAMES = ["model", "part", "kind", "layer", "unit", "log_counts"];

/** Everything on screen follows from the traits; vectors are unpacked when they are first looked at. */
function makeReader(model) {
  const models = model.get("models"), known = new Map();
  const readOf = (vector, resolution) => {
    if (!known.has(vector)) known.set(vector, readVector(vector, resolution));
    return known.get(vector);
  };
  return () => {
    const asked = Object.fromEntries(NAMES.map((name) => [name, model.get(name)])), choice = choose(models, asked);
    const { set: chosen, vector, alike } = choice, read = readOf(vector, chosen.resolution);
    const tallest = Math.max(...alike.map((other) => Math.max(...readOf(other, chosen.resolution).counts)));
    const farthest = Math.max(...read.values.map((value) => Math.abs(value - 1)), 0.01);
    return { ...asked, ...choice, models, read, at: pointAt(read, asked.unit), top: niceCeiling(tallest), limit: niceCeiling(farthest),
      num_heads: vector.kind === "ff" ? null : chosen.num_heads };
  };
}

/** The rows of controls; each draw(view) shows what can be chosen now. */
function controls(model, view) {
  const write = (changes) => update(model, { ...changes, unit: -1 });
  const list = dropdown({ label: "Model", options: view().models.map(({ name }) => [name, name]), read: () => view().set.name, write: (name) => write({ model: name }) });
  const parts = segmented({ label: "Part", options: ["encoder", "decoder", "cross"].map((part) => [part, PART_NAMES[part]]), read: () => view().vector.part, write: (part) => write({ part }) });
  const kinds = segmented({ label: "Vector", options: KINDS.map((kind) => [kind, `l_${kind}`]), read: () => view().vector.kind, write: (kind) => write({ kind }) });
  const layers = slider({ label: "Layer", min: 0, max: 1, step: 1, read: () => view().vector.layer, write: (layer) => write({ layer }), text: (layer) => fmt(layer, 0) });
  set(layers.node.querySelector("output"), "aria-live", "off");      // the slider says its value itself
  const logs = checkbox({ label: "logarithmic counts", read: () => model.get("log_counts"), write: (on) => update(model, { log_counts: on }) });
  const draw = (now) => {
    set(layers.input, "min", now.layers[0]);
    set(layers.input, "max", now.layers.at(-1));
    parts.node.hidden = now.parts.length < 2;
    parts.inputs.forEach((input) => { input.disabled = !now.parts.includes(input.value); });
    kinds.inputs.forEach((input) => { input.disabled = !now.kinds.includes(input.value); });
    for (const control of [list, parts, kinds, layers, logs]) control.draw();
  };
  return { nodes: [h("div", { class: "ia3-row" }, list.node, parts.node, kinds.node), layers.node], logs: logs.node, draw };
}

/** The marker on the chart of entries: a slider over the known entries, and the mouse or a finger anywhere on the chart. */
function marker(model, panel, view, scales) {
  const put = (i) => { const { units } = view().read; update(model, { unit: units[clamp(i, 0, units.length - 1)] }); };
  const near = (place) => put(pointAt(view().read, Math.max(0, scales().unitAt(place))));
  const handle = dragHandle({
    svg: panel.svg, color: "var(--ve-color)", label: "Entry of the vector", radius: 6,
    place: () => { const { read, at } = view(); return { x: scales().x(read.units[at]), y: scales().y(read.values[at]) }; },
    drag: ({ x }) => near(x),
    nudge: (dx, dy) => put(view().at + dx + dy),
    ends: (which) => put(which === "min" ? 0 : view().read.units.length - 1),
    value: () => {
      const { read, at, num_heads, vector } = view();
      return { now: read.units[at], min: 0, max: read.size - 1, text: describeUnit(read, at, num_heads, vector.kind) };
    },
  });
  const stem = s("line", { class: "ve-stem", y1: TOP, y2: FLOOR });
  panel.svg.append(stem, handle.node);
  let held = null;
  panel.svg.addEventListener("pointerdown", (event) => {
    if (event.button || handle.node.contains(event.target)) return;
    held = event.pointerId;
    panel.svg.setPointerCapture(held);
    near(svgPoint(panel.svg, event).x);
  });
  panel.svg.addEventListener("pointermove", (event) => {
    const hovers = event.pointerType === "mouse" && !event.buttons;
    if (hovers || held === event.pointerId) near(svgPoint(panel.svg, event).x);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) panel.svg.addEventListener(end, () => { held = null; });
  const draw = () => {
    const { read, at } = view(), x = scales().x(read.units[at]);
    set(stem, "x1", x);
    set(stem, "x2", x);
    handle.draw();
  };
  return { draw, next: () => { const { read, at } = view(); put(read.order[(read.order.indexOf(at) + 1) % read.order.length]); } };
}

/** What the model is, and how exact what is drawn is. */
function noteText({ set: chosen, read }) {
  const exact = read.band === null
    ? `Values are rounded to ${chosen.resolution}.`
    : `Only a histogram and the ${read.units.length} entries farthest from 1 are stored; the other ${fmtCount(read.size - read.units.length)} lie in the shaded band, within ${fmt(read.band, 3)} of 1.`;
  const { low, high } = BINS, beyond = read.counts[0] || read.counts.at(-1);
  const ends = beyond ? ` The bars at the two ends of the histogram count the entries below ${fmt(low, 4)} and above ${fmt(high, 4)}.` : "";
  return `${chosen.note} ${exact}${ends}`.trim();
}

function render({ model, el }) {
  const root = frame(el, "vectors", "Vector explorer: the entries of one rescaling vector"), live = liveRegion(), read = makeReader(model);
  let now = read(), scales = null, drawn = "";
  const view = () => now, start = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
  const inputs = controls(model, view), upper = chart("", "img"), lower = chart("Deviation from 1 of each entry", "group");
  const point = marker(model, lower, view, () => scales);
  const tag = h("strong", { class: "ve-tag" }, "simulated"), title = h("span", {}), note = h("p", { class: "ia3-muted ve-note" });
  const buttons = [button("Next farthest entry", () => point.next()), button("Reset", () => update(model, start))];
  root.append(...inputs.nodes, h("p", { class: "ve-title" }, title, tag), upper.svg, lower.svg, ...live.nodes,
    h("div", { class: "ia3-row" }, inputs.logs, ...buttons), note);
  const draw = () => {
    now = read();
    const { vector, set: chosen, read: shown, at } = now, width = upper.svg.clientWidth;
    root.style.setProperty("--ve-color", `var(--ia3-${vector.kind})`);
    const key = [now.models.indexOf(chosen), placeName(vector), now.log_counts, width].join();
    if (key !== drawn) {                                     // the entry that is pointed at changes far more often
      drawn = key;
      for (const panel of [upper, lower]) panel.fit(width);
      drawHistogram(upper, { read: shown, top: now.top, log: now.log_counts });
      scales = drawEntries(lower, { read: shown, limit: now.limit, num_heads: now.num_heads });
      say(title, `${placeName(vector)} \u00b7 ${chosen.name}`);
      say(note, noteText(now));
      tag.hidden = !chosen.simulated;
      set(upper.svg, "aria-label", `Histogram. ${describeVector(vector, shown, chosen)}`);
    }
    inputs.draw(now);
    point.draw();
    live.say(`${describeVector(vector, shown, chosen)} ${describeUnit(shown, at, now.num_heads, vector.kind)}`);
  };
  const stops = [bind(model, NAMES, draw), onResize(root, draw)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
