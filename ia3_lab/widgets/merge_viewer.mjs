// The merge viewer: one rescaling vector beside a frozen layer, and the plain layer that computes the same.
// Weights are stored as torch stores them, (out, in); "math" only turns the drawing over.

const LOW = -1, HIGH = 2, STEP = 0.1;

/** The error function to double precision: a series near 0, a continued fraction further out. */
export function erf(x) {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    return 2 / Math.sqrt(Math.PI) * sum;
  }
  let fraction = a;
  for (let n = 80; n > 0; n--) fraction = a + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / fraction);
}

/** GELU without approximation, torch's default. */
export const gelu = (values) => values.map((x) => x / 2 * (1 + erf(x / Math.SQRT2)));

/** x @ W + b, for a weight stored as (out, in). */
export function linear(x, weight, bias) {
  return weight.map((row, i) => row.reduce((sum, w, j) => sum + w * x[j], bias[i]));
}

export const scale = (x, l) => x.map((value, i) => value * l[i]);

/** l * (x @ W + b) = x @ W' + b': rows of the stored weight, and the bias. */
export function foldOutput(weight, bias, l) {
  return { weight: weight.map((row, i) => row.map((w) => w * l[i])), bias: scale(bias, l) };
}

/** (l * x) @ W + b = x @ W' + b: columns of the stored weight; the bias stays. */
export const foldInput = (weight, l) => weight.map((row) => scale(row, l));

/** Which layer takes the vector in, and on which side. */
export function target(vector, intoW1 = false) {
  if (vector !== "l_ff") return { weight: "W" + vector.slice(1), bias: "b" + vector.slice(1), side: "output" };
  return intoW1 ? { weight: "W_1", bias: "b_1", side: "output" } : { weight: "W_2", bias: "b_2", side: "input" };
}

/** What the vector scales in the weight as it is written: its "rows" or its "columns". */
export function scaledAxis(side, layout) {
  return (side === "output") === (layout === "torch") ? "rows" : "columns";
}

/** Both paths with all their steps. */
export function mergeResult({ vector, l, x, weights, forgetBias = false, intoW1 = false }) {
  const at = target(vector, intoW1), before = { weight: weights[at.weight], bias: weights[at.bias] };
  const after = at.side === "output"
    ? foldOutput(before.weight, before.bias, l)
    : { weight: foldInput(before.weight, l), bias: before.bias };
  if (forgetBias && vector !== "l_ff") after.bias = before.bias;
  const steps = vector === "l_ff"
    ? feedForwardSteps(weights, x, l, after, intoW1)
    : projectionSteps(before, after, x, l);
  const difference = steps.merged.map((value, i) => value - steps.wrapped[i]);
  return { ...at, before, after, ...steps, difference, largest: Math.max(...difference.map(Math.abs)) };
}

function projectionSteps(before, after, x, l) {
  const plain = linear(x, before.weight, before.bias);
  return { plain, wrapped: scale(plain, l), merged: linear(x, after.weight, after.bias) };
}

function feedForwardSteps({ W_1, b_1, W_2, b_2 }, x, l, after, intoW1) {
  const plain = gelu(linear(x, W_1, b_1)), scaled = scale(plain, l);
  const hidden = intoW1 ? gelu(linear(x, after.weight, after.bias)) : plain;
  const merged = intoW1 ? linear(hidden, W_2, b_2) : linear(hidden, after.weight, after.bias);
  return { plain, scaled, hidden, wrapped: linear(scaled, W_2, b_2), merged };
}

/** A next input made of the same numbers: turned by one place, one sign flipped. Six of them for three entries. */
export const nextInput = (x) => [-x.at(-1) + 0, ...x.slice(0, -1)];

const OUTPUTS = { l_k: "keys", l_v: "values", l_ff: "outputs" };
const list = (numbers) => numbers.length < 2 ? String(numbers[0])
  : `${numbers.slice(0, -1).join(", ")} and ${numbers.at(-1)}`;

