// The Ellipse Lab: a plane, its unit circle, and what a 2 x 2 matrix makes of them.
// The drawing is a function of the traits alone; its mathematics and words stand in ellipse_lab_math.mjs.

const REACH = 2.8;                     // half-width of the drawn plane
const STEP = 0.05;                     // one press of an arrow key
const STATE = ["mode", "l_1", "l_2", "a", "b", "a_2", "b_2", "rank", "target", "probe", "cloud"];
const NAMES = [...STATE, "compact"];
const PRESETS = {
  ia3: [
    ["identity", { l_1: 1, l_2: 1 }],
    ["(1.8, 0.5)", { l_1: 1.8, l_2: 0.5 }],
    ["zero", { l_1: 1, l_2: 0 }],
    ["negative", { l_1: -1.2, l_2: 0.8 }],
    ["a rotation? (impossible)", { l_1: 0.866, l_2: 0.866, target: "rotation" }],
  ],
  lora: [
    ["start: b = 0", { rank: 1, a: [0, 1], b: [0, 0] }],
    ["shear", { rank: 1, a: [0, 1], b: [0.8, 0] }],
    ["mirror", { rank: 1, a: [1, -0.75], b: [-1.28, 0.96] }],
    ["rotation (rank 2)", { target: "rotation", ...loraSolution("rotation") }],
  ],
};

// ---------------------------------------------------------------- drawing

const RIM = Array.from({ length: 24 }, (_, k) => unitVector(15 * k));
const at = ([x, y]) => `${x.toFixed(4)} ${(-y).toFixed(4)}`;
const dots = (points) => points.map((p) => `M${at(p)}h0`).join("");              // round caps make each a dot
const shown = (on) => (on ? null : "none");                                      // of the attribute display

/** An arrow from the origin, with a head that fades when there is no room for it. */
function arrow(name) {
  const line = s("path", { class: "shaft" }), head = s("path", { class: "head", d: "M0 0L-0.2 0.075L-0.2 -0.075Z" });
  const draw = ([x, y]) => {
    const size = Math.hypot(x, y), short = Math.max(0, size - 0.14) / (size || 1);
    set(line, "d", `M0 0L${at([x * short, y * short])}`);
    set(head, "display", shown(size >= 0.2));
    set(head, "transform", `translate(${at([x, y])}) rotate(${(-Math.atan2(y, x) * DEGREES).toFixed(2)})`);
  };
  return { node: s("g", { class: `arrow ${name}` }, line, head), draw };
}

/** The grid with its axes through the middle: drawn once. */
function paper() {
  const node = s("g", { class: "paper" });
  for (let k = -2.5; k <= 2.5; k += 0.5) {
    const kind = k === 0 ? "axis" : Number.isInteger(k) ? "line" : "fine";
    node.append(s("path", { class: kind, d: `M${k} ${-REACH}V${REACH}M${-REACH} ${k}H${REACH}` }));
  }
  return node;
}

/** The numbers of the axes, outside the circle, and their names; each with the places where it may stand, in pixels. */
function marks(scale) {
  const numbers = [-2, -1, 1, 2].flatMap((k) => {
    const out = k * scale + 8 * Math.sign(k), text = fmt(k, 0);
    return [{ text, places: [[out, -9], [out, 9]] }, { text, places: [[-10, -out], [10, -out]] }];
  });
  const edge = REACH * scale;
  return [{ text: "coordinate 1 →", places: [[edge, edge - 10], [-edge, edge - 10]] },
    { text: "↑ coordinate 2", places: [[50, 10 - edge], [-50, 10 - edge]] }, ...numbers];
}

