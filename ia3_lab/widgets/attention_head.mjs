// One attention head with every number in sight. Above: its mathematics, pure. Below: the view.

const LOW = -2, HIGH = 3, STEP = 0.1;

/** Rescale every row of x entry by entry: x @ diag(l). */
export function rescale(x, l) {
  return x.map((row) => row.map((value, i) => value * l[i]));
}

/** Positive numbers that sum to 1; the largest score is subtracted first, so that no exponential overflows. */
export function softmax(scores) {
  const top = Math.max(...scores), powers = scores.map((score) => Math.exp(score - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** out = softmax(q @ k.T / sqrt(d_head)) @ v, for one head. */
export function attention(q, k, v) {
  const root = Math.sqrt(q[0].length);
  const weights = q.map((query) => softmax(k.map((key) => dot(query, key) / root)));
  const out = weights.map((row) => v[0].map((_, j) => row.reduce((sum, w, i) => sum + w * v[i][j], 0)));
  return { weights, out };
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** The same head with its keys rescaled by l_k and its values by l_v. */
export function rescaledAttention(q, k, v, l_k, l_v) {
  return attention(q, rescale(k, l_k), rescale(v, l_v));
}

/** What one entry does to its feature, by its sign and its size. */
export function regime(value) {
  if (value === 1) return "unchanged";
  if (value === 0) return "off";
  const size = Math.abs(value), loudness = size > 1 ? "amplified" : "inhibited";
  if (value > 0) return loudness;
  return size === 1 ? "flipped" : `flipped and ${loudness}`;
}

/** "noun flipped, verb amplified"; a count where the list would be long. */
function changes(l, names) {
  const changed = l.flatMap((value, i) => (value === 1 ? [] : [`${names[i]} ${regime(value)}`]));
  return changed.length > 2 ? `${changed.length} of ${l.length} features rescaled` : changed.join(", ");
}

function aboutKeys(l_k, names) {
  const c = l_k[0];
  if (l_k.every((value) => value === 1)) return "l_k is all ones, so the weights are the base model\u2019s.";
  if (!l_k.every((value) => value === c)) return `Keys: ${changes(l_k, names)}.`;
  if (c === 0) return "l_k is all zeros: every score is 0, so every token looks at all tokens alike.";
  if (c < 0) return `Every entry of l_k is ${fmt(c, 1)}: every ranking is turned around.`;
  return `Every entry of l_k is ${fmt(c, 1)}: softmax at temperature ${fmt(1 / c)}, ${c > 1 ? "sharper" : "flatter"}.`;
}


function aboutWeights({ tokens, query }, now, base) {
  const moved = now.map((w, j) => Math.abs(w - base[j])), most = moved.indexOf(Math.max(...moved));
  if (moved[most] >= 0.005) {
    const way = now[most] > base[most] ? "up" : "down";
    const share = `${fmt(now[most])} of its attention, ${way} from ${fmt(base[most])}`;
    return `${quoted(tokens[query])} gives ${quoted(tokens[most])} ${share}.`;
  }
  const top = now.indexOf(Math.max(...now));
  return `${quoted(tokens[query])} looks most at ${quoted(tokens[top])} (${fmt(now[top])}).`;
}

/** What rescaled values make of the query's output: the feature that changes most. */
function aboutValues({ l_v, v_names }, out, before) {
  if (l_v.every((value) => value === 1)) return "";
  const moved = out.map((value, i) => Math.abs(value - before[i])), most = moved.indexOf(Math.max(...moved));
  const output = `Its output has ${fmt(out[most])} of ${quoted(v_names[most])}, where it had ${fmt(before[most])}.`;
  return ` Values: ${changes(l_v, v_names)}. ${output}`;
}

/** The sentence under the controls. state holds the traits; now and base the query's rows: { weights, out }. */
export function describe(state, now, base) {
  const weights = aboutWeights(state, now.weights, base.weights);
  return `${aboutKeys(state.l_k, state.k_names)} ${weights}${aboutValues(state, now.out, base.out)}`;
}

const NAMES = ["tokens", "q", "k", "v", "k_names", "v_names", "note", "l_k", "l_v", "query"];
// Both charts of bars: as wide as a column, numbers above, a row for each feature.
const WIDTH = 330, TOP = 26, ROW = 40;
const boxOf = (names) => ({ left: 78, right: 276, top: TOP, bottom: TOP + ROW * names.length });
const viewBox = ({ bottom }) => `0 0 ${WIDTH} ${bottom}`;

/** Horizontal bars from 0 to each entry of a vector; the end of a bar is the handle. */
function vectorPanel(model, { trait, names, color, label, title }) {
  const box = boxOf(names), { left, right } = box;
  const x = (value) => left + ((value - LOW) / (HIGH - LOW)) * (right - left);
  const svg = s("svg", { viewBox: viewBox(box), role: "group", "aria-label": title });
  svg.append(...drawAxis({ side: "top", box, place: x, values: [LOW, 0, 1, HIGH], text: (value) => fmt(value, 0) }));
  const write = (i, value, step = STEP) => {
    const entry = clamp(snap(value, step), LOW, HIGH);
    update(model, { [trait]: model.get(trait).with(i, entry) });
  };
  const rows = names.map((name, i) => {
    const y = TOP + ROW * (i + 0.5), read = () => model.get(trait)[i];
    const bar = s("rect", { y: y - 8, height: 16, fill: color, class: "ia3-bar" });
    const number = s("text", { x: WIDTH - 2, y: y + 5, "text-anchor": "end" });
    const handle = dragHandle({
      svg, color, label: `${label} ${name}`,
      place: () => ({ x: x(read()), y }),
      drag: (point) => write(i, LOW + ((point.x - left) / (right - left)) * (HIGH - LOW)),
      nudge: (dx, dy) => write(i, read() + (dx + dy) * STEP, STEP / 10),
      ends: (which) => write(i, which === "min" ? LOW : HIGH),
      value: () => ({ now: read(), text: `${fmt(read())}, ${regime(read())}`, min: LOW, max: HIGH }),
    });
    svg.append(s("text", { x: 0, y: y + 5 }, name), bar, number, handle.node);
    return () => {
      const value = read();
      set(bar, "x", Math.min(x(0), x(value)));
      set(bar, "width", Math.abs(x(value) - x(0)));
      say(number, fmt(value));
      handle.draw();
    };
  });
  const node = h("div", {}, h("p", { class: "ia3-title" }, title), svg);
  return { node, svg, draw: () => rows.forEach((draw) => draw()) };
}

/** The attention weights as a table. A row is chosen by its radio button or by a click anywhere in it. */
function weightTable(model, { tokens }) {
  const group = `ia3-query-${Math.random().toString(36).slice(2, 8)}`;
  const choose = (i) => update(model, { query: i });
  const rows = tokens.map((token, i) => {
    const input = h("input", { type: "radio", name: group, value: i, onchange: () => choose(i) });
    const cells = tokens.map(() => {
      const number = h("b"), change = h("small");
      return { node: h("td", { onclick: () => choose(i) }, number, change), number, change };
    });
    const head = h("th", { scope: "row" }, h("label", {}, input, h("span", {}, token)));
    return { node: h("tr", {}, head, ...cells.map((cell) => cell.node)), input, cells };
  });
  const heads = tokens.map((token) => h("th", { scope: "col" }, token));
  const node = h("table", { class: "ia3-weights" },
    h("caption", {}, "Attention: row looks at column"),
    h("thead", {}, h("tr", {}, h("td"), ...heads)), h("tbody", {}, ...rows.map((row) => row.node)));
  const draw = (now, base, query) => rows.forEach((row, i) => {
    row.input.checked = i === query;
    row.node.classList.toggle("ia3-chosen", i === query);
    row.cells.forEach((cell, j) => {
      const moved = now[i][j] - base[i][j];
      say(cell.number, fmt(now[i][j]));
      say(cell.change, Math.abs(moved) < 0.005 ? "" : `${moved > 0 ? "+" : ""}${fmt(moved)}`);
      cell.node.style.setProperty("--ia3-weight", now[i][j].toFixed(4));
    });
  });
  return { node, draw };
}

/** The output of the chosen token: a hollow bar for the base model, a filled one with l. */
function outputPanel({ v_names: names }) {
  const box = boxOf(names), { left, right } = box, middle = (left + right) / 2;
  const title = h("span"), axis = s("g"), svg = s("svg", { viewBox: viewBox(box), role: "img" }, axis);
  const scale = (limit) => {
    const place = (value) => middle + (value / limit) * (right - middle), values = [-limit, 0, limit];
    axis.replaceChildren(...drawAxis({ side: "top", box, place, values, text: (value) => fmt(value, 0) }));
  };
  const rows = names.map((name, i) => {
    const y = TOP + ROW * (i + 0.5), end = { x: WIDTH - 2, "text-anchor": "end" };
    const before = s("rect", { y: y - 13, height: 10, class: "ia3-before" });
    const after = s("rect", { y: y - 1, height: 14, class: "ia3-after" });
    const was = s("text", { ...end, y: y - 4, class: "ia3-tick" }), number = s("text", { ...end, y: y + 12 });
    svg.append(s("text", { x: 0, y: y + 5 }, name), before, after, was, number);
    return { before, after, was, number };
  });
  let scaled = null;
  const draw = (token, now, base, limit) => {
    say(title, `Output of ${quoted(token)}`);
    if (limit !== scaled) scale(scaled = limit);
    rows.forEach((row, i) => {
      for (const [bar, value] of [[row.before, base[i]], [row.after, now[i]]]) {
        const length = (value / limit) * (right - middle);
        set(bar, "x", middle + Math.min(0, length));
        set(bar, "width", Math.abs(length));
      }
      say(row.was, fmt(base[i]));
      say(row.number, fmt(now[i]));
    });
    const listing = names.map((name, i) => `${name} ${fmt(now[i])} (base model ${fmt(base[i])})`).join(", ");
    set(svg, "aria-label", `Output of ${token}: ${listing}`);
  };
  const legend = h("p", { class: "ia3-muted ia3-legend" }, h("i", { class: "ia3-key-before" }), "base model ",
    h("i", { class: "ia3-key-after" }), "with l_k and l_v");
  const hint = h("span", { class: "ia3-muted ia3-hint" }, " (choose a row)");
  return { node: h("div", {}, h("p", { class: "ia3-title" }, title, hint), svg, legend), draw };
}

function presets(model, { q, k, v, k_names, v_names, query }) {
  const fill = (size, value = 1) => Array(size).fill(value), d = k[0].length, dv = v[0].length;
  const last = d - 1, value = Math.min(1, dv - 1);
  const most = attention(q, k, v).out.map((row) => row[value]), reader = most.indexOf(Math.max(...most));
  const go = (l_k, l_v = fill(dv), more = {}) => () => update(model, { l_k, l_v, ...more });
  return h("div", { class: "ia3-row", role: "group", "aria-label": "Settings to try" },
    button("Reset to ones", go(fill(d), fill(dv), { query })),
    button("l_k = 2", go(fill(d, 2))),
    button("l_k = 0.5", go(fill(d, 0.5))),
    button(`Flip key ${quoted(k_names[0])}`, go(fill(d).with(0, -1))),
    button(`Key ${quoted(k_names[last])} off`, go(fill(d).with(last, 0))),
    button(`Value ${quoted(v_names[value])} off`, go(fill(d), fill(dv).with(value, 0), { query: reader })));
}

function render({ model, el }) {
  const root = frame(el, "attention", "One attention head",
    "Drag the end of a bar to rescale a key or a value. Choose a row of the table to read that word's output.");
  const start = readTraits(model, NAMES), live = liveRegion();
  const keys = vectorPanel(model, { trait: "l_k", names: start.k_names, color: "var(--ia3-k)",
    label: "l_k, key feature", title: "l_k rescales the keys" });
  const values = vectorPanel(model, { trait: "l_v", names: start.v_names, color: "var(--ia3-v)",
    label: "l_v, value feature", title: "l_v rescales the values" });
  const table = weightTable(model, start), output = outputPanel(start);
  root.append(presets(model, start), ...live.nodes,
    h("div", { class: "ia3-columns" }, h("div", {}, keys.node, table.node), h("div", {}, values.node, output.node)),
    h("p", { class: "ia3-muted" }, start.note));
  const base = attention(start.q, start.k, start.v);
  const draw = () => {
    const state = readTraits(model, NAMES), { query } = state;
    const now = rescaledAttention(start.q, start.k, start.v, state.l_k, state.l_v);
    const largest = Math.max(...[...now.out, ...base.out].flat().map(Math.abs));
    const limit = largest <= 2 ? 2 : largest <= 4 ? 4 : Math.ceil(largest);
    keys.draw();
    values.draw();
    table.draw(now.weights, base.weights, query);
    output.draw(state.tokens[query], now.out[query], base.out[query], limit);
    const row = ({ weights, out }) => ({ weights: weights[query], out: out[query] });
    live.say(describe(state, row(now), row(base)));
  };
  const stops = [bind(model, ["l_k", "l_v", "query"], draw), onResize(keys.svg, draw)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