/** The sentence under the drawing. */
export function describe(state) {
  const { vector, l, layout, forgetBias, intoW1 } = state, result = mergeResult(state), equal = result.largest < 1e-9;
  const name = layout === "torch" ? `${result.weight}.weight` : result.weight, outputs = OUTPUTS[vector];
  const apart = `up to ${fmt(result.largest, 3)}`;
  const moved = l.flatMap((value, i) => value === 1 ? [] : [i + 1]);
  if (!moved.length) return `${vector} is all ones: the merged layer is the base layer, number for number.`;
  if (vector === "l_ff" && intoW1) {
    if (equal) return "Merged into W_1 by mistake, yet with these numbers both paths agree. Move another entry.";
    const inside = "Merged into W_1, l_ff stands inside GELU, and gelu(l * a) is not l * gelu(a).";
    return `${inside} The outputs differ by ${apart}.`;
  }
  if (forgetBias && vector !== "l_ff") {
    if (equal) return `${result.bias} was left unscaled, but its entries that meet an l other than 1 are 0.`;
    const seen = vector === "l_k"
      ? "In attention, softmax hides this: a query's scores all move alike."
      : "Attention's weights sum to 1: every output is off as far.";
    return `${result.bias} was left unscaled: the ${outputs} differ by ${apart}, for any x. ${seen}`;
  }
  const axis = scaledAxis(result.side, layout), several = moved.length > 1;
  const lines = `${several ? axis : axis.slice(0, -1)} ${list(moved)}`;
  const bias = result.side === "output"
    ? `and the same entries of ${result.bias}`
    : `and leaves ${result.bias} alone: it is added after the scaling`;
  return `${vector} scales ${lines} of ${name} ${bias}. Both paths give the same ${outputs}.`;
}

// --- the drawing ---------------------------------------------------------------------------------------------------

const WIDE = 46, TALL = 40, GAP = 7, LANE = 84, MARGIN = 40, HEAD = 22;

/** Where everything stands: cell(out, in), bias(out), entry(i) of l, and its track, each the top left corner. */
function places(layout, side, dOut, dIn, lane) {
  const torch = layout === "torch", byRow = scaledAxis(side, layout) === "rows";
  const rows = torch ? dOut : dIn, columns = torch ? dIn : dOut;
  const left = byRow ? lane + WIDE + GAP : MARGIN, top = byRow ? HEAD : lane + TALL + GAP;
  const right = left + columns * WIDE, bottom = top + rows * TALL;
  const at = (row, column) => ({ x: left + column * WIDE, y: top + row * TALL });
  return {
    byRow, left, top,
    width: right + (torch ? GAP + WIDE : 0) + 2, height: bottom + (torch ? 0 : GAP + TALL) + 2,
    cell: (i, j) => torch ? at(i, j) : at(j, i),
    bias: (i) => torch ? { x: right + GAP, y: at(i, 0).y } : { x: at(0, i).x, y: bottom + GAP },
    entry: (i) => byRow ? { x: lane, y: at(i, 0).y } : { x: at(0, i).x, y: lane },
  };
}

/** Text labels of l, the weight and the bias: above a column of cells, or left of a row of cells. */
function labels(place, layout, names) {
  const write = (x, y, text, anchor) => s("text", { x, y, class: "mv-name", "text-anchor": anchor }, text);
  const above = (corner, text) => write(corner.x + 3, corner.y - 7, text, null);
  const beside = (corner, text) => write(corner.x - 6, corner.y + 25, text, "end");
  const mark = place.byRow ? above : beside;
  return [mark(place.entry(0), names.l), mark({ x: place.left, y: place.top }, names.weight),
    (layout === "torch" ? above : beside)(place.bias(0), names.bias)];
}

function box({ x, y }, kind = "") {
  const back = s("rect", { x: x + 1, y: y + 1, width: WIDE - 2, height: TALL - 2, rx: 4, class: `mv-cell ${kind}` });
  const text = s("text", { x: x + WIDE / 2, y: y + TALL / 2 + 5, "text-anchor": "middle", class: "mv-number" });
  return {
    nodes: [back, text],
    show(value, factor = 1, prefix = "", digits = 2) {
      say(text, prefix + fmt(value, digits));
      const strength = factor === 1 ? 0 : clamp(10 + 26 * Math.abs(factor - 1), 0, 38);
      set(back, "style", strength ? `--mv-strength: ${strength.toFixed(1)}%` : null);
      set(back, "data-scaled", factor !== 1);
      set(text, "data-scaled", factor !== 1);
    },
    mark: (on) => set(back, "data-forgotten", on),
  };
}

