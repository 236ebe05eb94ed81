// The adaptation dial: stored runs of a model between l = 1 (t = 0) and the learned l (t = 1), and what lies between them.
// A story is one sentence. Its attention is a flat array of bytes in the order (t, layer, head, query, key).

const LEVELS = 255, STEP = 0.01, PLAY_SECONDS = 4;

/** Eight bit planes, the highest bit first, back to bytes. */
export function fromBitPlanes(planes) {
  const size = planes.length / 8, bytes = new Uint8Array(planes.length);
  for (let bit = 0; bit < 8; bit++) {
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] |= ((planes[bit * size + (i >> 3)] >> (7 - (i & 7))) & 1) << (7 - bit);
    }
  }
  return bytes;
}

/** 0, 1, 2, 3, 4 ... -> 0, -1, 1, -2, 2 ... */
const unfold = (code) => (code & 1 ? -(code + 1) / 2 : code / 2);

/**
 * What pack() in _dial_data.py encoded: for each story with T values of t and n tokens the bytes of its attention,
 * whose rows add up to 255. Along t lie values, first differences and second differences; each row lacks its last entry.
 */
export function decode(planes, sizes, [layers, heads]) {
  const stream = fromBitPlanes(planes);
  let start = 0;
  return sizes.map(([T, n]) => {
    const rows = layers * heads * n, plane = rows * (n - 1), maps = new Uint8Array(T * rows * n);
    for (let p = 0; p < plane; p++) {
      const row = Math.floor(p / (n - 1)), at = row * n + (p % (n - 1));
      let value = stream[start + p], slope = 0;
      maps[at] = value;
      for (let k = 1; k < T; k++) {
        slope += unfold(stream[start + k * plane + p]);
        value += slope;
        maps[k * rows * n + at] = value;                                 // modulo 256, as all bytes are
      }
    }
    start += T * plane;
    for (let last = n - 1; last < maps.length; last += n) {
      let sum = 0;
      for (let j = 1; j < n; j++) sum += maps[last - j];
      maps[last] = LEVELS - sum;
    }
    return maps;
  });
}

/** Where t lies on the rising grid: values i and i + 1 with the share of the second; share 0 is a stored value. */
export function between(grid, t) {
  let i = 0;
  while (i < grid.length - 2 && grid[i + 1] <= t) i++;
  return { i, share: (t - grid[i]) / (grid[i + 1] - grid[i]) };
}

/** Stored numbers at t: linear between neighbors. */
export function interpolate(values, grid, t) {
  const { i, share } = between(grid, t);
  return (1 - share) * values[i] + share * values[i + 1];
}

/** One head's attention at t: n rows of n weights. */
export function attentionAt(maps, grid, [layers, heads], layer, head, t) {
  const n = Math.round(Math.sqrt(maps.length / (grid.length * layers * heads))), size = n * n;
  const { i, share } = between(grid, t), at = ((i * layers + layer) * heads + head) * size, next = at + layers * heads * size;
  const weight = (k) => ((1 - share) * maps[at + k] + share * maps[next + k]) / LEVELS;
  return Array.from({ length: n }, (_, row) => Array.from({ length: n }, (_, column) => weight(row * n + column)));
}

/** For each layer and head the share of attention that has moved at t = 1: half the sum of |change| of a row, mean over rows. */
export function totalVariation(maps, grid, [layers, heads]) {
  const plane = maps.length / grid.length, size = plane / (layers * heads), n = Math.sqrt(size), end = plane * (grid.length - 1);
  const moved = (start) => {
    let sum = 0;
    for (let k = start; k < start + size; k++) sum += Math.abs(maps[end + k] - maps[k]);
    return sum / 2 / n / LEVELS;
  };
  return Array.from({ length: layers }, (_, i) => Array.from({ length: heads }, (_, j) => moved((i * heads + j) * size)));
}

/** Which token of the next sentence to look at: the same word, else the one as far from the end. */
export function carryQuery(query, from, to) {
  const same = to.indexOf(from[query]);
  return same >= 0 ? same : clamp(to.length - from.length + query, 0, to.length - 1);
}

/** The column of a row that differs most between t = 0 and t = 1. */
export function mostChanged(first, last) {
  const moved = first.map((weight, j) => Math.abs(last[j] - weight));
  return moved.indexOf(Math.max(...moved));
}

