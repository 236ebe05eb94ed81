// One attention head in sight: arcs from a word to the words it looks at, and what it takes from there.

const LOW = -2, HIGH = 3, STEP = 0.1;
const NAMES = ["tokens", "q", "k", "v", "k_names", "v_names", "note", "l_k", "l_v", "query"];
// Both charts of bars: as wide as a column, numbers above, a row for each feature.
const WIDTH = 330, TOP = 26, ROW = 38;
const boxOf = (names) => ({ left: 78, right: 276, top: TOP, bottom: TOP + ROW * names.length });
const viewBox = ({ bottom }) => `0 0 ${WIDTH} ${bottom}`;
// The arcs: how high they reach, and how thick one of weight 1 is.
const REACH = 82, THICK = 30;

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
    const lane = s("rect", { x: 0, y: y - ROW / 2, width: WIDTH, height: ROW, fill: "transparent" });
    const row = s("g", {}, lane, s("text", { x: 0, y: y + 5 }, name), bar, number, handle.node);
    tapToMove(row, () => [handle]);
    svg.append(row);
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

/** The sentence, a word of which is chosen, and its arcs to all words: above with l_k, below the base model's. */
function arcPanel(model, { tokens }) {
  const places = tokens.map((_, j) => (WIDTH * (j + 0.5)) / tokens.length), title = h("span"), tall = REACH + 20;
  const half = (kind, at, turn) => {
    const paths = tokens.map(() => s("path", { class: kind }));
    const numbers = places.map((x) => s("text", { x, y: at, "text-anchor": "middle" }));
    const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${tall}` }, s("g", { transform: turn }, ...paths), ...numbers);
    return { paths, numbers, svg };
  };
  const now = half("ia3-arc", tall - 5, `translate(0 ${REACH})`);
  const base = half("ia3-arc-before", 15, "translate(0 20) scale(1 -1)");
  set(now.svg, "role", "img");
  set(base.svg, "aria-hidden", "true");
  const words = segmented({ label: "Word", options: tokens.map((token, i) => [i, token]), ...traitOf(model, "query") });
  const draw = (weights, before, from) => {
    words.draw();
    say(title, `Where ${quoted(tokens[from])} looks`);
    for (const [{ paths, numbers }, row] of [[now, weights], [base, before]]) {
      arcs(row, from, places, THICK).forEach((d, j) => {
        set(paths[j], "d", d);
        set(paths[j], "fill-opacity", 0.4 + 0.6 * row[j]);
        set(numbers[j], "font-weight", Math.abs(weights[j] - before[j]) < 0.005 ? 400 : 700);
        say(numbers[j], fmt(row[j]));
      });
    }
    const listing = tokens.map((token, j) => `${token} ${fmt(weights[j])} (base model ${fmt(before[j])})`).join(", ");
    set(now.svg, "aria-label", `Where ${tokens[from]} looks: ${listing}`);
  };
  const hint = h("span", { class: "ia3-muted ia3-hint" }, " (choose a word)");
  const head = h("p", { class: "ia3-title" }, title, hint);
  const sides = h("p", { class: "ia3-muted ia3-legend" }, "Above: with l_k. Below: base model. Bold: changed.");
  return { node: h("div", { class: "ia3-arcs" }, head, now.svg, words.node, base.svg, sides), draw };
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
    say(title, `What ${quoted(token)} takes from there: its output`);
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
  const legend = h("p", { class: "ia3-muted ia3-legend" }, h("span", { class: "ia3-key-before" }), "base model ",
    h("span", { class: "ia3-key-after" }), "with l_k and l_v");
  return { node: h("div", {}, h("p", { class: "ia3-title" }, title), svg, legend), draw };
}

/** Settings to try. With a value off goes the word whose output, of all in the base model, has most of it. */
function presets(model, { k_names, v_names, query }, base) {
  const fill = (size, value = 1) => Array(size).fill(value), d = k_names.length, dv = v_names.length;
  const last = d - 1, value = Math.min(1, dv - 1);
  const most = base.out.map((row) => row[value]), reader = most.indexOf(Math.max(...most));
  const go = (l_k, l_v = fill(dv), more = {}) => () => update(model, { l_k, l_v, ...more });
  return h("div", { class: "ia3-row ia3-presets", role: "group", "aria-label": "Settings to try" },
    button("Reset", go(fill(d), fill(dv), { query })),
    button("l_k = 2", go(fill(d, 2))),
    button("l_k = 0.5", go(fill(d, 0.5))),
    button(`Flip key ${quoted(k_names[0])}`, go(fill(d).with(0, -1))),
    button(`Key ${quoted(k_names[last])} off`, go(fill(d).with(last, 0))),
    button(`Value ${quoted(v_names[value])} off`, go(fill(d), fill(dv).with(value, 0), { query: reader })));
}

/** Every number on show: now and in the base model. */
function tablesOf({ tokens, v_names, k_names, l_k, l_v }, now, base) {
  const rows = (names, table) => names.map((name, i) => [name, ...table[i].map((value) => fmt(value))]);
  return [
    ["l_k", ["key feature", "factor"], rows(k_names, l_k.map((value) => [value]))],
    ["l_v", ["value feature", "factor"], rows(v_names, l_v.map((value) => [value]))],
    ...[["with l_k and l_v", now], ["base model", base]].flatMap(([which, { weights, out }]) => [
      [`Row looks at column, ${which}`, ["word", ...tokens], rows(tokens, weights)],
      [`Outputs, ${which}`, ["word", ...v_names], rows(tokens, out)],
    ]),
  ];
}

function render({ model, el }) {
  const root = frame(el, "attention", "One attention head",
    "Choose a word to see where it looks. Drag a bar, or tap beside it, to rescale a feature.");
  const start = readTraits(model, NAMES), live = liveRegion(), base = attention(start.q, start.k, start.v);
  let state = start, now = base;
  const keys = vectorPanel(model, { trait: "l_k", names: start.k_names, color: "var(--ia3-k)",
    label: "l_k, key feature", title: "l_k rescales the keys: arcs move" });
  const values = vectorPanel(model, { trait: "l_v", names: start.v_names, color: "var(--ia3-v)",
    label: "l_v, value feature", title: "l_v rescales the values: no arc moves" });
  const looks = arcPanel(model, start), output = outputPanel(start);
  const numbers = numberTables(() => tablesOf(state, now, base));
  root.append(presets(model, start, base), ...live.nodes,
    h("div", { class: "ia3-columns" }, h("div", {}, looks.node, keys.node), h("div", {}, output.node, values.node)),
    h("p", { class: "ia3-muted" }, start.note), numbers.node);
  const draw = () => {
    state = readTraits(model, NAMES);
    now = rescaledAttention(start.q, start.k, start.v, state.l_k, state.l_v);
    const largest = Math.max(...[...now.out, ...base.out].flat().map(Math.abs)), { query } = state;
    const limit = largest <= 2 ? 2 : largest <= 4 ? 4 : Math.ceil(largest);
    keys.draw();
    values.draw();
    looks.draw(now.weights[query], base.weights[query], query);
    output.draw(state.tokens[query], now.out[query], base.out[query], limit);
    numbers.draw();
    const row = ({ weights, out }) => ({ weights: weights[query], out: out[query] });
    live.say(describe(state, row(now), row(base)));
  };
  const stops = [bind(model, ["l_k", "l_v", "query"], draw), onResize(keys.svg, draw)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
