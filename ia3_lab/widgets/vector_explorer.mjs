// The vector explorer: one rescaling vector as a histogram around 1, and each entry's deviation from 1.
// What is counted and averaged comes from Python; single entries come in steps of a resolution.

const BINS = { low: -0.0125, width: 0.025, count: 81 };
const HIGH = BINS.low + BINS.width * BINS.count;
const KINDS = ["k", "v", "ff"];
const PART_NAMES = { "": "", encoder: "encoder", decoder: "decoder", cross: "cross-attention" };

/**
 * The models with the numbers of their vectors. counts are of the values below the bins, in each bin, and above; units
 * are the indices of the entries that are known, in rising order, and values what they are.
 */
export function readModels(models, bytes) {
  const numbers = new Int16Array(Uint8Array.from(bytes).buffer);
  let start = 0;
  const take = (size) => Array.from(numbers.subarray(start, (start += size)));
  const read = (vector, resolution) => {
    const counts = take(BINS.count + 2);
    const places = vector.known < vector.entries ? take(vector.known) : [...Array(vector.entries).keys()];
    const known = take(vector.known)
      .map((step, i) => [places[i], 1 + step * resolution])
      .sort(([a], [b]) => a - b);
    return { ...vector, counts, units: known.map(([unit]) => unit), values: known.map(([, value]) => value) };
  };
  return models.map((one) => ({ ...one, vectors: one.table.map((vector) => read(vector, one.resolution)) }));
}

/** Indices from the value farthest from 1 to the nearest; equal ones keep their order. */
export function farthestFirst(values) {
  return values.map((_, i) => i).sort((i, j) => Math.abs(values[j] - 1) - Math.abs(values[i] - 1) || i - j);
}

const distinct = (values) => [...new Set(values)];

/** What can be chosen, and the vector that comes closest to what is asked for. */
export function choose(models, { model, part, kind, layer }) {
  const set = models.find(({ name }) => name === model) ?? models[0];
  const parts = distinct(set.vectors.map((vector) => vector.part));
  const here = parts.includes(part) ? part : parts[0];
  const there = set.vectors.filter((vector) => vector.part === here);
  const kinds = KINDS.filter((known) => there.some((vector) => vector.kind === known));
  const shown = kinds.includes(kind) ? kind : kinds.at(-1);
  const alike = there.filter((vector) => vector.kind === shown).sort((one, other) => one.layer - other.layer);
  const gap = (vector) => Math.abs(vector.layer - layer);
  const vector = alike.reduce((best, next) => (gap(next) < gap(best) ? next : best));
  const layers = distinct(set.vectors.map((one) => one.layer)).sort((a, b) => a - b);
  return { set, vector, alike, parts, kinds, layers };
}

/** Where among the known units the pointed one stands: the farthest from 1 for -1, else the nearest index. */
export function pointAt({ units }, order, unit) {
  if (unit < 0) return order[0];
  const far = units.map((other) => Math.abs(other - unit));
  return far.indexOf(Math.min(...far));
}

/** The smallest of 1, 2, 5, 10, 20, ... (times a power of ten) that is at least value. */
export function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  return [1, 2, 5, 10]
    .map((digit) => Number((digit * power).toPrecision(6)))
    .find((nice) => nice >= value * (1 - 1e-9));
}

/** Height of a count from 0 to 1, when the tallest bar may count top. */
export const height = (count, top, log) => (log ? Math.log1p(count) / Math.log1p(top) : count / top);

const ENDINGS = ["th", "st", "nd", "rd"];
const ordinal = (n) => fmtCount(n) + (n % 100 > 10 && n % 100 < 14 ? "th" : (ENDINGS[n % 10] ?? "th"));

/** "l_k, decoder, layer 3". */
export function placeName({ part, kind, layer }) {
  return [`l_${kind}`, PART_NAMES[part], `layer ${layer}`].filter(Boolean).join(", ");
}

/** The sentence about the whole vector. */
export function describeVector(vector, simulated) {
  const start = `${simulated ? "Simulated: " : ""}${placeName(vector)}: ${fmtCount(vector.entries)} entries`;
  if (vector.rms === 0) return `${start}, all of them 1: nothing is rescaled.`;
  const share = fmt((100 * vector.near_one) / vector.entries, 1);
  const negative = vector.negatives ? fmtCount(vector.negatives) : "none";
  return `${start}. Rms deviation from 1: ${fmt(vector.rms, 3)}; ${share}% within 0.8 to 1.2; ${negative} negative.`;
}