const quoted = (token) => `\u201c${token}\u201d`;
/** "+0.39", "\u22120.12", "0.00". */
export const signed = (value) => (Number(value.toFixed(2)) > 0 ? "+" : "") + fmt(value);
/** A number without its leading zero, for a narrow cell; nothing where it rounds to 0.00. */
const short = (value, text = fmt) => (Math.abs(value) < 0.005 ? "" : text(value).replace("0.", "."));

/**
 * The sentence under the dial. first, now and last are the query's row at t = 0, now and t = 1; key is the column that
 * the reader points at, if any: else the one that changes most.
 */
export function describe({ t, label, probability, layer, head, tokens, query, first, now, last, key = mostChanged(first, last) }) {
  const compare = t === 0 ? `${fmt(last[key])} at t = 1` : `${fmt(first[key])} at t = 0`;
  return `At t = ${fmt(t)}, P(${label}) = ${fmt(probability)}. In layer ${layer}, head ${head}, ${quoted(tokens[query])} gives `
    + `${fmt(now[key])} of its attention to ${quoted(tokens[key])} (${compare}).`;
}

/** Whether the numbers shown at t come from a run of the model or lie between two. */
export function provenance(grid, t) {
  const { i, share } = between(grid, t), name = (value) => Number(value.toFixed(4));
  if (share === 0 || share === 1) return `t = ${fmt(t)} is a stored run of the model.`;
  return `t = ${fmt(t)} lies between two stored runs: all numbers are interpolated linearly from t = ${name(grid[i])} and t = ${name(grid[i + 1])}.`;
}

/** What the model predicts, and whether that is right; short enough to stay on one line while t moves. */
export function verdict(labels, probability, truth) {
  const guess = labels[probability >= 0.5 ? 1 : 0];
  return `predicts ${guess}` + (truth ? (guess === truth ? " \u2713 right" : " \u2717 wrong") : "");
}

// --- the drawing ---------------------------------------------------------------------------------------------------

/** A table whose cells are reached with one tab stop and the arrow keys. choose(row, column) when a cell is entered. */
function roving(table, cells, choose) {
  const rows = cells.length, columns = cells[0].length;
  let place = [0, 0];
  const point = (row, column) => {
    set(cells[place[0]][place[1]], "tabindex", -1);
    place = [row, column];
    set(cells[row][column], "tabindex", 0);
  };
  const enter = (row, column) => {
    point(row, column);
    choose(row, column);
    cells[row][column].focus({ preventScroll: true });
  };
  cells.forEach((line, row) => line.forEach((cell, column) => {
    set(cell, "tabindex", -1);
    cell.addEventListener("click", () => enter(row, column));
    cell.addEventListener("focus", () => choose(row, column));
  }));
  table.addEventListener("keydown", (event) => {
    const [row, column] = place, far = event.shiftKey ? 1000 : 1;            // Shift: to the edge
    const way = { ArrowRight: [0, far], ArrowLeft: [0, -far], ArrowDown: [far, 0], ArrowUp: [-far, 0],
      Home: [event.ctrlKey ? -rows : 0, -columns], End: [event.ctrlKey ? rows : 0, columns] }[event.key];
    if (!way) return;
    event.preventDefault();
    enter(clamp(row + way[0], 0, rows - 1), clamp(column + way[1], 0, columns - 1));
  });
  point(0, 0);
  return point;
}

/** An empty table with headers; returns its node and its cells. */
function gridTable({ kind, label, rows, columns, corner }) {
  const cells = rows.map(() => columns.map(() => h("td", {})));
  const node = h("table", { class: `ad-grid ${kind}`, role: "grid", "aria-label": label },
    h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "ad-corner" }, h("b", { class: "ia3-hidden" }, corner)),
      ...columns.map((text) => h("th", { scope: "col" }, h("span", {}, text))))),
    h("tbody", {}, ...rows.map((text, i) => h("tr", {}, h("th", { scope: "row" }, text), ...cells[i]))));
  return { node, cells };
}

