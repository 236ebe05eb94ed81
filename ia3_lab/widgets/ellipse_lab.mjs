// The Ellipse Lab: a plane, its unit circle, and what a 2 x 2 matrix makes of them. Row vectors: x' = x M.
// The functions above `render` are pure; the drawing is a function of the traits alone.

const LIMIT = 2.5;                     // entries of l, a and b
const REACH = 2.8;                     // half-width of the drawn plane
const STEP = 0.05;                     // one press of an arrow key
const MATCH = 0.03;                    // a mismatch below this counts as a match
const TURN = 30;                       // degrees of the rotation that is asked for
const DEGREES = 180 / Math.PI;

// ---------------------------------------------------------------- maths

/** The row vector x times the matrix m. */
export function apply(x, m) {
  return [x[0] * m[0][0] + x[1] * m[1][0], x[0] * m[0][1] + x[1] * m[1][1]];
}

/** IA3's matrix: diag(l). */
export function scalingMatrix(l) {
  return [[l[0], 0], [0, l[1]]];
}

/** LoRA's matrix, I + sum of a_i^T b_i over the pairs of row vectors. */
export function loraMatrix(a, b) {
  const m = [[1, 0], [0, 1]];
  a.forEach((row, k) => {
    for (const i of [0, 1]) for (const j of [0, 1]) m[i][j] += row[i] * b[k][j];
  });
  return m;
}

/** The matrix that a state of the widget stands for. */
export function matrixOf(state) {
  if (state.mode === "ia3") return scalingMatrix([state.l_1, state.l_2]);
  return state.rank === 1 ? loraMatrix([state.a], [state.b]) : loraMatrix([state.a, state.a_2], [state.b, state.b_2]);
}

/** The unit vector at an angle in degrees, counterclockwise from coordinate 1. */
export function unitVector(degrees) {
  return [Math.cos(degrees / DEGREES), Math.sin(degrees / DEGREES)];
}

/** Rotation of row vectors by an angle in degrees, counterclockwise. */
export function rotationMatrix(degrees) {
  const [c, s] = unitVector(degrees);
  return [[c, s], [-s, c]];
}

const det = (m) => m[0][0] * m[1][1] - m[0][1] * m[1][0];
const times = (m, n) => m.map((row) => apply(row, n));
const minus = (m, n) => m.map((row, i) => row.map((value, j) => value - n[i][j]));
const norm = (m) => Math.hypot(...m.flat());
const transpose = (m) => [[m[0][0], m[1][0]], [m[0][1], m[1][1]]];

/** Half-axes of the image of the unit circle (= singular values), angle of the long one in degrees, signed area factor. */
export function svd(m) {
  const [[p, q], [r, t]] = m;
  const round = Math.hypot(p + t, q - r) / 2, skew = Math.hypot(p - t, q + r) / 2;
  const axes = [round + skew, Math.abs(round - skew)];
  const shape = shapeOf(m);
  const tilt = axes[0] - axes[1] < 1e-9 ? null : Math.atan2(2 * shape[0][1], shape[0][0] - shape[1][1]) / 2 * DEGREES;
  return { half_axes: axes, angle: tilt == null ? null : tilt <= -90 + 1e-9 ? tilt + 180 : tilt, area: det(m) };
}

/** M^T M: the same for two maps exactly when they send the unit circle to the same ellipse. */
export function shapeOf(m) {
  return times(transpose(m), m);
}

/** Signed turn in degrees from x to x m, counterclockwise; null when x m is 0. */
export function turnAngle(x, m) {
  const y = apply(x, m);
  if (Math.hypot(...y) < 1e-9) return null;
  const turn = Math.atan2(x[0] * y[1] - x[1] * y[0], x[0] * y[0] + x[1] * y[1]) * DEGREES;
  return turn <= -180 + 1e-9 ? 180 : turn;
}

/** half-axes and tilt of the target ellipses, in degrees. */
const ELLIPSES = { upright: [2.0, 0.6, 90], tilted: [2.0, 0.6, 35], large: [2.3, 1.4, -30] };