/** The sentence about the pointed entry. */
export function describeUnit(vector, order, i, num_heads) {
  const unit = vector.units[i];
  const value = vector.values[i];
  const rank = order.indexOf(i) + 1;
  const deviation = `${value > 1 ? "+" : ""}${fmt(value - 1, 3)}`;
  const farness = rank === 1 ? "farthest from 1" : `${ordinal(rank)} farthest from 1`;
  const size = num_heads && vector.kind !== "ff" ? vector.entries / num_heads : 0;
  const head = size ? ` It is place ${unit % size} of head ${Math.floor(unit / size)}.` : "";
  return `Entry ${fmtCount(unit)}: ${fmt(value, 3)} (${deviation}), ${farness}.${head}`;
}

/** What the model is, and how exact what is drawn is; entries that are not known lie within band of 1. */
export function noteText({ note, resolution }, { counts, known, entries }, band) {
  const rest = `the other ${fmtCount(entries - known)} lie in the shaded band, within ${fmt(band, 3)} of 1.`;
  const some = `Only a histogram and the ${known} entries farthest from 1 are stored; ${rest}`;
  const exact = known < entries ? some : `Values are rounded to ${resolution}.`;
  const ends = `the entries below ${fmt(BINS.low, 4)} and above ${fmt(HIGH, 4)}.`;
  const beyond = counts[0] || counts.at(-1) ? ` The bars at the two ends of the histogram count ${ends}` : "";
  return `${note} ${exact}${beyond}`.trim();
}

// --- drawing -------------------------------------------------------------------------------------------------------

const TALL = 196;
const BOX = { top: 24, bottom: 158, left: 46 };

/** A chart as wide as its place on the page, so that its text keeps its size. */
function chart(label, role) {
  const axes = s("g", {});
  const body = s("g", {});
  const svg = s("svg", { role, "aria-label": label, style: `height: ${TALL}px` }, axes, body);
  const box = { ...BOX };
  const fit = (width) => {
    const wide = Math.max(240, Math.round(width));
    box.right = wide - 26;
    set(svg, "viewBox", `0 0 ${wide} ${TALL}`);
  };
  return { svg, axes, body, box, fit };
}

function countTicks(top, log) {
  return log ? [0, 1, 10, 100, 1000, 10000].filter((count) => count <= top) : [0, top / 2, top];
}

/** Bars of the counts; the first and the last bar count what lies beyond the axis. */
function drawHistogram({ box, axes, body }, { vector, top, log }) {
  const { counts } = vector;
  const step = (box.right - box.left) / counts.length;
  const x = (value) => box.left + step * (1 + (value - BINS.low) / BINS.width);
  const y = (count) => box.bottom - (box.bottom - box.top) * height(count, top, log);
  const label = "number of entries (same scale in every layer)";
  axes.replaceChildren(
    ...drawAxis({ side: "left", box, place: y, values: countTicks(top, log), text: fmtCount, label }),
    ...drawAxis({
      side: "bottom",
      box,
      place: x,
      values: [0, 0.5, 1, 1.5, 2],
      text: (value) => fmt(value, 1),
      lines: "none",
      label: "value of an entry",
    }),
  );
  const rounded = (number) => number.toFixed(2);
  const bar = (count, i) =>
    `M${rounded(box.left + step * i)} ${box.bottom}V${rounded(y(count))}h${rounded(step * 0.86)}V${box.bottom}z`;
  const beyond = (count, x, anchor, words) => {
    const place = { x, y: y(count) - 5, "text-anchor": anchor, class: "ia3-tick" };
    return count ? [s("text", place, `${fmtCount(count)} ${words}`)] : [];
  };
  body.replaceChildren(
    s("path", { d: counts.map((count, i) => (count ? bar(count, i) : "")).join(""), class: "ve-bars" }),
    s("path", { d: `M${x(1)} ${box.top - 8}V${box.bottom + 4}`, class: "ve-one" }),
    ...beyond(counts[0], box.left, "start", "below"),
    ...beyond(counts.at(-1), box.right, "end", "above"),
  );
}

