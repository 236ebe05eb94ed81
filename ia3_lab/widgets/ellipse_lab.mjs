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
  const node = s("g", { class: "paper" }), end = { "text-anchor": "end" };
  const write = (text, x, y, anchor) => node.append(s("text", { x, y, ...anchor }, text));
  for (let k = -2.5; k <= 2.5; k += 0.5) {
    const kind = k === 0 ? "axis" : Number.isInteger(k) ? "line" : "fine";
    node.append(s("path", { class: kind, d: `M${k} ${-REACH}V${REACH}M${-REACH} ${k}H${REACH}` }));
  }
  for (const k of [-2, -1, 1, 2]) {                                              // outside the circle, not on it
    write(fmt(k, 0), k + 0.06 * Math.sign(k), -0.08, k > 0 ? {} : end);
    write(fmt(k, 0), -0.08, -k + (k > 0 ? -0.07 : 0.2), end);
  }
  write("coordinate 1 →", REACH - 0.1, REACH - 0.1, end);
  write("↑ coordinate 2", 0.08, 0.2 - REACH, {});
  return node;
}

/** Everything in the plane except the handles. cloud: points to be mapped. */
function scene(cloud) {
  const clip = `ia3-plane-${++groups}-${Math.random().toString(36).slice(2, 8)}`;
  const path = (kind, more) => s("path", { class: kind, ...more });
  const part = {
    still: path("still"), spokes: path("spokes"), ghost: path("ghost", { d: dots(cloud) }),
    circle: s("circle", { class: "circle", r: 1 }), goal: s("ellipse", { class: "goal" }), wanted: path("wanted"),
    image: s("ellipse", { class: "image" }), points: path("points"), arc: path("arc"),
  };
  const tip = s("text", { class: "tip", "text-anchor": "middle" }, "x′"), angle = s("text", { class: "angle" });
  const probe = arrow("probe"), moved = arrow("moved");
  const sheet = s("rect", { x: -REACH, y: -REACH, width: 2 * REACH, height: 2 * REACH, rx: 0.08 });
  const node = s("g", { "aria-hidden": "true" }, s("defs", {}, s("clipPath", { id: clip }, sheet)),
    s("g", { "clip-path": `url(#${clip})` }, paper(), ...Object.values(part), probe.node, moved.node, angle, tip));
  const draw = (state, m) => {
    drawEllipse(part.image, svd(m));
    drawCloud(part, state, cloud, m);
    drawTarget(part, state.target, cloud);
    const line = state.mode === "lora" && state.rank === 1 && Math.hypot(...state.a) > 0.02;
    set(part.still, "d", line ? stillLine(state.a) : null);
    const x = unitVector(state.probe);
    probe.draw(x);
    moved.draw(apply(x, m));
    drawTurn(part.arc, angle, tip, x, m);
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

/** The arc from the probe to its image with the angle beside it, and the name of the image. */
function drawTurn(arc, angle, tip, x, m) {
  const y = apply(x, m), turn = turnAngle(x, m), size = Math.hypot(...y);
  const turned = turn != null && Math.abs(turn) >= 0.05, end = turn == null ? x : y.map((v) => v / size);
  set(arc, "d", turned ? `M${at(x)}A1 1 0 0 ${turn > 0 ? 0 : 1} ${at(end)}` : null);
  const middle = unitVector(Math.atan2(x[1], x[0]) * DEGREES + (turn ?? 0) / 2), aside = Math.abs(middle[0]) > 0.4;
  set(angle, "display", shown(turned && Math.abs(turn) >= 20));
  set(angle, "text-anchor", aside ? (middle[0] > 0 ? "start" : "end") : "middle");
  set(angle, "x", (middle[0] * 1.1).toFixed(3));
  set(angle, "y", (-middle[1] * (aside ? 1.3 : 1.45) + 0.07).toFixed(3));        // above l_2's name
  say(angle, `${fmt(Math.abs(turn ?? 0), 1)}°`);
  const [left, up] = y.map((v, i) => clamp(v + end[i] * 0.2, 0.2 - REACH, REACH - 0.2));
  set(tip, "display", shown(size > 0.35 && Math.hypot(y[0] - x[0], y[1] - x[1]) > 0.3));
  set(tip, "x", left.toFixed(3));
  set(tip, "y", (0.06 - up).toFixed(3));
}

// ---------------------------------------------------------------- handles

/** A whole number is held fast for a moment; elsewhere hundredths. */
function magnet(value) {
  const whole = Math.round(value);
  return Math.abs(value - whole) < 0.03 && Math.abs(whole) < 2 ? whole : snap(value, 0.01);
}

const bound = (value) => clamp(magnet(value), -LIMIT, LIMIT);
const stepped = (value, steps) => clamp(snap(value + steps * STEP, 0.01), -LIMIT, LIMIT);

/** Write a name beside a handle; where() -> the text, and where its baseline stands in pixels from the handle. */
function named(handle, where) {
  const name = s("text", { class: "name", "text-anchor": "middle" });
  handle.node.firstElementChild.append(name);
  const write = () => {
    const { text, x, y } = where();
    say(name, text);
    set(name, "x", x.toFixed(1));
    set(name, "y", y.toFixed(1));
  };
  return { ...handle, write };
}

const beside = ([x, y]) => ({ x: 22 * x, y: 6 - 22 * y });

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
  const place = () => (i ? (get() > 2.2 ? { x: 50, y: 6 } : { x: 0, y: -24 }) : { x: 0, y: 29 });
  return named(handle, () => ({ text: `l${"₁₂"[i]} = ${fmt(get())}`, ...place() }));
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
  const away = () => (size() < 0.05 ? [0.77, reads ? 0.64 : -0.64] : get().map((v) => v / size()));
  const shaft = arrow(reads ? "reads" : "writes");
  return { ...named(handle, () => ({ text: key.replace("_2", "₂"), ...beside(away()) })), shaft, key };
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
  return named(handle, () => ({ text: "x", ...beside(unitVector(get())) }));
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
  const score = h("div", { class: "score" }, h("span", {}, "missed"), bar, show);
  const node = h("div", { class: "game" }, choice.node, score, ...live.nodes);
  const draw = (state) => {
    const { misfit, floor, match, text } = verdict(state), on = misfit != null;
    choice.draw();
    set(choice.node, "hidden", state.compact);
    set(node, "hidden", state.compact && !on);
    set(node, "data-match", match);
    set(score, "hidden", !on);
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
  const draw = (state) => { for (const { mode, node } of rows) set(node, "hidden", state.mode !== mode); };
  return { nodes: rows.map((row) => row.node), draw };
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
  const all = [...axes, ...vectors, probe];
  svg.append(plane.node, ...vectors.map((vector) => vector.shaft.node), ...all.map((handle) => handle.node));

  const mode = choice("mode", "Map:", [["ia3", "IA³"], ["lora", "LoRA"]]);
  const rank = choice("rank", "rank", [[1, "1"], [2, "2"]]);
  const formula = h("p", { class: "formula" }), hint = h("p", { class: "hint" }), live = liveRegion();
  const list = readings(), choices = presets(model, glide.go), match = game(model, put, glide.go);
  const cloud = checkbox({ label: "points", read: () => model.get("cloud"), write: (value) => put({ cloud: value }) });
  const reset = button("Reset", () => glide.go(start), { "aria-label": "reset to the values at the start" });
  const below = h("div", { class: "try" }, ...choices.nodes, h("div", { class: "ia3-row" }, reset, cloud.node));
  root.append(h("div", { class: "top" }, mode.node, rank.node, formula),
    h("div", { class: "body" }, h("div", { class: "plane" }, svg), h("div", { class: "talk" }, hint, ...live.nodes),
      below, list.node, match.node));

  const draw = () => {
    const state = readTraits(model, NAMES), m = matrixOf(state), lora = state.mode === "lora";
    set(root, "data-mode", state.mode);
    set(root, "data-compact", state.compact);
    for (const handle of axes) set(handle.node, "display", shown(!lora));
    for (const { node, shaft, key } of vectors) {
      const on = lora && (state.rank === 2 || !key.endsWith("_2"));
      set(node, "display", shown(on));
      set(shaft.node, "display", shown(on));
      if (on) shaft.draw(state[key]);
    }
    const handles = [probe, ...(lora ? vectors : axes)];
    for (const handle of handles) handle.draw();
    for (const handle of handles) handle.write();                                // after all draws: one layout
    plane.draw(state, m);
    for (const part of [mode, rank, cloud, choices, list, match]) part.draw(state, m);
    set(rank.node, "hidden", !lora);
    say(hint, hintOf(state));
    say(formula, formulaOf(state));
    live.say(describe(state));
  };
  const unbind = bind(model, NAMES, draw), unwatch = onResize(svg, draw);
  return () => { glide.stop(); unbind(); unwatch(); root.remove(); };
}

export default { render };