/** A matrix that reaches the target. "rotation" asks for the map itself, the others only for the ellipse. */
export function targetMatrix(name) {
  if (name === "rotation") return rotationMatrix(TURN);
  const [long, short, angle] = ELLIPSES[name];
  return times(scalingMatrix([long, short]), rotationMatrix(angle));
}

/** Relative Frobenius distance to the target: between the shapes M^T M, or for "rotation" between the maps. */
export function misfit(m, name) {
  const goal = targetMatrix(name);
  if (name === "rotation") return norm(minus(m, goal)) / norm(goal);
  return norm(minus(shapeOf(m), shapeOf(goal))) / norm(shapeOf(goal));
}

/** The l that comes nearest to the target and the mismatch it leaves: what stands off the diagonal is out of reach. */
export function bestDiagonal(name) {
  const goal = targetMatrix(name), shape = shapeOf(goal);
  const l = [0, 1].map((i) => clamp(name === "rotation" ? goal[i][i] : Math.sqrt(shape[i][i]), -LIMIT, LIMIT));
  return { l, misfit: misfit(scalingMatrix(l), name) };
}

/** The smallest mismatch that I + a^T b can have. A line of points stays put, so one half-axis is at most 1, one at least 1. */
export function bestRankOne(name) {
  const goal = targetMatrix(name);
  if (name === "rotation") return svd(minus(goal, scalingMatrix([1, 1]))).half_axes[1] / norm(goal);
  const [long, short] = svd(goal).half_axes;
  return Math.hypot(Math.max(0, 1 - long * long), Math.max(0, short * short - 1)) / norm(shapeOf(goal));
}

/** Pairs a, b that reach the target: one pair where that is possible, else two. */
export function loraSolution(name) {
  const goal = targetMatrix(name), identity = scalingMatrix([1, 1]);
  if (name === "rotation") return twoPairs(identity, minus(goal, identity));
  const { half_axes: [long, short], angle } = svd(goal);
  const axes = rotationMatrix(angle ?? 0);                                     // rows: the ellipse's two directions
  const stretch = times(times(transpose(axes), scalingMatrix([long, short])), axes);
  return bestRankOne(name) < 1e-9 ? onePair(long, short, stretch, axes) : twoPairs(axes, [axes[0].map((v) => v * (long - 1)), axes[1].map((v) => v * (short - 1))]);
}

/** Turn first, by as much as brings one direction back to where it was; then stretch. The difference from I has rank 1. */
function onePair(long, short, stretch, axes) {
  const along = Math.sqrt((short ** -2 - 1) / (short ** -2 - long ** -2));    // |x| = 1 and |x stretch^-1| = 1
  const still = apply([along, Math.sqrt(1 - along * along)], axes);
  const back = apply([along / long, Math.sqrt(1 - along * along) / short], axes);
  const turn = rotationMatrix(Math.atan2(still[0] * back[1] - still[1] * back[0], still[0] * back[0] + still[1] * back[1]) * DEGREES);
  const reads = [-still[1], still[0]];
  const writes = apply(reads, minus(times(turn, stretch), scalingMatrix([1, 1])));
  const size = Math.sqrt(Math.hypot(...writes));
  return { rank: 1, a: reads.map((v) => v * size), b: writes.map((v) => v / size) };
}

const LONG = 1.5;                      // length of a where any would do: away from the circle, so that handles lie apart
function twoPairs(a, b) {
  const [a_1, a_2] = a.map((row) => row.map((v) => v * LONG)), [b_1, b_2] = b.map((row) => row.map((v) => v / LONG));
  return { rank: 2, a: a_1, b: b_1, a_2, b_2 };
}

// ---------------------------------------------------------------- words

const near = (value, goal) => Math.abs(value - goal) < 0.005;
const percent = (value) => `${Math.round(value * 100)}%`;
const pair = (x, digits = 2) => `(${fmt(x[0], digits)}, ${fmt(x[1], digits)})`;