/** Layers down, heads across; a cell is filled as far as the head's attention moves between t = 0 and t = 1. */
function headMap([layers, heads], choose) {
  const range = (count) => [...Array(count).keys()].map(String);
  const { node, cells } = gridTable({ kind: "ad-heads", label: "Layers and heads: the share of attention that moves from t = 0 to t = 1",
    rows: range(layers), columns: range(heads), corner: "layer" });
  const point = roving(node, cells, choose);
  const draw = (moved, largest, layer, head) => {
    cells.forEach((row, i) => row.forEach((cell, j) => {
      const chosen = i === layer && j === head;
      say(cell, short(moved[i][j]));
      cell.style.setProperty("--ad-share", (moved[i][j] / largest).toFixed(3));
      set(cell, "aria-selected", String(chosen));
      set(cell, "aria-label", `layer ${i}, head ${j}: ${fmt(moved[i][j])} moves`);
    }));
    point(layer, head);
  };
  return { node, draw };
}

/** The attention map of one head. Moving to a cell chooses its row; hovering only reads it out. read takes [row, column] or null. */
function matrix(tokens, choose, read) {
  let column = 0, focused = null;
  const { node, cells } = gridTable({ kind: "ad-matrix", label: "Attention: the row's token looks at the column's", rows: tokens,
    columns: tokens, corner: "token" });
  const point = roving(node, cells, (i, j) => {
    [column, focused] = [j, [i, j]];
    choose(i);
    read(focused);
  });
  cells.forEach((line, i) => line.forEach((cell, j) => cell.addEventListener("pointerenter", () => read([i, j]))));
  node.addEventListener("pointerleave", () => read(focused));
  node.addEventListener("focusout", () => { focused = null; read(null); });
  const draw = (now, first, query, change) => {
    set(node, "data-change", change);
    cells.forEach((row, i) => {
      set(row[0].parentNode, "aria-selected", String(i === query));
      row.forEach((cell, j) => {
        const moved = now[i][j] - first[i][j], value = change ? moved : now[i][j];
        say(cell, short(value, change ? signed : fmt));
        cell.style.setProperty("--ad-share", Math.abs(value).toFixed(3));
        set(cell, "data-loss", value < 0);
        set(cell, "aria-label", readOut(tokens, i, j, now[i][j], first[i][j]));
      });
    });
    point(query, Math.min(column, tokens.length - 1));
  };
  return { node, draw };
}

const readOut = (tokens, i, j, now, first) =>
  `${quoted(tokens[i])} to ${quoted(tokens[j])}: ${fmt(now)} (${fmt(first)} at t = 0, ${signed(now - first)})`;

/** The chosen token's row as bars: hollow at t = 0, filled now. */
function rowBars(tokens) {
  const rows = tokens.map((token) => {
    const before = h("i", { class: "ad-before" }), now = h("i", { class: "ad-now" }), number = h("b"), change = h("small");
    return { before, now, number, change, node: h("li", {}, h("span", { class: "ad-token" }, token),
      h("span", { class: "ad-track", "aria-hidden": "true" }, now, before), number, " ", change) };
  });
  const title = h("p", { class: "ad-title" }), node = h("div", {}, title, h("ul", { class: "ad-bars" }, ...rows.map((row) => row.node)),
    h("p", { class: "ia3-muted ad-legend" }, h("i", { class: "ad-key-before" }), "t = 0 ", h("i", { class: "ad-key-now" }), "now"));
  const draw = (query, now, first) => {
    say(title, `What ${quoted(tokens[query])} looks at`);
    rows.forEach((row, j) => {
      row.now.style.width = `${100 * now[j]}%`;
      row.before.style.width = `${100 * first[j]}%`;
      say(row.number, fmt(now[j]));
      say(row.change, Math.abs(now[j] - first[j]) < 0.005 ? "" : signed(now[j] - first[j]));
    });
  };
  return { node, draw };
}

