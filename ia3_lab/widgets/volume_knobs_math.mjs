// The volume knobs without a page: tasks and their dots, the network, four ways to train it, and what is said.
// h_1 = tanh(x U + b_U), h_2 = tanh(l_1 h_1 V + b_V), z = l_2 h_2 w + b_w: as in ia3_lab.pictures, orange where z > 0.

const mod = (value, m) => value - m * Math.floor(value / m);
/** Task -> the rule that says whether a point of the square is orange. The widget's order: known, near, far. */
const TASKS = {
  "disc": (x, y) => x * x + y * y < 0.36,
  "ring": (x, y) => x * x + y * y > 0.16 && x * x + y * y < 0.64,
  "check": (x, y) => x * y > 0,
  "band": (x) => Math.abs(x) < 1 / 3,
  "corner": (x, y) => x > 0 && y > 0,
  "half disc": (x, y) => x * x + y * y < 0.5625 && x > 0,
  "small disc": (x, y) => x * x + y * y < 0.2025,
  "bow tie": (x, y) => Math.abs(x) > Math.abs(y),
  "fine stripes": (x) => mod(3 * x + 0.5, 2) < 1,
  "slanted stripes": (x, y) => mod(1.5 * (x + y) + 0.5, 2) < 1,
  "spiral": (x, y) => Math.cos(Math.atan2(y, x) + 5 * Math.hypot(x, y)) > 0,
};
const STEPS = 600;

/** Numbers from 0 to 1, the same for the same seed everywhere (mulberry32). */
function uniform(seed) {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const filled = (n, make) => Float64Array.from({ length: n }, make);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** n points x, y, x, y, ... and their colors, 1 for orange; a draw with less than 15 % of one color is replaced. */
export function drawDots(task, n, seed) {
  const random = uniform(31 * seed + n);
  const x = filled(2 * n, () => random() * 2 - 1);
  const y = colors(task, x);
  const share = mean(y);
  return share > 0.15 && share < 0.85 ? { x, y } : drawDots(task, n, seed + 1000);
}

/** 1 where a task has orange, at points x. */
const colors = (task, x) => filled(x.length / 2, (_, i) => Number(TASKS[task](x[2 * i], x[2 * i + 1])));

/** The middles of a square's cells, row by row from the top left. */
function makeGrid(size) {
  const middle = (i) => ((i + 0.5) / size) * 2 - 1;
  return filled(2 * size * size, (_, i) => (i % 2 ? -middle(Math.floor(i / 2 / size)) : middle((i / 2) % size)));
}

/** The network's numbers in flat arrays, row by row; volumes and the output's bias as the frozen network has them. */
function freeze(network) {
  const flat = (name) => Float64Array.from(network[name].flat());
  const [b_U, b_V] = [flat("b_U"), flat("b_V")];
  const ones = { l_1: new Float64Array(b_U.length).fill(1), l_2: new Float64Array(b_V.length).fill(1) };
  return { U: flat("U"), b_U, V: flat("V"), b_V, w: flat("w"), b_w: new Float64Array(1), ...ones };
}

// ---------------------------------------------------------------- four ways to train it

const LORA = ["U", "V", "w"]; // W + A B, with rank 1: A one column, B one row
const TRAINED = { ia3: ["l_2"], both: ["l_1", "l_2"], full: ["U", "b_U", "V", "b_V", "w", "b_w"] };

/** What a method trains, as it starts. LoRA's A is random, its B is 0. */
function startOf(method, net, seed) {
  if (method !== "lora") return Object.fromEntries(TRAINED[method].map((name) => [name, net[name].slice()]));
  const random = uniform(7919 * seed + 13);
  const normal = () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return radius * Math.cos(2 * Math.PI * random());
  };
  const p = {};
  for (const name of LORA) {
    const rows = { U: 2, V: net.b_U.length, w: net.b_V.length }[name];
    p[`A_${name}`] = filled(rows, () => normal() / Math.sqrt(rows));
    p[`B_${name}`] = new Float64Array(net[name].length / rows);
  }
  return p;
}

/** The network with what was trained in place. */
function placed(net, p) {
  const e = { ...net, ...p };
  for (const name of LORA) {
    const [a, b] = [p[`A_${name}`], p[`B_${name}`]];
    if (a) e[name] = net[name].map((value, i) => value + a[Math.floor(i / b.length)] * b[i % b.length]);
  }
  return e;
}

const tanh = (value) => 1 - 2 / (Math.exp(2 * value) + 1); // half the time of Math.tanh