/** What a factor does to its coordinate. */
export function effect(factor) {
  if (near(factor, 0)) return "switched off";
  const size = near(Math.abs(factor), 1) ? "" : Math.abs(factor) > 1 ? "amplified" : "inhibited";
  if (factor < 0) return size ? `flipped and ${size}` : "flipped";
  return size || "left as it is";
}

/** The turn of the probe, in words. */
export function turnWords(turn) {
  if (turn == null) return "The probe x lands on the origin and has no direction left.";
  if (Math.abs(turn) < 0.05) return "The probe x keeps its direction.";
  if (Math.abs(turn) > 179.95) return "The probe x is reversed.";
  return `The probe x turns ${fmt(Math.abs(turn), 1)}° ${turn > 0 ? "counterclockwise" : "clockwise"}.`;
}

function diagonalWords(l) {
  const [first, second] = l.map(effect);
  if (first === second) {
    if (first === "left as it is") return "Both coordinates are left as they are: the identity, where IA³ starts.";
    if (first === "switched off") return "Both coordinates are switched off: every point lands on the origin.";
    if (first === "flipped") return "Both coordinates are flipped: a half-turn, the one rotation besides none that a diagonal can make.";
    return `Both coordinates are ${first}.`;
  }
  return `Coordinate 1 is ${first}, coordinate 2 is ${second}.`;
}

function lowRankWords(state, m) {
  const { half_axes: [long, short], area } = svd(m);
  if (norm(minus(m, [[1, 0], [0, 1]])) < 0.005) return "The update is zero: the identity, where LoRA starts.";
  if (long - short < 0.005 && near(long, 1)) {
    return area > 0 ? `A rotation by ${fmt(turnAngle([1, 0], m), 1)}°: no single pair a, b can make it.` : "A reflection: one pair a, b is enough for it.";
  }
  const mirror = area < 0 ? " The plane is mirrored." : near(short, 0) ? " The plane collapses onto a line." : "";
  if (state.rank === 2) return "Two pairs reach every 2 × 2 matrix, rotations included." + mirror;
  return "Each point moves along b, by its share of a; the dotted line stays in place." + mirror;
}

/** One or two sentences on what the map does to the plane and to the probe. */
export function describe(state) {
  const m = matrixOf(state);
  const map = state.mode === "ia3" ? diagonalWords([state.l_1, state.l_2]) : lowRankWords(state, m);
  return `${map} ${turnWords(turnAngle(unitVector(state.probe), m))}`;
}

/** How the game stands: the mismatch, the least that this method can reach, whether it is a match, and a sentence. */
export function verdict(state) {
  const name = state.target;
  if (name === "none") return { misfit: null, floor: null, match: false, text: "Pick a target, then make your ellipse cover it." };
  const now = misfit(matrixOf(state), name), one = state.mode === "lora" && state.rank === 1;
  const floor = state.mode === "ia3" ? bestDiagonal(name).misfit : one ? bestRankOne(name) : 0;
  const match = now < MATCH, reachable = floor < MATCH, closest = now - floor < 0.01;
  const whose = state.mode === "ia3" ? "any l" : `rank ${state.rank}`;
  let text = `Mismatch ${percent(now)}. The best that ${whose} can do is ${percent(floor)}, the mark on the bar.`;
  if (match) text = MATCHED[state.mode === "ia3" ? "ia3" : name];
  else if (closest && !reachable) text = `As near as ${whose} comes: ${percent(floor)} stays out of reach. ${state.mode === "ia3" ? (name === "rotation" ? WHY.turn : WHY.tilt) : WHY.rank}`;
  return { misfit: now, floor, match, text };
}

const MATCHED = {
  ia3: "A match! The target is upright, and for upright ellipses two numbers are enough.",
  upright: "A match! LoRA gets there as well, with four numbers in place of two.",
  tilted: "A match! One pair a, b tilts the axes, which no l can do.",
  large: "A match! It took rank 2: with one pair, a line of points stays where it was.",
  rotation: "A match! Turning the whole plane takes rank 2.",
};
const WHY = {
  tilt: "A diagonal never tilts the axes. Try LoRA.",
  turn: "A diagonal turns single vectors, never the plane. Try LoRA with rank 2.",
  rank: "One pair leaves a line of points in place. Try rank 2.",
};