/** All that is written in the plane, at its size in pixels whatever the plane's, and where nothing else stands. */
function lettering(svg) {
  const node = s("g", { class: "letters", "aria-hidden": "true" }), nodes = new Map(), sizes = new Map();
  const sizeOf = (letter, kind, text) => {
    const key = kind + text.replace(/\d/g, "0");                                 // digits are of one width
    if (sizes.has(key)) return sizes.get(key);
    const { width, height } = letter.getBBox(), size = [width / 2 + 2, height / 2];
    if (width) sizes.set(key, size);
    return size;
  };
  /** named: [{ key, kind, text, at, away, gap, must, room }], at in svg units, y down; room is half a handle's size. */
  const draw = (named) => {
    const scale = scaleOf(svg);
    const around = named.map((one) => ({ ...one, at: one.at.map((v) => v * scale) }));
    const all = [...around, ...marks(scale).map((mark, i) => ({ key: `mark ${i}`, kind: "tick", ...mark }))];
    set(node, "transform", `scale(${1 / scale})`);
    for (const { key, kind, text } of all) {
      if (!nodes.has(key)) nodes.set(key, node.appendChild(s("text", { class: kind, "text-anchor": "middle" })));
      say(nodes.get(key), text);
    }
    const texts = all.map(({ key, kind, text, at, away, gap, room, must, places }) => {
      const size = sizeOf(nodes.get(key), kind, text);
      return { size, must, places: places ?? placesAround(at, size, away, gap, room) };
    });
    const dots = around.flatMap(({ at: [x, y], room }) =>
      room ? [[x - room[0], y - room[1], x + room[0], y + room[1]]] : []);
    const spots = arrange(texts, dots, REACH * scale);
    for (const [key, letter] of nodes) {
      const place = spots[all.findIndex((one) => one.key === key)];
      set(letter, "display", shown(place));
      if (place) set(letter, "transform", `translate(${place.map((v) => v.toFixed(1)).join(" ")})`);
    }
  };
  return { node, draw };
}

/** Everything in the plane except the handles. cloud: points to be mapped. */
function scene(cloud) {
  const clip = unique("plane");
  const path = (kind, more) => s("path", { class: kind, ...more });
  const part = {
    still: path("still"), spokes: path("spokes"), ghost: path("ghost", { d: dots(cloud) }),
    circle: s("circle", { class: "circle", r: 1 }), goal: s("ellipse", { class: "goal" }), wanted: path("wanted"),
    image: s("ellipse", { class: "image" }), points: path("points"), arc: path("arc"),
  };
  const probe = arrow("probe"), moved = arrow("moved");
  const sheet = s("rect", { x: -REACH, y: -REACH, width: 2 * REACH, height: 2 * REACH, rx: 0.08 });
  const node = s("g", { "aria-hidden": "true" }, s("defs", {}, s("clipPath", { id: clip }, sheet)),
    s("g", { "clip-path": `url(#${clip})` }, paper(), ...Object.values(part), probe.node, moved.node));
  const draw = (state, m) => {
    drawEllipse(part.image, svd(m));
    drawCloud(part, state, cloud, m);
    drawTarget(part, state.target, cloud);
    const line = state.mode === "lora" && state.rank === 1 && Math.hypot(...state.a) > 0.02;
    set(part.still, "d", line ? stillLine(state.a) : null);
    const x = unitVector(state.probe);
    probe.draw(x);
    moved.draw(apply(x, m));
    const turn = turnAngle(x, m) ?? 0, end = unitVector(state.probe + turn);
    set(part.arc, "d", Math.abs(turn) < 0.05 ? null : `M${at(x)}A1 1 0 0 ${turn > 0 ? 0 : 1} ${at(end)}`);
  };
  return { node, draw };
}

/** A half-axis of 0 would not be painted at all: a hair's breadth is. */
function drawEllipse(node, { half_axes, angle }) {
  set(node, "rx", Math.max(half_axes[0], 1e-3).toFixed(4));
  set(node, "ry", Math.max(half_axes[1], 1e-3).toFixed(4));
  set(node, "transform", `rotate(${(-(angle ?? 0)).toFixed(4)})`);
}

function drawCloud(part, state, cloud, m) {
  const on = shown(state.cloud || state.target === "rotation");
  for (const key of ["ghost", "points", "spokes"]) set(part[key], "display", on);
  set(part.points, "d", dots(times(cloud, m)));
  set(part.spokes, "d", RIM.map((x) => `M${at(x)}L${at(apply(x, m))}`).join(""));
}

function drawTarget(part, name, cloud) {
  const ellipse = name in ELLIPSES;
  set(part.goal, "display", shown(ellipse));
  set(part.wanted, "display", shown(name === "rotation"));
  if (ellipse) drawEllipse(part.goal, svd(targetMatrix(name)));
  if (name === "rotation") set(part.wanted, "d", dots(times(cloud, targetMatrix(name))));
}

function stillLine([x, y]) {
  const far = 2 * REACH / Math.hypot(x, y);
  return `M${at([-y * far, x * far])}L${at([y * far, -x * far])}`;
}

/** The angle beside its arc and the name of the image, where there is room for them. */
function notes(x, m) {
  const y = apply(x, m), size = Math.hypot(...y), turn = turnAngle(x, m) ?? 0, down = ([u, v]) => [u, -v];
  const middle = down(unitVector(Math.atan2(x[1], x[0]) * DEGREES + turn / 2)), tip = down(y);
  const angle = { key: "angle", kind: "angle", text: `${fmt(Math.abs(turn), 1)}°`, at: middle, away: middle, gap: 6 };
  const image = { key: "image", kind: "name", text: "x′", at: tip, away: tip.map((v) => v / size), gap: 4 };
  return [...(size > 0.35 && Math.hypot(y[0] - x[0], y[1] - x[1]) > 0.3 ? [image] : []),
    ...(Math.abs(turn) >= 20 ? [angle] : [])];
}