/** At points x: h_1 and h_2 before their volumes, and the output z. */
function paint(e, x) {
  const { U, b_U, V, b_V, l_1 } = e;
  const [n, m, k] = [x.length / 2, b_U.length, b_V.length];
  const [h_1, h_2, loud] = [new Float64Array(n * m), new Float64Array(n * k), new Float64Array(m)];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      const h = tanh(x[2 * i] * U[j] + x[2 * i + 1] * U[m + j] + b_U[j]);
      h_1[i * m + j] = h;
      loud[j] = h * l_1[j];
    }
    for (let c = 0; c < k; c++) {
      let u = b_V[c];
      for (let j = 0, q = c; j < m; j++, q += k) u += loud[j] * V[q];
      h_2[i * k + c] = tanh(u);
    }
  }
  return { h_1, h_2, z: mix(e, h_2) };
}

/** z from pictures that are there: all that turning a volume of the last layer costs. */
function mix({ l_2, w, b_w }, h_2, z = new Float64Array(h_2.length / w.length)) {
  for (let i = 0, q = 0; i < z.length; i++) {
    let sum = b_w[0];
    for (let c = 0; c < w.length; c++) sum += l_2[c] * w[c] * h_2[q++];
    z[i] = sum;
  }
  return z;
}

/** Mean cross-entropy on dots, and its derivative by each number of the network, or by l_2 alone. */
function slopes({ V, w, l_1, l_2 }, { x, y }, { h_1, h_2, z }, all) {
  const [n, m, k] = [y.length, l_1.length, l_2.length];
  const [dU, db_U, dV, db_V, dw, db_w, dl_1, dl_2, back] =
    [2 * m, m, m * k, k, k, 1, m, k, m].map((size) => new Float64Array(size));
  let loss = 0;
  for (let i = 0; i < n; i++) {
    loss += (Math.max(z[i], 0) - z[i] * y[i] + Math.log1p(Math.exp(-Math.abs(z[i])))) / n;
    const dz = (1 / (1 + Math.exp(-z[i])) - y[i]) / n;
    for (let c = 0; c < k; c++) dl_2[c] += dz * w[c] * h_2[i * k + c];
    if (!all) continue;
    db_w[0] += dz;
    back.fill(0);
    for (let c = 0; c < k; c++) {
      const h = h_2[i * k + c];
      dw[c] += dz * h * l_2[c];
      const du = dz * w[c] * l_2[c] * (1 - h * h);
      db_V[c] += du;
      for (let j = 0, q = c; j < m; j++, q += k) {
        dV[q] += du * h_1[i * m + j] * l_1[j];
        back[j] += du * V[q];
      }
    }
    for (let j = 0; j < m; j++) {
      const h = h_1[i * m + j];
      dl_1[j] += back[j] * h;
      const du = back[j] * l_1[j] * (1 - h * h);
      db_U[j] += du;
      dU[j] += du * x[2 * i];
      dU[m + j] += du * x[2 * i + 1];
    }
  }
  return { loss, g: { U: dU, b_U: db_U, V: dV, b_V: db_V, w: dw, b_w: db_w, l_1: dl_1, l_2: dl_2 } };
}

/** From the derivatives by the network to those by what a method trains. */
function pulled(g, p) {
  const own = {};
  for (const name of Object.keys(p)) if (name in g) own[name] = g[name];
  for (const name of LORA) {
    const [a, b] = [p[`A_${name}`], p[`B_${name}`]];
    if (!a) continue;
    own[`A_${name}`] = a.map((_, i) => b.reduce((sum, value, j) => sum + value * g[name][i * b.length + j], 0));
    own[`B_${name}`] = b.map((_, j) => a.reduce((sum, value, i) => sum + value * g[name][i * b.length + j], 0));
  }
  return own;
}

/** A method in training on dots: step() is one step of Adam and returns the loss before it. */
function trainer(net, method, dots, rate, seed) {
  const p = startOf(method, net, seed);
  const memory = Object.fromEntries(Object.keys(p).map((name) => [name, [0, 1].map(() => p[name].map(() => 0))]));
  let [t, kept, slope] = [0, null, {}];
  const step = () => {
    const e = placed(net, p);
    if (method !== "ia3" || !kept) kept = paint(e, dots.x);
    else mix(e, kept.h_2, kept.z); // the pictures stay as they are
    const { loss, g } = slopes(e, dots, kept, method !== "ia3");
    t += 1;
    slope = pulled(g, p);
    for (const [name, values] of Object.entries(slope)) {
      const [first, second] = memory[name];
      for (let i = 0; i < values.length; i++) {
        first[i] = 0.9 * first[i] + 0.1 * values[i];
        second[i] = 0.999 * second[i] + 0.001 * values[i] ** 2;
        const size = Math.sqrt(second[i] / (1 - 0.999 ** t)) + 1e-8;
        p[name][i] -= (rate * first[i]) / (1 - 0.9 ** t) / size;
      }
    }
    return loss;
  };
  const count = Object.values(p).reduce((sum, values) => sum + values.length, 0);
  return { p, step, count, steps: () => t, slope: () => slope, network: () => placed(net, p) };
}