/** What can be dragged, and what the lines mean. */
function hintOf({ mode, target }) {
  const goal = { none: "", rotation: " Green: where the F should go." }[target] ?? " Green: the target.";
  return `Drag ${mode === "lora" ? "a vector" : "l₁, l₂"} or the probe x. Dashed: before. Solid: after.${goal}`;
}

function formulaOf(state) {
  if (state.mode === "ia3") return `x′ = l ⊙ x = (${fmt(state.l_1)} x₁, ${fmt(state.l_2)} x₂)`;
  return state.rank === 2 ? "x′ = x + (x·a) b + (x·a₂) b₂" : "x′ = x + (x·a) b";
}

// ---------------------------------------------------------------- drawing

/** The cloud: a letter F, because an F shows when it has been mirrored. */
export function cloudPoints() {
  const rows = ["##...", "##...", "##...", "####.", "####.", "##...", "#####", "#####"];    // from the bottom up
  return rows.flatMap((row, y) => [...row].flatMap((mark, x) => (mark === "#" ? [[-0.74 + 0.13 * x, -0.36 + 0.13 * y]] : [])));
}

const RIM = Array.from({ length: 24 }, (_, k) => unitVector(15 * k));
const CLOUD = cloudPoints();
const at = ([x, y]) => `${x.toFixed(4)} ${(-y).toFixed(4)}`;
const dots = (points) => points.map((p) => `M${at(p)}h0`).join("");              // round caps make each a dot
const NAMES = ["mode", "l_1", "l_2", "a", "b", "a_2", "b_2", "rank", "target", "probe", "cloud", "compact"];
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

/** An arrow from the origin, with a head that fades when there is no room for it. */
function arrow(name) {
  const line = s("path", { class: "shaft" }), head = s("path", { class: "head", d: "M0 0L-0.2 0.075L-0.2 -0.075Z" });
  const draw = ([x, y]) => {
    const size = Math.hypot(x, y), short = Math.max(0, size - 0.14) / (size || 1);
    set(line, "d", `M0 0L${at([x * short, y * short])}`);
    set(head, "display", size < 0.2 ? "none" : null);
    set(head, "transform", `translate(${at([x, y])}) rotate(${(-Math.atan2(y, x) * DEGREES).toFixed(2)})`);
  };
  return { node: s("g", { class: `arrow ${name}` }, line, head), draw };
}

/** The grid with its axes: drawn once. */
function paper() {
  const node = s("g", { class: "paper" });
  for (let k = -2.5; k <= 2.5; k += 0.5) {
    const kind = k === 0 ? "axis" : Number.isInteger(k) ? "line" : "fine";
    node.append(s("path", { class: kind, d: `M${k} ${-REACH}V${REACH}M${-REACH} ${k}H${REACH}` }));
  }
  for (const k of [-2, -1, 1, 2]) {                                                // outside the circle, not on it
    const out = Math.sign(k), across = { x: k + 0.06 * out, y: -0.08, "text-anchor": k > 0 ? "start" : "end" };
    node.append(s("text", across, fmt(k, 0)), s("text", { x: -0.08, y: -k + (k > 0 ? -0.07 : 0.2), "text-anchor": "end" }, fmt(k, 0)));
  }
  node.append(s("text", { x: REACH - 0.1, y: REACH - 0.1, "text-anchor": "end" }, "coordinate 1 →"), s("text", { x: 0.08, y: 0.2 - REACH }, "↑ coordinate 2"));
  return node;
}