// ---------------------------------------------------------------- handles

/** A whole number is held fast for a moment; elsewhere hundredths. */
function magnet(value) {
  const whole = Math.round(value);
  return Math.abs(value - whole) < 0.03 && Math.abs(whole) < 2 ? whole : snap(value, 0.01);
}

const bound = (value) => clamp(magnet(value), -LIMIT, LIMIT);
const stepped = (value, steps) => clamp(snap(value + steps * STEP, 0.01), -LIMIT, LIMIT);

/** A handle with its name: what is written, which way from the handle, and how much of the plane the handle takes. */
function named(handle, key, text, away, room = [9, 9]) {
  const label = () => {
    const { x, y } = handle.place();
    return { key, kind: "name", text: text(), at: [x, y], away: away(), gap: 3, must: true, room };
  };
  return { ...handle, key, label };
}

/** Two arrowheads beside a handle of a half-axis: it moves along its coordinate and no other way. */
function grip(i) {
  return s("path", { class: "grip", transform: `rotate(${90 * i})`, d: "M13 -5L19 0L13 5ZM-13 -5L-19 0L-13 5Z" });
}

/** A handle at the end of a half-axis. */
function axisHandle(svg, model, put, key, i) {
  const get = () => model.get(key), color = "var(--ia3-ia3)", label = `${key}, factor of coordinate ${i + 1}`;
  const handle = dragHandle({
    svg, color, label, shape: i ? "square" : "circle", radius: 9,
    place: () => (i ? { x: 0, y: -get() } : { x: get(), y: 0 }),
    drag: ({ x, y }) => put({ [key]: bound(i ? -y : x) }),
    nudge: (dx, dy) => put({ [key]: stepped(get(), dx + dy) }),
    ends: (which) => put({ [key]: which === "min" ? -LIMIT : LIMIT }),
    value: () => ({ now: snap(get(), 0.001), text: `${fmt(get())}, ${effect(get())}`, min: -LIMIT, max: LIMIT }),
  });
  handle.node.firstElementChild.append(grip(i));
  const away = () => (i ? [0, get() < 0 ? 1 : -1] : [0, 1]);
  return named(handle, key, () => `l${"₁₂"[i]} = ${fmt(get())}`, away, i ? [10, 19] : [19, 10]);
}

/** A handle at the tip of a vector; to a screen reader it is a slider of the vector's length. */
function vectorHandle(svg, model, put, key, reads) {
  const get = () => model.get(key), size = () => Math.hypot(...get());
  const longest = () => {
    const x = size() ? get() : [1, 0], top = LIMIT / Math.max(...x.map(Math.abs));
    return x.map((v) => snap(v * top, 0.01));
  };
  const handle = dragHandle({
    svg, color: reads ? "var(--ia3-k)" : "var(--ia3-lora)", shape: reads ? "circle" : "square", radius: 8,
    label: `${key}, the vector that ${reads ? "reads" : "writes"}; arrow keys move its tip`,
    place: () => ({ x: get()[0], y: -get()[1] }),
    drag: ({ x, y }) => put({ [key]: [bound(x), bound(-y)] }),
    nudge: (...steps) => put({ [key]: get().map((v, i) => stepped(v, steps[i])) }),
    ends: (which) => put({ [key]: which === "min" ? [0, 0] : longest() }),
    value: () => ({ now: snap(size(), 0.01), text: `${key} = ${pair(get())}`, min: 0, max: 3.54 }),     // 2.5 sqrt(2)
  });
  const away = () => (size() < 0.05 ? [0.77, reads ? -0.64 : 0.64] : [get()[0] / size(), -get()[1] / size()]);
  return { ...named(handle, key, () => key.replace("_2", "₂"), away), shaft: arrow(reads ? "reads" : "writes") };
}

