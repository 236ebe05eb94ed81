// The adaptation dial: turn t from l = 1 (t = 0) to the learned l (t = 1) and watch the attention of one sentence.

const STEP = 0.01;
const PLAY_SECONDS = 4;

const heading = (...words) => h("p", { class: "ad-title" }, ...words);
const small = (...words) => h("p", { class: "ia3-muted ad-small" }, ...words);

/** A table whose cells are reached with one tab stop and the arrow keys. choose(row, column) when a cell is entered. */
function roving(table, cells, choose) {
  const rows = cells.length;
  const columns = cells[0].length;
  let place = [0, 0];
  const point = (row, column) => {
    place = [row, column];
    oneStop(cells.flat(), cells[row][column]);
  };
  const enter = (row, column) => {
    point(row, column);
    choose(row, column);
    cells[row][column].focus({ preventScroll: true });
  };
  cells.forEach((line, row) =>
    line.forEach((cell, column) => {
      cell.addEventListener("click", () => enter(row, column));
      cell.addEventListener("focus", () => choose(row, column));
    }),
  );
  const ways = ({ ctrlKey }) => {
    const all = ctrlKey ? rows : 0; // right and up are positive
    return { ...ARROWS, PageUp: [0, rows], PageDown: [0, -rows], Home: [-columns, all], End: [columns, -all] };
  };
  onKeys(table, ways, ([right, up]) =>
    enter(clamp(place[0] - up, 0, rows - 1), clamp(place[1] + right, 0, columns - 1)));
  point(0, 0);
  return point;
}

/** An empty table with headers; returns its node and its cells. */
function gridTable({ kind, label, rows, columns, corner }) {
  const cells = rows.map(() => columns.map(() => h("td", {})));
  const first = h("th", { scope: "col", class: "ad-corner" }, h("b", { class: "ia3-hidden" }, corner));
  const heads = columns.map((text) => h("th", { scope: "col" }, h("span", {}, text)));
  const lines = rows.map((text, i) => h("tr", {}, h("th", { scope: "row" }, text), ...cells[i]));
  const attributes = { class: `ad-grid ${kind}`, role: "grid", "aria-label": label };
  const node = h("table", attributes, h("thead", {}, h("tr", {}, first, ...heads)), h("tbody", {}, ...lines));
  return { node, cells };
}

/** Layers down, heads across; a cell is filled as far as the head's attention moves between t = 0 and t = 1. */
function headMap([layers, heads], choose) {
  const range = (count) => [...Array(count).keys()].map(String);
  const { node, cells } = gridTable({
    kind: "ad-heads",
    label: "Layers and heads: the share of attention that moves from t = 0 to t = 1",
    rows: range(layers),
    columns: range(heads),
    corner: "layer",
  });
  const point = roving(node, cells, choose);
  const reading = h("p", { class: "ad-small" });
  const draw = (moved, largest, layer, head) => {
    cells.forEach((row, i) =>
      row.forEach((cell, j) => {
        const chosen = i === layer && j === head;
        cell.style.setProperty("--ad-share", (moved[i][j] / largest).toFixed(3));
        set(cell, "aria-selected", String(chosen));
        set(cell, "aria-label", `layer ${i}, head ${j}: ${fmt(moved[i][j])} moves`);
      }),
    );
    point(layer, head);
    say(reading, `Layer ${layer}, head ${head}: ${fmt(moved[layer][head])} moves.`);
  };
  return { node: h("div", {}, node, reading), draw };
}