/** Everything in the plane except the handles. */
function scene() {
  const clip = `ia3-plane-${++groups}-${Math.random().toString(36).slice(2, 8)}`;
  const part = {
    still: s("path", { class: "still" }), spokes: s("path", { class: "spokes" }),
    ghost: s("path", { class: "ghost", d: dots(CLOUD) }), circle: s("circle", { class: "circle", r: 1 }),
    wanted: s("path", { class: "wanted" }), goal: s("ellipse", { class: "goal" }), image: s("ellipse", { class: "image" }),
    points: s("path", { class: "points" }), arc: s("path", { class: "arc" }), angle: s("text", { class: "angle" }),
    tip: s("text", { class: "tip", "text-anchor": "middle" }, "x′"),
  };
  const probe = arrow("probe"), moved = arrow("moved");
  const node = s("g", { "aria-hidden": "true" },
    s("defs", {}, s("clipPath", { id: clip }, s("rect", { x: -REACH, y: -REACH, width: 2 * REACH, height: 2 * REACH, rx: 0.08 }))),
    s("g", { "clip-path": `url(#${clip})` }, paper(), part.still, part.spokes, part.ghost, part.circle, part.goal, part.wanted, part.image,
      part.points, part.arc, probe.node, moved.node, part.angle, part.tip));
  const draw = (state, m) => {
    drawEllipse(part.image, svd(m));
    drawCloud(part, state, m);
    drawTarget(part, state.target);
    const line = state.mode === "lora" && state.rank === 1 && Math.hypot(...state.a) > 0.02;
    set(part.still, "d", line ? stillLine(state.a) : null);
    drawProbe(part, probe, moved, unitVector(state.probe), m);
  };
  return { node, draw };
}

/** A half-axis of 0 would not be painted at all: a hair's breadth is. */
function drawEllipse(node, { half_axes, angle }) {
  set(node, "rx", Math.max(half_axes[0], 1e-3).toFixed(4));
  set(node, "ry", Math.max(half_axes[1], 1e-3).toFixed(4));
  set(node, "transform", `rotate(${(-(angle ?? 0)).toFixed(4)})`);
}

function drawCloud(part, state, m) {
  for (const key of ["ghost", "points", "spokes"]) set(part[key], "display", state.cloud || state.target === "rotation" ? null : "none");
  set(part.points, "d", dots(CLOUD.map((x) => apply(x, m))));
  set(part.spokes, "d", RIM.map((x) => `M${at(x)}L${at(apply(x, m))}`).join(""));
}

function drawTarget(part, name) {
  const ellipse = name in ELLIPSES;
  set(part.goal, "display", ellipse ? null : "none");
  set(part.wanted, "display", name === "rotation" ? null : "none");
  if (ellipse) drawEllipse(part.goal, svd(targetMatrix(name)));
  if (name === "rotation") set(part.wanted, "d", dots(CLOUD.map((x) => apply(x, targetMatrix(name)))));
}

function stillLine([x, y]) {
  const far = 2 * REACH / Math.hypot(x, y);
  return `M${at([-y * far, x * far])}L${at([y * far, -x * far])}`;
}

function drawProbe(part, probe, moved, x, m) {
  const y = apply(x, m), turn = turnAngle(x, m), size = Math.hypot(...y);
  probe.draw(x);
  moved.draw(y);
  const shown = turn != null && Math.abs(turn) >= 0.05, end = turn == null ? x : y.map((v) => v / size);
  set(part.arc, "d", shown ? `M${at(x)}A1 1 0 0 ${turn > 0 ? 0 : 1} ${at(end)}` : null);
  const middle = unitVector(Math.atan2(x[1], x[0]) * DEGREES + (turn ?? 0) / 2);
  set(part.angle, "display", shown && Math.abs(turn) >= 20 ? null : "none");
  set(part.angle, "text-anchor", middle[0] > 0.4 ? "start" : middle[0] < -0.4 ? "end" : "middle");
  set(part.angle, "x", (middle[0] * 1.1).toFixed(3));
  set(part.angle, "y", (-middle[1] * (Math.abs(middle[0]) > 0.4 ? 1.3 : 1.45) + 0.07).toFixed(3));  // above l_2's name
  say(part.angle, `${fmt(Math.abs(turn ?? 0), 1)}°`);
  set(part.tip, "display", size > 0.35 && Math.hypot(y[0] - x[0], y[1] - x[1]) > 0.3 ? null : "none");
  set(part.tip, "x", clamp(y[0] + end[0] * 0.2, 0.2 - REACH, REACH - 0.2).toFixed(3));
  set(part.tip, "y", (-clamp(y[1] + end[1] * 0.2, 0.2 - REACH, REACH - 0.2) + 0.06).toFixed(3));
}