/** The handle of the probe, on the unit circle. */
function probeHandle(svg, model, put) {
  const get = () => model.get("probe"), label = "probe x, angle on the unit circle in degrees";
  const wrap = (angle) => (angle > 180 ? angle - 360 : angle < -180 ? angle + 360 : angle);
  const handle = dragHandle({
    svg, color: "var(--ia3-text)", radius: 6, label,
    place: () => { const [x, y] = unitVector(get()); return { x, y: -y }; },
    drag: ({ x, y }) => put({ probe: Math.round(Math.atan2(-y, x) * DEGREES) }),
    nudge: (dx, dy) => put({ probe: wrap(Math.round(get() + 5 * (dx + dy))) }),
    ends: (which) => put({ probe: which === "min" ? -180 : 180 }),
    value: () => {
      const turn = turnAngle(unitVector(get()), matrixOf(readTraits(model, NAMES)));
      return { now: snap(get(), 0.01), text: `${fmt(get(), 0)} degrees. ${turnWords(turn)}`, min: -180, max: 180 };
    },
  });
  const away = () => { const [x, y] = unitVector(get()); return [x, -y]; };
  return named(handle, "probe", () => "x", away, [7, 7]);
}

// ---------------------------------------------------------------- panels

/** A list of what can be read off the drawing. */
function readings() {
  const names = { matrix: "matrix M", axes: "half-axes = singular values", angle: "long axis at", area: "area factor",
    turn: "direction of x" };
  const cells = Object.fromEntries(Object.keys(names).map((key) => [key, h("dd", {})]));
  const line = (key) => h("div", { class: `line-${key}` }, h("dt", {}, names[key]), cells[key]);
  const draw = (state, m) => {
    const { half_axes, angle, area } = svd(m), [x, y] = apply(unitVector(state.probe), m);
    const end = Math.hypot(x, y) < 1e-9 ? "origin" : `${fmt(Math.atan2(y, x) * DEGREES, 1)}°`;
    say(cells.matrix, m.map((row) => row.map((v) => fmt(v).padStart(6, "\u2007")).join("")).join("\n"));
    say(cells.axes, `${fmt(half_axes[0])} and ${fmt(half_axes[1])}`);
    say(cells.angle, angle == null ? "any: a circle" : `${fmt(angle, 1)}°`);
    say(cells.area, `${fmt(Math.abs(area))}${area < -0.005 ? ", mirrored" : ""}`);
    say(cells.turn, `${fmt(state.probe, 0)}° → ${end}`);
  };
  return { node: h("dl", { class: "readings" }, ...Object.keys(names).map(line)), draw };
}

/** The game: targets, a bar for what is missed with a mark at what this method can reach, a sentence, a way out. */
function game(model, put, go) {
  const targets = [["none", "none"], ["upright", "upright"], ["tilted", "tilted"], ["large", "tilted, large"],
    ["rotation", "rotation"]];
  const choice = segmented({ label: "Match a target:", options: targets, read: () => model.get("target"),
    write: (target) => put({ target }) });
  const live = liveRegion(), fill = h("i", { class: "fill" }), mark = h("i", { class: "mark" });
  const bar = h("div", { class: "bar", "aria-hidden": "true" }, fill, mark);
  const show = button("Show me", () => go(answer(readTraits(model, NAMES))));
  const onward = button("", () => put(verdict(readTraits(model, NAMES)).next[1]));
  const score = h("div", { class: "score" }, h("span", {}, "missed"), bar, h("span", { class: "ways" }, show, onward));
  const node = h("div", { class: "game" }, choice.node, ...live.nodes, score);
  const draw = (state) => {
    const { misfit, floor, match, text, next } = verdict(state), on = misfit != null;
    choice.draw();
    set(node, "data-match", match);
    set(score, "data-away", !on);
    set(onward, "data-away", !next);
    say(onward, next ? next[0] : "Try rank 2");
    fill.style.width = on ? percent(Math.min(1, misfit)) : "0";
    mark.style.left = on ? percent(floor) : "0";
    live.say(text);
  };
  return { node, draw };
}

function presets(model, go) {
  const leave = () => (model.get("compact") || model.get("target") === "rotation" ? { target: "none" } : {});
  const rows = Object.entries(PRESETS).map(([mode, list]) => {
    const buttons = list.map(([text, changes]) => button(text, () => go({ ...leave(), ...changes })));
    return { mode, node: h("div", { class: "presets", role: "group", "aria-label": "presets" }, ...buttons) };
  });
  const draw = (state) => { for (const { mode, node } of rows) set(node, "data-away", state.mode !== mode); };
  return { node: h("div", { class: "stack" }, ...rows.map((row) => row.node)), draw };
}