/** A line from 1 to each known entry, heads as stripes, the range of the unknown ones as a band. Returns the scales. */
function drawEntries({ box, axes, body }, { vector, limit, band, num_heads }) {
  const wide = box.right - box.left;
  const tall = box.bottom - box.top;
  const x = (unit) => box.left + (wide * (unit + 0.5)) / vector.entries;
  const y = (away) => box.top + (tall / 2) * (1 - away / limit);
  const digits = limit < 0.1 ? 3 : limit < 1 ? 2 : 1;
  const signed = (away) => `${away > 0 ? "+" : ""}${fmt(away, away ? digits : 0)}`;
  const head = { y: box.top, width: wide / num_heads, height: tall, class: "ve-head" };
  const stripe = (i) => s("rect", { ...head, x: box.left + i * head.width });
  const words = `entry${num_heads ? " (stripes: heads)" : ""}`;
  axes.replaceChildren(
    ...[...Array(num_heads ?? 0).keys()].filter((i) => i % 2).map(stripe),
    ...drawAxis({ side: "left", box, place: y, values: [-limit, 0, limit], text: signed, label: "deviation from 1" }),
    ...drawAxis({
      side: "bottom",
      box,
      place: x,
      values: [0, vector.entries - 1],
      text: fmtCount,
      lines: "none",
      label: words,
    }),
  );
  const thick = vector.known === vector.entries ? Math.max(wide / vector.entries, 0.9) : 2;
  const path = vector.units
    .map((unit, i) => `M${x(unit).toFixed(2)} ${y(0)}V${y(vector.values[i] - 1).toFixed(2)}`)
    .join("");
  const shade = { x: box.left, y: y(band), width: wide, height: y(-band) - y(band), class: "ve-band" };
  body.replaceChildren(
    ...(band ? [s("rect", shade)] : []),
    s("path", { d: path, class: "ve-lines", "stroke-width": thick.toFixed(2) }),
  );
  return { x, y, unitAt: (place) => Math.round(((place - box.left) / wide) * vector.entries - 0.5) };
}

const NAMES = ["model", "part", "kind", "layer", "unit", "log_counts"];

/** Everything on screen follows from the traits; entries are put in order when they are first looked at. */
function makeReader(model) {
  const view = model.get("numbers");
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const models = readModels(model.get("models"), bytes);
  const orders = new Map();
  return () => {
    const asked = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
    const choice = choose(models, asked);
    const { set: chosen, vector, alike } = choice;
    if (!orders.has(vector)) orders.set(vector, farthestFirst(vector.values));
    const order = orders.get(vector);
    const away = (i) => Math.abs(vector.values[i] - 1);
    return {
      ...choice,
      models,
      order,
      log: asked.log_counts,
      at: pointAt(vector, order, asked.unit),
      top: niceCeiling(Math.max(...alike.map((other) => Math.max(...other.counts)))),
      limit: niceCeiling(Math.max(away(order[0]), 0.01)),
      band: vector.known < vector.entries ? away(order.at(-1)) : 0,
      num_heads: vector.kind === "ff" ? null : chosen.num_heads,
    };
  };
}

/** The rows of controls; each draw(view) shows what can be chosen now. */
function controls(model, view) {
  const write = (changes) => update(model, { ...changes, unit: -1 });
  const list = dropdown({
    label: "Model",
    options: view().models.map(({ name }) => [name, name]),
    read: () => view().set.name,
    write: (name) => write({ model: name }),
  });
  const parts = segmented({
    label: "Part",
    options: ["encoder", "decoder", "cross"].map((part) => [part, PART_NAMES[part]]),
    read: () => view().vector.part,
    write: (part) => write({ part }),
  });
  const kinds = segmented({
    label: "Vector",
    options: KINDS.map((kind) => [kind, `l_${kind}`]),
    read: () => view().vector.kind,
    write: (kind) => write({ kind }),
  });
  const layers = slider({
    label: "Layer",
    min: 0,
    max: 1,
    step: 1,
    text: (layer) => fmt(layer, 0),
    read: () => view().vector.layer,
    write: (layer) => write({ layer }),
  });
  set(layers.node.querySelector("output"), "aria-live", "off"); // the slider says its value itself
  const logs = checkbox({
    label: "logarithmic counts",
    read: () => model.get("log_counts"),
    write: (on) => update(model, { log_counts: on }),
  });
  const draw = (now) => {
    set(layers.input, "min", now.layers[0]);
    set(layers.input, "max", now.layers.at(-1));
    parts.node.hidden = now.parts.length < 2;
    for (const input of parts.inputs) input.disabled = !now.parts.includes(input.value);
    for (const input of kinds.inputs) input.disabled = !now.kinds.includes(input.value);
    for (const control of [list, parts, kinds, layers, logs]) control.draw();
  };
  return {
    nodes: [h("div", { class: "ia3-row" }, list.node, parts.node, kinds.node), layers.node],
    logs: logs.node,
    draw,
  };
}