/** A training as plain numbers: what it has made, its losses, its last slopes, the share of the square it has right. */
export function train(network, method, { task, dots, seed, steps }) {
  const run = trainer(freeze(network), method, drawDots(task, dots, seed), network.rates[method], seed);
  const plain = (p) => Object.fromEntries(Object.entries(p).map(([name, values]) => [name, [...values]]));
  const losses = Array.from({ length: steps }, run.step);
  const right = judge(run.network(), task, makeGrid(64)).right;
  return { p: plain(run.p), slope: plain(run.slope()), losses, count: run.count, right };
}

/** What a network says at points x, and the share of them that is as the task wants. */
function judge(e, task, x, y = colors(task, x), made = paint(e, x)) {
  let hits = 0;
  for (let i = 0; i < y.length; i++) hits += made.z[i] > 0 === y[i] > 0;
  return { ...made, right: hits / y.length };
}

/** The best that any volumes of the last layer do: trained on the whole square instead of a few dots. */
export function ceiling(network, task) {
  const x = makeGrid(32);
  const run = trainer(freeze(network), "ia3", { x, y: colors(task, x) }, 0.1, 0);
  for (let i = 0; i < STEPS; i++) run.step();
  return judge(run.network(), task, x).right;
}

// ---------------------------------------------------------------- words

const percent = (share) => `${Math.round(100 * share)}%`;
const number = (value) => `${value < 0 ? "−" : ""}${Number(Math.abs(value).toFixed(2))}`;

/** "Try this: silence all, then turn picture 3 to −2 and picture 7 to −1." */
function adviceOf(hand, lead = "Try this: silence all, then turn") {
  if (!hand) return "Can you mix it by hand? Or press Train.";
  const turns = Object.entries(hand).map(([picture, volume]) => `picture ${picture} to ${number(volume)}`);
  return `${lead} ${turns.join(", ").replace(/, (?=[^,]*$)/, " and ")}.`;
}

/** What training shows of a task. best: what 12 volumes reach at best; right: share of the square by method. */
export function verdict({ task, dots, best, right }) {
  const [few, all] = [percent(right.ia3), percent(right.full)];
  const alone = right.full === undefined;
  const got = `From ${dots} dots, 12 volumes get ${few} of the square${alone ? "" : ` and all 265 weights ${all}`}`;
  if (best >= 0.9) {
    const text = `In reach: the twelve pictures can be mixed into the ${task}.`;
    if (right.ia3 >= (right.full ?? 0.92) - 0.02) return { says: "in reach", text: `${text} ${got}.` };
    return { says: "too few to tell", text: `${text} ${got}: these dots are too few to find the mix.` };
  }
  const text = `Out of reach: no mix of these pictures makes the ${task}; the best has ${percent(best)}.`;
  if (alone) return { says: "out of reach", text: `${text} ${got}.` };
  if (right.full > right.ia3 + 0.02) {
    return { says: "out of reach", text: `${text} ${got}: they may repaint the pictures.` };
  }
  return { says: "too few to tell", text: `${text} ${got}: too few dots to tell the ways apart.` };
}

/** What is said of the reader's mix. right: its share; without: the same if the last turned picture were silent. */
export function describeMix({ task, volumes, turned, names, right, without, hand }) {
  const done = right >= 0.95 ? "That is IA³: fine-tuned with 12 numbers, and no weight touched." : adviceOf(hand);
  const alike = volumes.every((volume) => volume === volumes[0]);
  if (alike && volumes[0] === 1) {
    return `All pictures at once, each at volume 1: ${percent(right)} of the ${task} is right. ${done}`;
  }
  if (alike && volumes[0] === 0) return `Silence: nothing is orange. ${adviceOf(hand, "Now turn")}`;
  const mixed = `Your mix has ${percent(right)} of the ${task} right`;
  if (!turned) return `${mixed}. ${done}`;
  const volume = volumes[turned - 1];
  const how = volume === 0 ? "is silent" : `is at ${number(volume)}${volume < 0 ? ", its colors swapped" : ""}`;
  const change = volume === 0 ? "" : `; with this one silent, ${percent(without)}`;
  return `Picture ${turned}, ${names[turned - 1]}, ${how}. ${mixed}${change}. ${done}`;
}
