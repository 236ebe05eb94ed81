// The Ellipse Lab's mathematics, and its words: pure functions of a state. Row vectors: x' = x M.

const LIMIT = 2.5;                     // entries of l, a and b
const MATCH = 0.03;                    // less than this missed counts as a match
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

/** Half-axes of the image of the unit circle (singular values), angle of the long one in degrees, signed area. */
export function svd(m) {
  const [[p, q], [r, t]] = m;
  const round = Math.hypot(p + t, q - r) / 2, skew = Math.hypot(p - t, q + r) / 2;
  const axes = [round + skew, Math.abs(round - skew)];
  const [[across, both], [, along]] = shapeOf(m);
  const tilt = axes[0] - axes[1] < 1e-9 ? null : Math.atan2(2 * both, across - along) / 2 * DEGREES;
  return { half_axes: axes, angle: tilt == null ? null : tilt <= -90 + 1e-9 ? tilt + 180 : tilt, area: det(m) };
}

/** M^T M: the same for two maps exactly when they send the unit circle to the same ellipse. */
export function shapeOf(m) {
  return times(transpose(m), m);
}

/** Signed angle in degrees from x to y, counterclockwise. */
const angleBetween = (x, y) => Math.atan2(x[0] * y[1] - x[1] * y[0], x[0] * y[0] + x[1] * y[1]) * DEGREES;