/** P(label) against t: dots are stored runs, the ring is the current t. */
function curve(label) {
  const left = 34, right = 318, top = 12, bottom = 138;
  const x = (t) => left + t * (right - left), y = (p) => bottom - p * (bottom - top);
  const svg = s("svg", { viewBox: "0 0 330 172", role: "img" });
  for (const tick of [0, 0.5, 1]) {
    svg.append(s("line", { x1: left, x2: right, y1: y(tick), y2: y(tick), class: "ad-rule", "stroke-dasharray": tick === 0.5 ? "4 4" : null }),
      s("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end", class: "ad-tick" }, String(tick)),
      s("text", { x: x(tick), y: bottom + 17, "text-anchor": "middle", class: "ad-tick" }, String(tick)));
  }
  const line = s("polyline", { class: "ad-line" }), dots = s("g", {}), ring = s("circle", { r: 7, class: "ad-ring" });
  svg.append(s("text", { x: (left + right) / 2, y: bottom + 32, "text-anchor": "middle", class: "ad-tick" }, "t (0: frozen, 1: adapted)"), line, dots, ring);
  const draw = ({ t: grid, probability: values }, t, p) => {
    set(line, "points", grid.map((value, i) => `${x(value)},${y(values[i])}`).join(" "));
    if (dots.childElementCount !== grid.length) dots.replaceChildren(...grid.map(() => s("circle", { r: 3, class: "ad-dot" })));
    grid.forEach((value, i) => { set(dots.children[i], "cx", x(value)); set(dots.children[i], "cy", y(values[i])); });
    set(ring, "cx", x(t));
    set(ring, "cy", y(p));
    const listing = grid.map((value, i) => `${fmt(values[i])} at t = ${fmt(value)}`).join(", ");
    set(svg, "aria-label", `P(${label}): ${listing}`);
  };
  return { node: svg, draw };
}

/** The probability as a number, a bar and a curve. */
function probabilityPanel(labels) {
  const number = h("b"), words = h("span"), bar = h("i"), plot = curve(labels[1]);
  const node = h("div", {}, h("p", { class: "ad-title" }, number, " ", words), h("div", { class: "ad-probability", "aria-hidden": "true" }, bar), plot.node);
  const draw = (story, t, p) => {
    say(number, `P(${labels[1]}) = ${fmt(p)}`);
    say(words, verdict(labels, p, story.truth));
    bar.style.width = `${100 * p}%`;
    plot.draw(story, t, p);
  };
  return { node, draw };
}

/** Run t from 0 to 1 until it arrives, the reader presses again, or t is set from elsewhere. */
function player(model) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let asked = 0, last = null;
  const stop = () => { cancelAnimationFrame(asked); last = null; say(node, "Play"); };
  const play = () => {
    let from = model.get("t"), began = null;
    if (from >= 1) from = 0;
    const step = (time) => {
      began ??= time;
      if (last !== null && model.get("t") !== last) return stop();
      last = Math.min(1, snap(from + (time - began) / 1000 / PLAY_SECONDS, 2 * STEP));
      if (model.get("t") !== last) update(model, { t: last });
      if (last >= 1) return stop();
      asked = requestAnimationFrame(step);
    };
    say(node, "Stop");
    asked = requestAnimationFrame(step);
  };
  const node = button("Play", () => (node.textContent === "Stop" ? stop() : play()));
  return { node, stop, draw: () => set(node, "hidden", still.matches) };
}

const NAMES = ["t", "story", "layer", "head", "query", "change"];

/** Bytes arrive as a DataView; all that never changes is worked out once. */
function readRuns(model) {
  const stories = model.get("stories"), shape = model.get("shape"), view = model.get("maps");
  const planes = new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);
  const maps = decode(planes, stories.map(({ tokens, t }) => [t.length, tokens.length]), shape);
  const moved = maps.map((bytes, i) => totalVariation(bytes, stories[i].t, shape));
  return { stories, shape, maps, moved, largest: Math.max(...moved.flat(2), 1 / LEVELS) };
}

/** Everything on screen as numbers: a pure function of the runs and the traits. */
function readState(model, { stories, shape, maps }) {
  const state = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
  state.t = clamp(state.t, 0, 1);
  const current = stories[state.story], { tokens, t: grid } = current;
  const at = (t) => attentionAt(maps[state.story], grid, shape, state.layer, state.head, t);
  return { ...state, current, tokens, query: Math.min(state.query, tokens.length - 1),
    p: interpolate(current.probability, grid, state.t), map: at(state.t), first: at(0), last: at(1) };
}