/** Move numbers to their new values in a quarter of a second, through the traits; at once where motion is unwelcome. */
function glider(model) {
  let moving = [], from = {}, last = {}, changes = {};
  const mix = (from, to, part) =>
    Array.isArray(to) ? to.map((v, i) => mix(from[i], v, part)) : from + (to - from) * part;
  const glides = ([name, to]) => name !== "rank" && (Array.isArray(to) || typeof to === "number");
  const run = animation(0.25, (part) => {
    const eased = part * part * (3 - 2 * part);
    if (moving.some(([name]) => model.get(name) !== last[name])) return false;   // someone else moved it: let go
    if (part === 1) return update(model, changes);
    last = Object.fromEntries(moving.map(([name, to]) => [name, mix(from[name], to, eased)]));
    for (const [name, value] of Object.entries(last)) model.set(name, value);
  });
  const go = (asked) => {
    run.stop();
    changes = asked;
    if (motionIsUnwelcome() || document.hidden) return update(model, changes);
    moving = Object.entries(changes).filter(glides);
    last = from = readTraits(model, moving.map(([name]) => name));
    for (const [name, to] of Object.entries(changes)) if (!(name in from)) model.set(name, to);
    run.start();
  };
  return { go, stop: run.stop };
}

// ---------------------------------------------------------------- the widget

function render({ model, el }) {
  const root = frame(el, "ellipse-lab", "Ellipse Lab: what a matrix makes of the unit circle");
  const glide = glider(model), start = readTraits(model, STATE);
  const put = (changes) => { glide.stop(); update(model, changes); };
  const choice = (name, label, options) =>
    segmented({ label, options, read: () => model.get(name), write: (value) => put({ [name]: value }) });

  const svg = s("svg", { viewBox: `${-REACH} ${-REACH} ${2 * REACH} ${2 * REACH}`, role: "group",
    "aria-label": "plane with the unit circle, its image and draggable handles" });
  const plane = scene(model.get("points")), probe = probeHandle(svg, model, put);
  const axes = ["l_1", "l_2"].map((key, i) => axisHandle(svg, model, put, key, i));
  const vectors = ["a", "b", "a_2", "b_2"].map((key) => vectorHandle(svg, model, put, key, key.startsWith("a")));
  const all = [...axes, ...vectors, probe], letters = lettering(svg);
  svg.append(plane.node, ...vectors.map(({ shaft }) => shaft.node), ...all.map(({ node }) => node), letters.node);
  const onShow = ({ mode, rank }) =>
    [...(mode === "ia3" ? axes : vectors.filter(({ key }) => rank === 2 || !key.endsWith("_2"))), probe];
  tapToMove(svg, () => onShow(readTraits(model, NAMES)));

  const mode = choice("mode", "Map:", [["ia3", "IA³"], ["lora", "LoRA"]]);
  const rank = choice("rank", "rank", [[1, "1"], [2, "2"]]);
  const formula = h("p", { class: "formula" }), hint = h("p", { class: "hint" }), live = liveRegion();
  const numbers = numberTables(() => tablesOf(readTraits(model, NAMES)));
  const list = readings(), choices = presets(model, glide.go), match = game(model, put, glide.go);
  const cloud = checkbox({
    label: "points (an F)", read: () => model.get("cloud"), write: (value) => put({ cloud: value }),
  });
  const reset = button("Reset", () => glide.go(start), { "aria-label": "reset to the values at the start" });
  const below = h("div", { class: "try" }, choices.node, h("div", { class: "ia3-row" }, reset, cloud.node));
  root.append(h("div", { class: "top" }, mode.node, rank.node, formula),
    h("div", { class: "body" }, h("div", { class: "plane" }, svg), h("div", { class: "talk" }, hint, ...live.nodes),
      below, list.node, match.node), numbers.node);

  const draw = () => {
    const state = readTraits(model, NAMES), m = matrixOf(state), lora = state.mode === "lora";
    set(root, "data-mode", state.mode);
    set(root, "data-compact", state.compact);
    const handles = onShow(state), x = unitVector(state.probe);
    for (const handle of all) set(handle.node, "display", shown(handles.includes(handle)));
    for (const vector of vectors) {
      set(vector.shaft.node, "display", shown(handles.includes(vector)));
      vector.shaft.draw(state[vector.key]);
    }
    for (const handle of handles) handle.draw();
    letters.draw([...handles.map((handle) => handle.label()), ...notes(x, m)]);
    plane.draw(state, m);
    for (const part of [mode, rank, cloud, choices, list, match, numbers]) part.draw(state, m);
    set(rank.node, "hidden", !lora);
    say(hint, hintOf(state));
    say(formula, formulaOf(state));
    live.say(describe(state));
  };
  const unbind = bind(model, NAMES, draw), unwatch = onResize(svg, draw);
  return () => { glide.stop(); unbind(); unwatch(); root.remove(); };
}

export default { render };