/**
 * One layer as grids of numbers. handles(svg, place, i) draws the track of entry i of l; without it l is a factor.
 * draw(layer, l, scaled) writes the numbers; scaled is true, false, or "weight" where the bias was forgotten. With part
 * below 1, on the way from the frozen layer, each entry of l has slid over that part of its row or column.
 */
function layerDrawing({ layout, side, dOut, dIn, names, label, handles }) {
  const place = places(layout, side, dOut, dIn, handles ? LANE : 0);
  const svg = s("svg", { viewBox: `0 0 ${place.width} ${place.height}`, role: "group", "aria-label": label,
    style: `width: ${place.width}px; max-width: 100%` });
  const range = (n) => [...Array(n).keys()];
  const cells = range(dOut).map((i) => range(dIn).map((j) => box(place.cell(i, j))));
  const biases = range(dOut).map((i) => box(place.bias(i)));
  const entries = range(side === "output" ? dOut : dIn).map((i) => box(place.entry(i), "mv-entry"));
  const boxes = [...cells.flat(), ...biases, ...entries];
  svg.append(...labels(place, layout, names), ...boxes.flatMap(({ nodes }) => nodes));
  const knobs = handles ? entries.map((_, i) => handles(svg, place, i)) : [];
  const draw = (layer, l, scaled, part = 1, frozen = layer) => {
    knobs.forEach((knob) => knob.draw());                  // first: they read the layout, the rest only writes
    const long = side === "output" ? dIn : dOut, step = place.byRow ? WIDE : TALL;
    const shown = (along) => part < (along + 1) / (long + 1) ? [frozen, false] : [layer, scaled];
    cells.forEach((row, i) => row.forEach((cell, j) => {
      const [now, done] = shown(side === "output" ? j : i);
      cell.show(now.weight[i][j], done ? l[side === "output" ? i : j] : 1);
    }));
    biases.forEach((cell, i) => {
      const [now, done] = shown(long), forgotten = done === "weight" && l[i] !== 1;
      cell.show(now.bias[i], done && side === "output" && !forgotten ? l[i] : 1);
      cell.mark(forgotten);
    });
    const way = part < 1 ? part * (long + 1) * step : 0;
    const move = `translate(${place.byRow ? way : 0} ${place.byRow ? 0 : way})`;
    for (const node of entries.flatMap((entry) => entry.nodes)) set(node, "transform", way ? move : null);
    entries.forEach((cell, i) => cell.show(l[i], 1, handles ? "" : "\u00d7", snap(l[i], STEP) === l[i] ? 1 : 2));
  };
  return { svg, draw };
}

/** The handle of entry i, on a track that runs along the lane beside its row or column. */
function knob(svg, place, i, { vector, color, read, write }) {
  const corner = place.entry(i), inset = 12, length = LANE - 24;
  const middle = place.byRow ? corner.y + TALL / 2 : corner.x + WIDE / 2;
  const along = (value) => {
    const part = (value - LOW) / (HIGH - LOW) * length + inset;
    return place.byRow ? { x: part, y: middle } : { x: middle, y: LANE - part };
  };
  const tick = (value, kind) => {
    const { x, y } = along(value), [dx, dy] = place.byRow ? [0, 7] : [7, 0];
    return s("line", { x1: x - dx, y1: y - dy, x2: x + dx, y2: y + dy, class: kind });
  };
  const a = along(LOW), b = along(HIGH), track = s("line", { x1: a.x, y1: a.y, x2: b.x, y2: b.y, class: "mv-track" });
  const number = (value) => {
    const { x, y } = along(value), where = place.byRow ? { y: HEAD - 7, "text-anchor": "middle" } : { y: y + 4 };
    return s("text", { x: place.byRow ? x : MARGIN - 14, ...where, class: "ia3-tick" }, fmt(value, 0));
  };
  const put = (value, step = STEP) => write(clamp(snap(value, step), LOW, HIGH));
  const corners = place.byRow ? { x: 0, y: corner.y, width: LANE, height: TALL }
    : { x: corner.x, y: 0, width: WIDE, height: LANE };
  const lane = s("rect", { ...corners, class: "mv-lane" });
  tapToMove(lane, () => [handle]);
  svg.append(lane, track, tick(0, "mv-tick"), tick(1, "mv-one"),
    ...(i ? [] : [LOW, 0, 1, HIGH].map(number)));
  const handle = dragHandle({
    svg, color, label: `${vector} entry ${i + 1}`,
    place: () => along(read()),
    drag: (point) => put(LOW + (HIGH - LOW) * ((place.byRow ? point.x : LANE - point.y) - inset) / length),
    nudge: (dx, dy) => put(read() + STEP * (dx + dy), STEP / 10),
    ends: (which) => put(which === "min" ? LOW : HIGH),
    value: () => ({ now: read(), text: `${fmt(read())}`, min: LOW, max: HIGH }),
  });
  svg.append(handle.node);
  return handle;
}