/** One head's attention map. Moving to a cell chooses its row; hovering only reads it: read(place), read(null). */
function matrix(tokens, choose, read) {
  let column = 0;
  let focused = null;
  const { node, cells } = gridTable({
    kind: "ad-matrix",
    label: "Attention: the row's token looks at the column's",
    rows: tokens,
    columns: tokens,
    corner: "token",
  });
  const point = roving(node, cells, (i, j) => {
    [column, focused] = [j, [i, j]];
    choose(i);
    read(focused);
  });
  cells.forEach((line, i) => line.forEach((cell, j) => cell.addEventListener("pointerenter", () => read([i, j]))));
  node.addEventListener("pointerleave", () => read(focused));
  node.addEventListener("focusout", () => {
    focused = null;
    read(null);
  });
  const draw = (now, first, query, change) => {
    set(node, "data-change", change);
    cells.forEach((row, i) => {
      set(row[0].parentNode, "aria-selected", String(i === query));
      row.forEach((cell, j) => {
        const value = change ? now[i][j] - first[i][j] : now[i][j];
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

/** The chosen token's row as bars: hollow at t = 0, filled now. */
function rowBars(tokens) {
  const rows = tokens.map((token) => {
    const [before, now] = [h("i", { class: "ad-before" }), h("i", { class: "ad-now" })];
    const [number, change] = [h("b"), h("small")];
    const track = h("span", { class: "ad-track", "aria-hidden": "true" }, now, before);
    const node = h("li", {}, h("span", { class: "ad-token" }, token), track, number, " ", change);
    return { before, now, number, change, node };
  });
  const keys = [h("i", { class: "ad-key-before" }), "t = 0 ", h("i", { class: "ad-key-now" }), "now"];
  const title = heading();
  const list = h("ul", { class: "ad-bars" }, ...rows.map((row) => row.node));
  const node = h("div", {}, title, list, h("p", { class: "ia3-muted ad-legend" }, ...keys));
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
  const box = { left: 34, right: 318, top: 12, bottom: 138 };
  const x = (t) => box.left + t * (box.right - box.left);
  const y = (p) => box.bottom - p * (box.bottom - box.top);
  const [line, dots, ring] = [s("polyline", { class: "ad-line" }), s("g", {}), s("circle", { r: 7, class: "ad-ring" })];
  const ticks = { box, values: [0, 0.5, 1] };
  const axes = [
    ...drawAxis({ ...ticks, side: "left", place: y }),
    ...drawAxis({ ...ticks, side: "bottom", place: x, lines: "none", label: "t (0: frozen, 1: adapted)" }),
  ];
  const svg = s("svg", { viewBox: "0 0 330 176", role: "img" }, ...axes, line, dots, ring);
  const draw = ({ t: grid, probability: values }, t, p) => {
    set(line, "points", grid.map((value, i) => `${x(value)},${y(values[i])}`).join(" "));
    const dot = (value, i) => s("circle", { r: 3, class: "ad-dot", cx: x(value), cy: y(values[i]) });
    dots.replaceChildren(...grid.map(dot));
    set(ring, "cx", x(t));
    set(ring, "cy", y(p));
    const listing = grid.map((value, i) => `${fmt(values[i])} at t = ${fmt(value)}`).join(", ");
    set(svg, "aria-label", `P(${label}): ${listing}`);
  };
  return { node: svg, draw };
}

/** The probability as a number, a bar and a curve. */
function probabilityPanel(labels) {
  const [number, words, bar, plot] = [h("b"), h("span"), h("i"), curve(labels[1])];
  const track = h("div", { class: "ad-probability", "aria-hidden": "true" }, bar);
  const node = h("div", {}, heading(number, " ", words), track, plot.node);
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
  let last = 0;
  const run = animation(PLAY_SECONDS, (part) => {
    if (model.get("t") !== last) return stop();
    last = snap(part, 2 * STEP);
    if (model.get("t") !== last) update(model, { t: last });
    if (last >= 1) stop();
  });
  const stop = () => {
    run.stop();
    say(node, "Play");
  };
  const play = () => {
    if (model.get("t") >= 1) update(model, { t: 0 });
    say(node, "Stop");
    run.start((last = model.get("t")));
  };
  const node = button("Play", () => (run.running() ? stop() : play()));
  return { node, stop, draw: () => set(node, "hidden", motionIsUnwelcome()) };
}

const NAMES = ["t", "story", "layer", "head", "query", "change"];

/** What never changes; bytes arrive as a DataView. moved is, by layer and head, the share of attention that moves. */
function readRuns(model) {
  const [stories, shape, view] = ["stories", "shape", "maps"].map((name) => model.get(name));
  const maps = splitMaps(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), stories, shape);
  const moved = stories.map((story) => story.moved);
  return { stories, shape, maps, moved, largest: Math.max(...moved.flat(2), 1 / LEVELS) };
}

/** Everything on screen as numbers: a pure function of the runs and the traits. */
function readState(model, { stories, shape, maps }) {
  const state = readTraits(model, NAMES);
  const story = stories[state.story];
  const t = clamp(state.t, 0, 1);
  const query = Math.min(state.query, story.tokens.length - 1);
  const at = (place) => attentionAt(maps[state.story], story.t, shape, state.layer, state.head, place);
  const p = interpolate(story.probability, story.t, t);
  return { ...state, current: story, tokens: story.tokens, t, query, p, map: at(t), first: at(0), last: at(1) };
}

/** The sentence, t, play and reset; and the check box that stands elsewhere. */
function controls(model, { stories }, start) {
  const choose = (i) => {
    const { tokens } = stories[model.get("story")];
    const query = Math.min(model.get("query"), tokens.length - 1);
    update(model, { story: i, query: carryQuery(query, tokens, stories[i].tokens) });
  };
  const words = ({ tokens }) =>
    tokens
      .filter((token) => !/^\[.*\]$/.test(token))
      .join(" ")
      .replaceAll(" ##", "");
  const sentence = dropdown({
    label: "Sentence",
    options: stories.map((story, i) => [i, words(story)]),
    read: () => model.get("story"),
    write: (value) => choose(Number(value)),
  });
  const dial = slider({
    label: "frozen – adapted",
    min: 0,
    max: 1,
    step: STEP,
    read: () => clamp(model.get("t"), 0, 1),
    write: (t) => update(model, { t }),
  });
  set(dial.node.querySelector("output"), "aria-live", "off"); // the slider says its value itself
  set(dial.input, "aria-label", "t, from the frozen encoder (0) to the adapted one (1)");
  const play = player(model);
  const change = checkbox({ label: "change since t = 0", ...traitOf(model, "change") });
  const reset = button("Reset", () => {
    play.stop();
    update(model, start);
  });
  const choice = h("div", { class: "ad-choice" }, sentence.node, play.node, reset);
  const node = h("div", { class: "ad-controls" }, choice, dial.node);
  return { node, change, play, draw: () => [sentence, dial, play, change].forEach((part) => part.draw()) };
}

/** All numbers of a sentence: what the chosen word looks at, and the answer at each stored t. */
function tablesOf({ tokens, query, map, first, last, t, current }, label) {
  const shares = tokens.map((token, j) => [token, ...[first, map, last].map((rows) => fmt(rows[query][j]))]);
  return [
    [`What ${quoted(tokens[query])} looks at`, ["word", "t = 0", `t = ${fmt(t)}`, "t = 1"], shares],
    [`P(${label})`, ["t", "P"], current.t.map((value, i) => [fmt(value), fmt(current.probability[i])])],
  ];
}

function render({ model, el }) {
  const todo = "Pull the slider from frozen to adapted. Choose a head, then a row of its map.";
  const root = frame(el, "dial", "Adaptation dial", todo, `${SLIDER_KEYS} In a table: ${CELLS}`);
  const runs = readRuns(model);
  const labels = model.get("labels");
  const start = readTraits(model, NAMES);
  const parts = controls(model, runs, start);
  const spoken = liveRegion();
  const chance = probabilityPanel(labels);
  const heads = headMap(runs.shape, (layer, head) => update(model, { layer, head }));
  const [source, mapTitle] = [small(), heading()];
  let [shown, cell] = [null, null];
  const choose = (query) => {
    if (query !== model.get("query")) update(model, { query });
  };
  const read = (place) => {
    cell = place;
    draw();
  };
  // All sentences' tables share one place, so that the tallest makes the room.
  const sheets = runs.stories.map(({ tokens, note }) => {
    return [matrix(tokens, choose, read), rowBars(tokens), { node: small(note) }];
  });
  const [mapPlace, barPlace, about] = [0, 1, 2].map((k) =>
    h("div", { class: "ad-stack" }, ...sheets.map((sheet) => sheet[k].node)),
  );
  const numbers = numberTables(() => tablesOf(readState(model, runs), labels[1]));
  const pointed = h("p", { class: "ad-pointed", "aria-hidden": "true" });
  source.classList.add("ad-source");
  const columns = (...nodes) => h("div", { class: "ia3-columns" }, ...nodes.map((some) => h("div", {}, ...some)));
  const meaning = "the share of its attention that lies elsewhere at t = 1 than at t = 0, mean over tokens.";
  const headsTitle = heading("Change by layer (row) and head (column)");
  const stored = "Layers and heads are counted from 0. Attention is stored in steps of 1/255 = 0.004.";
  root.append(
    parts.node,
    ...spoken.nodes,
    source,
    columns([chance.node], [barPlace]),
    columns(
      [mapTitle, mapPlace, parts.change.node, pointed],
      [headsTitle, heads.node, small(`Choose a head: the fuller its cell, the more moves, ${meaning}`)],
    ),
    about,
    small(`${model.get("note")} ${stored}`.trim()),
    numbers.node,
  );

  const drawTokens = ({ tokens, query, map, first, last, change, ...now }) => {
    const [table, bars] = sheets[now.story];
    table.draw(map, first, query, change);
    bars.draw(query, map[query], first[query]);
    const [i, j] = cell ?? [query];
    const hint = "Point at a cell to read it; the arrow keys move through the table.";
    say(pointed, cell ? readOut(tokens, i, j, map[i][j], first[i][j]) : hint);
    const row = { query: i, key: j, first: first[i], now: map[i], last: last[i] };
    spoken.say(describe({ ...now, tokens, label: labels[1], probability: now.p, ...row }));
  };
  const draw = () => {
    const now = readState(model, runs);
    if (shown !== now.story) [shown, cell] = [now.story, null];
    sheets.forEach((sheet, i) => sheet.forEach(({ node }) => set(node, "data-away", i !== now.story)));
    parts.draw();
    chance.draw(now.current, now.t, now.p);
    heads.draw(runs.moved[now.story], runs.largest, now.layer, now.head);
    say(mapTitle, `Layer ${now.layer}, head ${now.head}: ${now.change ? "change since t = 0" : "row looks at column"}`);
    say(source, provenance(now.current.t, now.t));
    numbers.draw();
    drawTokens(now);
  };
  const stops = [bind(model, NAMES, draw), parts.play.stop];
  return () => stops.forEach((stop) => stop());
}

export default { render };