function controls(model, { stories }, start) {
  const choose = (i) => update(model, { story: i, query: carryQuery(
    Math.min(model.get("query"), stories[model.get("story")].tokens.length - 1), stories[model.get("story")].tokens, stories[i].tokens) });
  const words = ({ tokens }) => tokens.filter((token) => !/^\[.*\]$/.test(token)).join(" ").replaceAll(" ##", "");
  const sentence = dropdown({ label: "Sentence", options: stories.map((story, i) => [i, words(story)]),
    read: () => model.get("story"), write: (value) => choose(Number(value)) });
  const dial = slider({ label: "t", min: 0, max: 1, step: STEP, read: () => clamp(model.get("t"), 0, 1), write: (t) => update(model, { t }) });
  set(dial.node.querySelector("output"), "aria-live", "off");        // the slider says its value itself
  set(dial.input, "aria-label", "t, from the frozen encoder (0) to the adapted one (1)");
  const play = player(model), change = checkbox({ label: "change since t = 0", read: () => model.get("change"), write: (on) => update(model, { change: on }) });
  const reset = button("Reset", () => { play.stop(); update(model, start); });
  const node = h("div", {}, h("div", { class: "ad-choice" }, sentence.node, play.node, reset), dial.node);
  return { node, change, play, draw: () => [sentence, dial, play, change].forEach((part) => part.draw()) };
}

function render({ model, el }) {
  const root = frame(el, "dial", "Adaptation dial: from the frozen encoder to the adapted one"), runs = readRuns(model);
  const start = Object.fromEntries(NAMES.map((name) => [name, model.get(name)])), labels = model.get("labels");
  const parts = controls(model, runs, start), spoken = liveRegion(), small = (...text) => h("p", { class: "ia3-muted ad-small" }, ...text);
  const chance = probabilityPanel(labels), heads = headMap(runs.shape, (layer, head) => update(model, { layer, head }));
  const title = (...text) => h("p", { class: "ad-title" }, ...text), mapTitle = title(), mapPlace = h("div"), barPlace = h("div");
  const source = small(), about = small(), pointed = h("p", { class: "ad-pointed", "aria-hidden": "true" });
  source.classList.add("ad-source");
  root.append(parts.node, ...spoken.nodes, source,
    h("div", { class: "ia3-columns" }, chance.node, h("div", {}, barPlace)),
    h("div", { class: "ia3-columns" }, h("div", {}, mapTitle, mapPlace, parts.change.node, pointed),
      h("div", {}, title("Change by layer (row) and head (column)"), heads.node,
        small("Choose a head. Its number is the share of its attention that lies elsewhere at t = 1 than at t = 0, mean over tokens."))),
    about, small(`${model.get("note")} Layers and heads are counted from 0. Attention is stored in steps of 1/255 = 0.004.`.trim()));

  let shown = null, table, bars, cell = null;
  const build = (tokens, story) => {
    shown = story;
    cell = null;
    table = matrix(tokens, (query) => { if (query !== model.get("query")) update(model, { query }); }, (place) => { cell = place; draw(); });
    bars = rowBars(tokens);
    mapPlace.replaceChildren(table.node);
    barPlace.replaceChildren(bars.node);
  };
  const draw = () => {
    const now = readState(model, runs), { tokens, query, map, first, last } = now;
    if (shown !== now.story) build(tokens, now.story);
    parts.draw();
    chance.draw(now.current, now.t, now.p);
    heads.draw(runs.moved[now.story], runs.largest, now.layer, now.head);
    say(mapTitle, `Layer ${now.layer}, head ${now.head}: ${now.change ? "change since t = 0" : "row looks at column"}`);
    table.draw(map, first, query, now.change);
    bars.draw(query, map[query], first[query]);
    say(source, provenance(now.current.t, now.t));
    say(about, now.current.note);
    const [i, j] = cell ?? [query];
    say(pointed, cell ? readOut(tokens, i, j, map[i][j], first[i][j]) : "Point at a cell to read it; the arrow keys move through the table.");
    spoken.say(describe({ ...now, label: labels[1], probability: now.p, query: i, key: j, first: first[i], now: map[i], last: last[i] }));
  };
  const stops = [bind(model, NAMES, draw), parts.play.stop];
  return () => stops.forEach((stop) => stop());
}

export default { render };