/** Both paths as rows of numbers: what goes in, what comes out twice, and the difference. */
function pathRows({ vector, x, intoW1 }, { weight: W, bias: b, wrapped, merged, difference }) {
  const adapter = vector === "l_ff" ? "(l_ff * h) W_2 + b_2" : `${vector} * (x ${W} + ${b})`;
  const plain = intoW1 ? "h\u2032 W_2 + b_2" : vector === "l_ff" ? "h W_2\u2032 + b_2" : `x ${W}\u2032 + ${b}\u2032`;
  return [["x", x], [`adapter: ${adapter}`, wrapped], [`merged: ${plain}`, merged], ["difference", difference]];
}

/** All numbers: the layer before and after, the vector, and what lies between x and the outputs. */
function tablesOf(state, result) {
  const { vector, l, intoW1 } = state, { weight: W, bias: b, before, after, plain, scaled, hidden } = result;
  const row = ([name, numbers]) => [name, ...numbers.map((value) => fmt(value, 3))];
  const layer = ({ weight, bias }, mark) => [[...weight[0].map((_, j) => `in ${j + 1}`), b + mark],
    weight.map((numbers, i) => row([`out ${i + 1}`, [...numbers, bias[i]]]))];
  const between = vector === "l_ff"
    ? [["h = gelu(x W_1 + b_1)", plain], ["l_ff * h", scaled],
      ...(intoW1 ? [["h\u2032 = gelu(x W_1\u2032 + b_1\u2032)", hidden]] : [])]
    : [[`x ${W} + ${b}`, plain]];
  const [[frozen, first], [merged, last]] = [layer(before, ""), layer(after, result.side === "input" ? "" : "\u2032")];
  return [[`Frozen ${W}`, ["", ...frozen], first], [`Merged ${W}\u2032`, ["", ...merged], last],
    ["On the way", ["", "1", "2", "3", "4"], [[vector, l], ...between].map(row)]];
}

/** Four rows, whatever the vector: only labels and numbers change. */
function pathTable() {
  const caption = h("caption", { class: "ia3-hidden" }, "Both paths");
  const rows = ["", "mv-strong", "mv-strong", "mv-gap"].map((kind) => h("tr", { class: kind },
    h("th", { scope: "row" }), ...[0, 1, 2, 3].map(() => h("td", {}))));
  const draw = (now, wrong) => now.forEach(([label, numbers], i) => {
    const [head, ...cells] = rows[i].children;
    say(head, label);
    cells.forEach((cell, j) => say(cell, j < numbers.length ? fmt(numbers[j], 3) : ""));
    set(rows[3], "data-wrong", wrong);
  });
  return { node: h("table", { class: "mv-steps" }, caption, h("tbody", {}, ...rows)), draw };
}

const SLIDE = 1.6; // seconds
const NAMES = ["vector", "convention", "forget_bias", "into_W_1", "l_k", "l_v", "l_ff", "x"];