/** Signed turn in degrees from x to x m, counterclockwise; null when x m is 0. */
export function turnAngle(x, m) {
  const y = apply(x, m);
  if (Math.hypot(...y) < 1e-9) return null;
  const turn = angleBetween(x, y);
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

const IDENTITY = scalingMatrix([1, 1]);

/** What is compared with the target: the shape M^T M, or for "rotation" the map itself. */
const seenAs = (m, name) => (name === "rotation" ? m : shapeOf(m));

/** Frobenius norm of the wanted change: how far the target is from where l = 1 starts. */
const change = (name) => norm(minus(seenAs(targetMatrix(name), name), IDENTITY));

/** The part of the wanted change that a map misses: 0 at the target, 1 at the start. */
export function misfit(m, name) {
  return norm(minus(seenAs(m, name), seenAs(targetMatrix(name), name))) / change(name);
}

/** The l that comes nearest to the target and the mismatch it leaves: what stands off the diagonal is out of reach. */
export function bestDiagonal(name) {
  const goal = targetMatrix(name), shape = shapeOf(goal);
  const l = [0, 1].map((i) => clamp(name === "rotation" ? goal[i][i] : Math.sqrt(shape[i][i]), -LIMIT, LIMIT));
  return { l, misfit: misfit(scalingMatrix(l), name) };
}

/** The smallest mismatch of I + a^T b. A line of points stays put, so one half-axis is at most 1 and one at least 1. */
export function bestRankOne(name) {
  const goal = targetMatrix(name);
  if (name === "rotation") return svd(minus(goal, IDENTITY)).half_axes[1] / change(name);
  const [long, short] = svd(goal).half_axes;
  return Math.hypot(Math.max(0, 1 - long * long), Math.max(0, short * short - 1)) / change(name);
}

/** Pairs a, b that reach the target: one pair where that is possible, else two. */
export function loraSolution(name) {
  const goal = targetMatrix(name);
  if (name === "rotation") return twoPairs(IDENTITY, minus(goal, IDENTITY));
  const { half_axes: [long, short], angle } = svd(goal);
  const axes = rotationMatrix(angle ?? 0);                                     // rows: the ellipse's two directions
  const stretch = times(times(transpose(axes), scalingMatrix([long, short])), axes);
  if (bestRankOne(name) < 1e-9) return onePair(long, short, stretch, axes);
  return twoPairs(axes, times(scalingMatrix([long - 1, short - 1]), axes));
}

/** Turn first, as far as brings one direction back to where it was, then stretch: the difference from I has rank 1. */
function onePair(long, short, stretch, axes) {
  const along = Math.sqrt((short ** -2 - 1) / (short ** -2 - long ** -2));    // |x| = 1 and |x stretch^-1| = 1
  const still = apply([along, Math.sqrt(1 - along * along)], axes);
  const back = apply([along / long, Math.sqrt(1 - along * along) / short], axes);
  const turn = rotationMatrix(angleBetween(still, back));
  const reads = [-still[1], still[0]];
  const writes = apply(reads, minus(times(turn, stretch), IDENTITY));
  const size = Math.sqrt(Math.hypot(...writes));
  return { rank: 1, a: reads.map((v) => v * size), b: writes.map((v) => v / size) };
}

const LONG = 1.5;                      // length of a where any would do: off the circle, so that handles lie apart
function twoPairs(a, b) {
  const [a_1, a_2] = a.map((row) => row.map((v) => v * LONG)), [b_1, b_2] = b.map((row) => row.map((v) => v / LONG));
  return { rank: 2, a: a_1, b: b_1, a_2, b_2 };
}

// ---------------------------------------------------------------- places of texts

const COMPASS = Array.from({ length: 8 }, (_, k) => unitVector(45 * k));

/** Middles for a text around a thing, in pixels, y down, sizes halved: the way asked for first, then further off. */
export function placesAround([x, y], [wide, tall], [right, down], gap, room = [0, 0]) {
  const ways = COMPASS.toSorted((p, q) => (q[0] - p[0]) * right + (q[1] - p[1]) * down);
  const out = (far) => ways.map(([dx, dy]) =>
    [x + dx * far + Math.round(dx) * (wide + room[0]), y + dy * far + Math.round(dy) * (tall + room[1])]);
  return [gap, gap + 16, gap + 32, gap + 48].flatMap(out);
}

/**
 * Where texts stand so that none lies on another or on an obstacle [left, top, right, bottom]; in pixels, inside a
 * square of half-width reach. Each of texts, { size: [half width, half height], places, must }, in turn takes the first
 * of its places that is free. Where none is, it is left out (null), or stands in the first if it must be there.
 */
export function arrange(texts, obstacles, reach) {
  const taken = [...obstacles];
  return texts.map(({ size: [wide, tall], places, must }) => {
    const moved = places.map(([x, y]) => [clamp(x, wide - reach, reach - wide), clamp(y, tall - reach, reach - tall)]);
    const box = ([x, y]) => [x - wide, y - tall, x + wide, y + tall];
    const free = (place) => {
      const [left, top, right, bottom] = box(place);
      return taken.every((b) => b[2] <= left || b[0] >= right || b[3] <= top || b[1] >= bottom);
    };
    const place = moved.find(free) ?? (must ? moved[0] : null);
    if (place) taken.push(box(place));
    return place;
  });
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
  if (turn == null) return "The probe x lands on the origin.";
  if (Math.abs(turn) < 0.05) return "The probe x keeps its direction.";
  if (Math.abs(turn) > 179.95) return "The probe x is reversed.";
  return `The probe x turns ${fmt(Math.abs(turn), 1)}° ${turn > 0 ? "counterclockwise" : "clockwise"}.`;
}

function diagonalWords(l) {
  const [first, second] = l.map(effect);
  if (first === second) {
    if (first === "left as it is") return "Both coordinates are left as they are: the identity, where IA³ starts.";
    if (first === "switched off") return "Both coordinates are switched off: every point lands on the origin.";
    if (first === "flipped") {
      return "Both coordinates are flipped: a half-turn, the one rotation besides none that a diagonal can make.";
    }
    return `Both coordinates are ${first}.`;
  }
  return `Coordinate 1 is ${first}, coordinate 2 is ${second}.`;
}

function lowRankWords(state, m) {
  const { half_axes: [long, short], area } = svd(m);
  if (norm(minus(m, [[1, 0], [0, 1]])) < 0.005) return "The update is zero: the identity, where LoRA starts.";
  if (long - short < 0.005 && near(long, 1)) {
    if (area < 0) return "A reflection: one pair a, b is enough for it.";
    return `A rotation by ${fmt(turnAngle([1, 0], m), 1)}°: no single pair a, b can make it.`;
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

/** How the game stands: the mismatch, the least that this method can reach, whether it matches, words, what is next. */
export function verdict(state) {
  const name = state.target, ia3 = state.mode === "ia3";
  if (name === "none") return { misfit: null, floor: null, match: false, text: PICK };
  const now = misfit(matrixOf(state), name);
  const floor = ia3 ? bestDiagonal(name).misfit : state.rank === 1 ? bestRankOne(name) : 0;
  const match = now < MATCH, reachable = floor < MATCH, closest = now - floor < 0.01;
  const whose = ia3 ? "any vector l" : `rank ${state.rank}`, why = WHY[ia3 ? name : "rank"] ?? WHY.tilted;
  const most = `The best ${whose} can do: ${percent(floor)}, the mark on the bar.`;
  if (match) return { misfit: now, floor, match, text: MATCHED[ia3 ? "ia3" : name] };
  if (!closest || reachable) {
    return { misfit: now, floor, match, text: `Missed: ${percent(now)} of the change. ${most}` };
  }
  const next = ia3 ? ["Try LoRA", { mode: "lora", rank: name === "rotation" ? 2 : 1 }] : ["Try rank 2", { rank: 2 }];
  const end = `As near as ${whose} comes: ${percent(floor)} stays out of reach. ${why}`;
  return { misfit: now, floor, match, text: end, next };
}

const PICK = "Pick a target, then make your ellipse cover it.";
const MATCHED = {
  ia3: "A match! The target is upright, and for upright ellipses two numbers are enough.",
  upright: "A match! LoRA gets there as well, with four numbers in place of two.",
  tilted: "A match! One pair a, b tilts the axes, which no vector l can do.",
  large: "A match! It took rank 2: with one pair, a line of points stays where it was.",
  rotation: "A match! Turning the whole plane takes rank 2.",
};
const WHY = {
  tilted: "A diagonal never tilts the axes. LoRA can.",
  rotation: "A diagonal turns single vectors, never the plane. LoRA of rank 2 can.",
  rank: "One pair leaves a line of points in place. Two need not.",
};

/** What can be dragged, and what the lines mean. */
function hintOf({ mode, target }) {
  const goal = { none: "", rotation: " Green: the F's goal." }[target] ?? " Green: the goal.";
  return `Drag ${mode === "lora" ? "a vector" : "l₁, l₂"} or the probe x. Dashed: before. Solid: after.${goal}`;
}

function formulaOf(state) {
  if (state.mode === "ia3") return `x′ = l ⊙ x = (${fmt(state.l_1)} x₁, ${fmt(state.l_2)} x₂)`;
  return state.rank === 2 ? "x′ = x + (x·a) b + (x·a₂) b₂" : "x′ = x + (x·a) b";
}

/** All numbers of the drawing as tables: [caption, heads, rows]. */
export function tablesOf(state) {
  const m = matrixOf(state), { half_axes, angle, area } = svd(m), x = unitVector(state.probe), y = apply(x, m);
  const plane = ["", "coordinate 1", "coordinate 2"], numbers = (row) => row.map((value) => fmt(value));
  const turned = (more) => (angle == null ? "any" : `${fmt(angle + more, 1)}°`);
  const polar = (v) => {
    const size = Math.hypot(...v), toward = size < 1e-9 ? "none" : `${fmt(Math.atan2(v[1], v[0]) * DEGREES, 1)}°`;
    return [...numbers(v), fmt(size), toward];
  };
  const vectors = (state.rank === 2 ? ["a", "b", "a_2", "b_2"] : ["a", "b"])
    .map((key) => [key.replace("_2", "₂"), ...numbers(state[key])]);
  const tables = [
    ["Matrix M, x′ = x M", plane, m.map((row, i) => [`row ${i + 1}`, ...numbers(row)])],
    [`Ellipse, area factor ${fmt(area)}`, ["half-axis", "length", "direction"],
      [["long", fmt(half_axes[0]), turned(0)], ["short", fmt(half_axes[1]), turned(angle > 0 ? -90 : 90)]]],
    ["Probe", [...plane, "length", "direction"], [["x", ...polar(x)], ["x′", ...polar(y)]]],
  ];
  return state.mode === "lora" ? [...tables, ["LoRA", plane, vectors]] : tables;
}

/** What the button "Show me" sets: the nearest l, or a LoRA update that reaches the target. */
export function answer(state) {
  if (state.mode === "lora") return loraSolution(state.target);
  const [l_1, l_2] = bestDiagonal(state.target).l;
  return { l_1: snap(l_1, 0.001), l_2: snap(l_2, 0.001) };
}