// ---------------------------------------------------------------- handles

const magnet = (value) => { const whole = Math.round(value); return Math.abs(value - whole) < 0.03 && Math.abs(whole) < 2 ? whole : snap(value, 0.01); };
const bound = (value) => clamp(magnet(value), -LIMIT, LIMIT);

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
const grip = (i) => s("path", { class: "grip", transform: `rotate(${90 * i})`, d: "M13 -5L19 0L13 5ZM-13 -5L-19 0L-13 5Z" });

/** A handle at the end of a half-axis. */
function axisHandle(svg, model, put, key, i) {
  const get = () => model.get(key);
  const handle = dragHandle({
    svg, color: "var(--ia3-ia3)", shape: i ? "square" : "circle", radius: 9, label: `${key}, factor of coordinate ${i + 1}`,
    place: () => (i ? { x: 0, y: -get() } : { x: get(), y: 0 }),
    drag: ({ x, y }) => put({ [key]: bound(i ? -y : x) }),
    nudge: (dx, dy) => put({ [key]: clamp(snap(get() + (dx + dy) * STEP, 0.01), -LIMIT, LIMIT) }),
    ends: (which) => put({ [key]: which === "min" ? -LIMIT : LIMIT }),
    value: () => ({ now: snap(get(), 0.001), text: `${fmt(get())}, ${effect(get())}`, min: -LIMIT, max: LIMIT }),
  });
  const name = () => `l${"₁₂"[i]} = ${fmt(get())}`;
  handle.node.firstElementChild.append(grip(i));
  return named(handle, () => ({ text: name(), ...(i ? get() > 2.2 ? { x: 50, y: 6 } : { x: 0, y: -24 } : { x: 0, y: 29 }) }));
}

/** A handle at the tip of a vector; to a screen reader it is a slider of the vector's length. */
function vectorHandle(svg, model, put, key, reads) {
  const get = () => model.get(key);
  const size = () => Math.hypot(...get());
  const longest = () => { const x = size() ? get() : [1, 0], top = LIMIT / Math.max(...x.map(Math.abs)); return x.map((v) => snap(v * top, 0.01)); };
  const handle = dragHandle({
    svg, color: reads ? "var(--ia3-k)" : "var(--ia3-lora)", shape: reads ? "circle" : "square", radius: 8,
    label: `${key}, the vector that ${reads ? "reads" : "writes"}; arrow keys move its tip`,
    place: () => ({ x: get()[0], y: -get()[1] }),
    drag: ({ x, y }) => put({ [key]: [bound(x), bound(-y)] }),
    nudge: (dx, dy) => put({ [key]: [get()[0] + dx * STEP, get()[1] + dy * STEP].map((v) => clamp(snap(v, 0.01), -LIMIT, LIMIT)) }),
    ends: (which) => put({ [key]: which === "min" ? [0, 0] : longest() }),
    value: () => ({ now: snap(size(), 0.01), text: `${key} = ${pair(get())}`, min: 0, max: snap(LIMIT * Math.SQRT2, 0.01) }),
  });
  const shaft = arrow(reads ? "reads" : "writes");
  const away = () => { const x = get(), length = size(); return length < 0.05 ? [0.77, reads ? 0.64 : -0.64] : [x[0] / length, x[1] / length]; };
  return { ...named(handle, () => ({ text: key.replace("_2", "₂"), ...beside(away()) })), shaft, key };
}