/** The marker among the entries: a slider over the known ones, and the mouse or a finger anywhere on the chart. */
function marker(model, { svg, box }, view, scales) {
  const put = (i) => {
    const { units } = view().vector;
    update(model, { unit: units[clamp(i, 0, units.length - 1)] });
  };
  const near = (place) => put(pointAt(view().vector, view().order, Math.max(0, scales().unitAt(place))));
  const handle = dragHandle({
    svg,
    color: "var(--ve-color)",
    label: "Entry of the vector",
    radius: 6,
    place: () => {
      const { vector, at } = view();
      return { x: scales().x(vector.units[at]), y: scales().y(vector.values[at] - 1) };
    },
    drag: ({ x }) => near(x),
    nudge: (dx, dy) => put(view().at + Math.sign(dx + dy) * Math.ceil(Math.abs(dx + dy))),
    ends: (which) => put(which === "min" ? 0 : view().vector.units.length - 1),
    value: () => {
      const { vector, order, at, num_heads } = view();
      return {
        now: vector.units[at],
        min: 0,
        max: vector.entries - 1,
        text: describeUnit(vector, order, at, num_heads),
      };
    },
  });
  const stem = s("line", { class: "ve-stem", y1: box.top, y2: box.bottom });
  svg.append(stem, handle.node);
  let held = null;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button || handle.node.contains(event.target)) return;
    held = event.pointerId;
    svg.setPointerCapture(held);
    near(svgPoint(svg, event).x);
  });
  svg.addEventListener("pointermove", (event) => {
    const hovers = event.pointerType === "mouse" && !event.buttons;
    if (hovers || held === event.pointerId) near(svgPoint(svg, event).x);
  });
  const letGo = () => {
    held = null;
  };
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) svg.addEventListener(end, letGo);
  const draw = () => {
    const x = scales().x(view().vector.units[view().at]);
    set(stem, "x1", x);
    set(stem, "x2", x);
    handle.draw();
  };
  const next = () => {
    const { order, at } = view();
    put(order[(order.indexOf(at) + 1) % order.length]);
  };
  return { draw, next };
}

function render({ model, el }) {
  const root = frame(el, "vectors", "Vector explorer", "Choose a vector; point at an entry below to read it.");
  const live = liveRegion();
  const read = makeReader(model);
  const start = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
  let now = read();
  let scales = null;
  let drawn = "";
  const view = () => now;
  const inputs = controls(model, view);
  const upper = chart("", "img");
  const lower = chart("Deviation from 1 of each entry", "group");
  const point = marker(model, lower, view, () => scales);
  const tag = h("strong", { class: "ve-tag" }, "simulated");
  const title = h("span", {});
  const note = h("p", { class: "ia3-muted ve-note" });
  const buttons = [button("Next farthest entry", () => point.next()), button("Reset", () => update(model, start))];
  root.append(
    ...inputs.nodes,
    h("p", { class: "ve-title" }, title, tag),
    upper.svg,
    lower.svg,
    ...live.nodes,
    h("div", { class: "ia3-row" }, inputs.logs, ...buttons),
    note,
  );
  const drawVector = ({ vector, set: chosen, band }, width) => {
    for (const panel of [upper, lower]) panel.fit(width);
    drawHistogram(upper, now);
    scales = drawEntries(lower, now);
    say(title, `${placeName(vector)} \u00b7 ${chosen.name}`);
    say(note, noteText(chosen, vector, band));
    tag.hidden = !chosen.simulated;
    set(upper.svg, "aria-label", `Histogram. ${describeVector(vector, chosen.simulated)}`);
    root.style.setProperty("--ve-color", `var(--ia3-${vector.kind})`);
  };
  const draw = () => {
    now = read();
    const { vector, set: chosen, order, at } = now;
    const width = upper.svg.clientWidth;
    const key = [now.models.indexOf(chosen), placeName(vector), now.log, width].join();
    if (key !== drawn) drawVector(now, width); // the entry that is pointed at changes far more often
    drawn = key;
    inputs.draw(now);
    point.draw();
    live.say(`${describeVector(vector, chosen.simulated)} ${describeUnit(vector, order, at, now.num_heads)}`);
  };
  const stops = [bind(model, NAMES, draw), onResize(root, draw)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