function render({ model, el }) {
  const root = frame(el, "merge", "Merge viewer",
    "Drag an entry of the vector, or tap its scale: the merged layer follows. Press Merge slowly to see how.");
  const start = readTraits(model, NAMES), weights = model.get("weights");
  const state = () => {
    const { vector, convention: layout, forget_bias: forgetBias, into_W_1: into, x, ...l } = readTraits(model, NAMES);
    return { vector, l: l[vector], layout, x, weights, forgetBias, intoW1: vector === "l_ff" && into };
  };
  const option = (name, label, options) => segmented({ label, options, ...traitOf(model, name) });
  const controls = [option("vector", "Vector", [["l_k", "l_k"], ["l_v", "l_v"], ["l_ff", "l_ff"]]),
    option("convention", "Layout", [["torch", "torch"], ["math", "x @ W"]])];
  const forget = checkbox({ label: "forget the bias", ...traitOf(model, "forget_bias") });
  const wrongPlace = checkbox({ label: "merge into W_1 instead", ...traitOf(model, "into_W_1") });
  let part = 1; // 1: merged; less: on the way there
  const slide = animation(SLIDE, (now) => { part = now; draw(); });
  const buttons = [motionIsUnwelcome() ? null : button("Merge slowly", () => slide.start()),
    button("All ones", () => update(model, { [model.get("vector")]: state().l.map(() => 1) })),
    button("Another x", () => update(model, { x: nextInput(model.get("x")) })),
    button("Reset", () => update(model, start))];
  const before = panel(), after = panel(), table = pathTable(), spoken = liveRegion();
  const numbers = numberTables(() => tablesOf(state(), mergeResult(state())));
  const verdict = h("p", { class: "mv-verdict" });
  const scroll = { class: "mv-scroll", tabindex: 0, role: "group", "aria-label": "Table of both paths" };
  root.append(h("div", { class: "ia3-row" }, ...controls.map(({ node }) => node)),
    h("div", { class: "mv-panels" }, before.node, after.node), verdict, ...spoken.nodes,
    h("div", { class: "ia3-row" }, h("div", { class: "mv-mistakes" }, forget.node, wrongPlace.node), ...buttons),
    h("div", scroll, table.node), numbers.node);

  let shape = "", drawings = [];
  const build = ({ vector, layout, intoW1 }, { weight, bias, side, before: frozen }) => {
    const color = `var(--ia3-${vector.slice(2)})`, sizes = { dOut: frozen.bias.length, dIn: frozen.weight[0].length };
    root.style.setProperty("--mv-color", color);
    const write = (i, value) => update(model, { [vector]: model.get(vector).with(i, value) });
    const handles = (svg, place, i) =>
      knob(svg, place, i, { vector, color, read: () => model.get(vector)[i], write: (value) => write(i, value) });
    const plain = { l: "", weight: `${weight}\u2032`, bias: side === "input" ? bias : `${bias}\u2032` };
    drawings = [
      layerDrawing({ layout, side, ...sizes, names: { l: vector, weight, bias }, handles,
        label: `${weight} and ${bias} with ${vector} beside them` }),
      layerDrawing({ layout, side, ...sizes, names: plain, label: `Merged ${weight} and ${bias}` }),
    ];
    const { dOut, dIn } = sizes, torch = layout === "torch";
    const note = torch ? `shape (${dOut}, ${dIn}) = (out, in)` : `shape (${dIn}, ${dOut}) = (in, out)`;
    const place = `${vector} scales the ${scaledAxis(side, layout)}${intoW1 ? ", before GELU" : ""}`;
    root.dataset.scales = scaledAxis(side, layout);
    before.fill(`Frozen ${weight}, ${vector} beside it`, note, drawings[0].svg);
    after.fill("Merged: one plain layer", place, drawings[1].svg);
  };
  const draw = () => {
    const now = state(), result = mergeResult(now), equal = result.largest < 1e-9;
    const key = [now.vector, now.layout, now.intoW1].join();
    if (key !== shape) { shape = key; build(now, result); }
    drawings[0].draw(result.before, now.l, false);
    const scaled = now.forgetBias && now.vector !== "l_ff" ? "weight" : true;
    drawings[1].draw(result.after, now.l, scaled, part, result.before);
    set(forget.node, "data-away", now.vector === "l_ff");
    set(wrongPlace.node, "data-away", now.vector !== "l_ff");
    for (const control of [...controls, forget, wrongPlace, numbers]) control.draw();
    table.draw(pathRows(now, result), !equal);
    set(verdict, "data-wrong", !equal);
    say(verdict, `${equal ? "\u2713 Equal" : "\u2717 Not equal"}: largest difference ${fmt(result.largest, 3)}`);
    spoken.say(describe(now));
  };
  const leave = [bind(model, NAMES, draw), onResize(root, () => drawings.forEach(() => draw())),
    slide.stop];
  return () => leave.forEach((stop) => stop());
}

function panel() {
  const title = h("p", { class: "mv-title" }), note = h("p", { class: "mv-note ia3-muted" });
  const place = h("div", { class: "mv-place" });
  return {
    node: h("div", { class: "mv-panel" }, title, note, place),
    fill(text, more, svg) { say(title, text); say(note, more); place.replaceChildren(svg); },
  };
}

export default { render };