/** The handle of the probe, on the unit circle. */
function probeHandle(svg, model, put) {
  const get = () => model.get("probe");
  const wrap = (angle) => (angle > 180 ? angle - 360 : angle < -180 ? angle + 360 : angle);
  const handle = dragHandle({
    svg, color: "var(--ia3-text)", radius: 6, label: "probe x, angle on the unit circle in degrees",
    place: () => { const [x, y] = unitVector(get()); return { x, y: -y }; },
    drag: ({ x, y }) => put({ probe: Math.round(Math.atan2(-y, x) * DEGREES) }),
    nudge: (dx, dy) => put({ probe: wrap(get() + dx + dy) }),
    ends: (which) => put({ probe: which === "min" ? -180 : 180 }),
    value: () => {
      const turn = turnAngle(unitVector(get()), matrixOf(stateOf(model)));
      return { now: snap(get(), 0.01), text: `${fmt(get(), 0)} degrees. ${turnWords(turn)}`, min: -180, max: 180 };
    },
  });
  return named(handle, () => ({ text: "x", ...beside(unitVector(get())) }));
}

const stateOf = (model) => Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));

// ---------------------------------------------------------------- panels

/** A list of what can be read off the drawing. */
function readings() {
  const cells = {};
  const line = (key, name) => h("div", { class: `line-${key}` }, h("dt", {}, name), cells[key] = h("dd", {}));
  const node = h("dl", { class: "readings" },
    line("matrix", "matrix M"), line("axes", "half-axes = singular values"), line("angle", "long axis at"), line("area", "area factor"), line("turn", "direction of x"));
  const draw = (state, m) => {
    const { half_axes, angle, area } = svd(m), y = apply(unitVector(state.probe), m);
    say(cells.matrix, m.map((row) => row.map((v) => fmt(v).padStart(6, "\u2007")).join("")).join("\n"));
    say(cells.axes, `${fmt(half_axes[0])} and ${fmt(half_axes[1])}`);
    say(cells.angle, angle == null ? "any: a circle" : `${fmt(angle, 1)}°`);
    say(cells.area, `${fmt(Math.abs(area))}${area < -0.005 ? ", mirrored" : ""}`);
    say(cells.turn, `${fmt(state.probe, 0)}° → ${Math.hypot(...y) < 1e-9 ? "origin" : fmt(Math.atan2(y[1], y[0]) * DEGREES, 1) + "°"}`);
  };
  return { node, draw };
}

/** The game: a choice of targets, a bar for the mismatch with a mark at what this method can reach, a sentence, a way out. */
function game(model, put, go) {
  const choice = segmented({
    label: "Match a target:", options: [["none", "none"], ["upright", "upright"], ["tilted", "tilted"], ["large", "tilted, large"], ["rotation", "rotation"]],
    read: () => model.get("target"), write: (target) => put({ target }),
  });
  const live = liveRegion(), fill = h("i", { class: "fill" }), mark = h("i", { class: "mark" });
  const bar = h("div", { class: "bar", "aria-hidden": "true" }, fill, mark);
  const show = button("Show me", () => go(answer(stateOf(model))));
  const score = h("div", { class: "score" }, h("span", {}, "mismatch"), bar, show);
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

/** What the button "Show me" sets: the nearest l, or a LoRA update that reaches the target. */
export function answer(state) {
  if (state.mode === "lora") return loraSolution(state.target);
  const [l_1, l_2] = bestDiagonal(state.target).l;
  return { l_1: snap(l_1, 0.001), l_2: snap(l_2, 0.001) };
}

function presets(model, go) {
  const rows = Object.entries(PRESETS).map(([mode, list]) => {
    const node = h("div", { class: "presets", role: "group", "aria-label": "presets" },
      ...list.map(([text, changes]) => button(text, () => go({ ...(model.get("compact") || model.get("target") === "rotation" ? { target: "none" } : {}), ...changes }))));
    return { mode, node };
  });
  const draw = (state) => { for (const { mode, node } of rows) set(node, "hidden", state.mode !== mode); };
  return { nodes: rows.map((row) => row.node), draw };
}

/** Move numbers to their new values in a quarter of a second, by way of the traits; at once where motion is unwelcome. */
function glider(model) {
  let frameAsked = 0;
  const stop = () => cancelAnimationFrame(frameAsked);
  const mix = (from, to, part) => Array.isArray(to) ? to.map((v, i) => mix(from[i], v, part)) : from + (to - from) * part;
  const go = (changes) => {
    stop();
    const moving = Object.entries(changes).filter(([name, to]) => name !== "rank" && typeof to !== "string" && typeof to !== "boolean");
    if (matchMedia("(prefers-reduced-motion: reduce)").matches || document.hidden) return update(model, changes);
    const from = Object.fromEntries(moving.map(([name]) => [name, model.get(name)]));
    for (const [name, to] of Object.entries(changes)) if (!(name in from)) model.set(name, to);
    const start = performance.now();
    let last = from;
    const next = (now) => {
      const part = clamp((now - start) / 250, 0, 1), eased = part * part * (3 - 2 * part);
      if (moving.some(([name]) => model.get(name) !== last[name])) return;              // someone else moved it: let go
      if (part === 1) return update(model, changes);
      last = Object.fromEntries(moving.map(([name, to]) => [name, mix(from[name], to, eased)]));
      for (const [name] of moving) model.set(name, last[name]);
      frameAsked = requestAnimationFrame(next);
    };
    frameAsked = requestAnimationFrame(next);
  };
  return { go, stop };
}

// ---------------------------------------------------------------- the widget

function render({ model, el }) {
  const root = frame(el, "ellipse-lab", "Ellipse Lab: what a matrix makes of the unit circle");
  const glide = glider(model);
  const put = (changes) => { glide.stop(); update(model, changes); };
  const svg = s("svg", { viewBox: `${-REACH} ${-REACH} ${2 * REACH} ${2 * REACH}`, role: "group", "aria-label": "plane with the unit circle, its image and draggable handles" });
  const plane = scene();
  const axes = ["l_1", "l_2"].map((key, i) => axisHandle(svg, model, put, key, i));
  const vectors = [["a", true], ["b", false], ["a_2", true], ["b_2", false]].map(([key, reads]) => vectorHandle(svg, model, put, key, reads));
  const probe = probeHandle(svg, model, put);
  svg.append(plane.node, ...vectors.map((vector) => vector.shaft.node), ...[...axes, ...vectors, probe].map((handle) => handle.node));

  const mode = segmented({ label: "Map:", options: [["ia3", "IA³"], ["lora", "LoRA"]], read: () => model.get("mode"), write: (value) => put({ mode: value }) });
  const rank = segmented({ label: "rank", options: [[1, "1"], [2, "2"]], read: () => model.get("rank"), write: (value) => put({ rank: value }) });
  const formula = h("p", { class: "formula" });
  const live = liveRegion(), list = readings(), choices = presets(model, glide.go), match = game(model, put, glide.go);
  const cloud = checkbox({ label: "points", read: () => model.get("cloud"), write: (value) => put({ cloud: value }) });
  const reset = button("Reset", () => glide.go(model.get("start")), { "aria-label": "reset to the values at the start" });
  const hint = h("p", { class: "hint" });
  root.append(h("div", { class: "top" }, mode.node, rank.node, formula), h("div", { class: "body" }, h("div", { class: "plane" }, svg),
    h("div", { class: "talk" }, hint, ...live.nodes), h("div", { class: "try" }, ...choices.nodes, h("div", { class: "ia3-row" }, reset, cloud.node)), list.node, match.node));

  const draw = () => {
    const state = stateOf(model), m = matrixOf(state), lora = state.mode === "lora";
    set(root, "data-mode", state.mode);
    set(root, "data-compact", state.compact);
    for (const handle of axes) set(handle.node, "display", lora ? "none" : null);
    for (const { node, shaft, key } of vectors) {
      const shown = lora && (state.rank === 2 || !key.endsWith("_2")) ? null : "none";
      set(node, "display", shown);
      set(shaft.node, "display", shown);
      if (!shown) shaft.draw(state[key]);
    }
    const handles = [probe, ...(lora ? vectors : axes)];
    for (const handle of handles) handle.draw();
    for (const handle of handles) handle.write();                                 // after all draws, which measure: one layout
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
