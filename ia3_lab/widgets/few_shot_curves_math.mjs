// The few-shot curves without a page: statistics of the draws, where marks stand, and what is said about them.

/** Mean and 95% interval of at least two draws: { mean, low, high }. quantiles: number of draws -> Student's t. */
export function interval(values, quantiles) {
  const n = values.length;
  const mean = values.reduce((total, value) => total + value, 0) / n;
  const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / (n - 1);
  const half = quantiles[n] * Math.sqrt(variance / n);
  return { mean, low: mean - half, high: mean + half };
}

/** The differences of two methods on the same draws. */
export const paired = (one, other) => one.map((value, draw) => value - other[draw]);

/** The k of a list that is nearest to the wanted one, counted in doublings; the smaller of two as near. */
export function nearestK(ks, wanted) {
  const far = (k) => Math.abs(Math.log2(k / wanted));
  return ks.reduce((best, k) => (far(k) < far(best) ? k : best));
}

/** The state without contradictions: a task and a reference that exist, a k that the task has, methods in order. */
export function settle(state) {
  const { methods, chance, accuracies } = state;
  const tasks = Object.keys(chance).map((name) => ({ name, chance: chance[name] }));
  const task = tasks.find(({ name }) => name === state.task) ?? tasks[0];
  const ks = Object.keys(accuracies[task.name]).map(Number);
  ks.sort((a, b) => a - b);
  const reference = methods.find(({ name }) => name === state.reference) ?? methods[0];
  const shown = methods.filter(({ name }) => state.shown_methods.includes(name));
  const draws = Object.values(accuracies[task.name][ks[0]])[0].length;
  return { ...state, task, ks, k: nearestK(ks, state.k), reference, shown, draws };
}

/** The numbers on show, a row for each mark: { method, k, mean, low, high, values }. As FewShotCurves.rows(). */
export function rowsOf(state) {
  const { task, ks, k, view, reference, shown, accuracies, quantiles } = settle(state);
  const cells = accuracies[task.name];
  const methods = view === "paired" ? shown.filter(({ name }) => name !== reference.name) : shown;
  const row = (name, size) => {
    const values = view === "paired" ? paired(cells[k][reference.name], cells[k][name]) : cells[size][name];
    return { method: name, k: size, ...interval(values, quantiles), values };
  };
  return methods.flatMap(({ name }) => (view === "curve" ? ks : [k]).map((size) => row(name, size)));
}

/** Which way an interval lies: 1 above 0, -1 below, 0 when it holds 0. */
export const side = ({ low, high }) => (low > 0 ? 1 : high < 0 ? -1 : 0);

/** Whether an interval runs past the axis: only accuracies can, whose axis ends at 0 and 1. */
export const cutOff = ({ low, high }, view) => view !== "paired" && (low < 0 || high > 1);

/** The ends of the axis: all intervals and what else must be in sight, in tenths; accuracies never past 0 and 1. */
export function valueRange(rows, view, more = []) {
  const values = [...rows.flatMap((row) => [row.low, row.high, ...(row.values ?? [])]), ...more];
  if (view === "paired") {
    const reach = Math.max(0.05, ...values.map(Math.abs));
    return [Math.min(-0.02, ...values) - 0.06 * reach, Math.max(0.02, ...values) + 0.06 * reach];
  }
  const low = Math.floor(10 * Math.min(0.9, ...values) + 1e-9) / 10;
  const high = Math.ceil(10 * Math.max(...values, low + 0.1) - 1e-9) / 10;
  return [clamp(low, 0, 1), clamp(high, 0, 1)];
}

/** Round ticks from low to high, about count of them: steps of 1, 2 or 5 times a power of ten. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => snap((first + i) * step, step));
}

/** The short bars at the ends of an interval; an end that the axis cuts off has none. at(value) -> path of one. */
export function caps({ low, high }, [least, most], at) {
  return [low, high]
    .filter((end) => end >= least && end <= most)
    .map(at)
    .join("");
}

/** What maps one interval, linearly, to another; values outside to its ends. */
export const linear =
  ([low, high], [from, to]) =>
  (value) =>
    from + ((to - from) * (clamp(value, low, high) - low)) / (high - low);

/** Where numbers of parameters stand on a logarithmic axis, from 0 to 1: 0 parameters at its left, before a gap. */
export function parameterAxis(counts) {
  const some = counts.filter((count) => count > 0);
  const zero = some.length < counts.length;
  const low = Math.log10(Math.min(...some, 1e9));
  const high = Math.max(low + 1, Math.log10(Math.max(...some, 1)));
  const start = zero ? 0.2 : 0.04;
  const along = (count) => start + ((0.96 - start) * (Math.log10(count) - low)) / (high - low);
  const place = (count) => (count === 0 ? 0.05 : along(count));
  const first = Math.ceil(low - 1e-9);
  const powers = Array.from({ length: Math.floor(high + 1e-9) - first + 1 }, (_, i) => 10 ** (first + i));
  const marks = [...(zero ? [0] : []), ...powers].map((count) => [count, place(count)]);
  return { marks, places: counts.map(place), zero };
}

/** Marks whose places nearly coincide stand side by side: how far mark i is moved, in pixels. */
export function beside(places, i) {
  const near = places.map((_, j) => j).filter((j) => Math.abs(places[j] - places[i]) < 0.012);
  return 12 * (near.indexOf(i) - (near.length - 1) / 2);
}

const GAP = 17; // between two labels, from line to line
/** Positions as near as can be to the wanted ones, in their order, at least a gap apart and from low to high. */
export function spread(wanted, gap, low, high) {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b] || a - b);
  const blocks = []; // of neighbors that touch: where the first one stands less its rank's gaps, and how many they are
  order.forEach((i, rank) => {
    let block = { start: wanted[i] - rank * gap, n: 1 };
    while (blocks.length && blocks.at(-1).start > block.start) {
      const { start, n } = blocks.pop();
      block = { start: (start * n + block.start * block.n) / (n + block.n), n: n + block.n };
    }
    blocks.push(block);
  });
  const starts = blocks.flatMap(({ start, n }) => Array(n).fill(clamp(start, low, high - gap * (order.length - 1))));
  const found = [];
  order.forEach((i, rank) => (found[i] = starts[rank] + rank * gap));
  return found;
}

/**
 * Where the labels of marks { x, y, top, bottom, wide } begin, each { x, y }: to the right of its mark. Marks whose
 * labels might meet each other or an interval, from top to bottom, share a column right of them all.
 */
export function besideMarks(marks, low, high) {
  const reach = (GAP * (marks.length + 2)) / 2; // to where a label can be pushed
  let groups = [];
  for (const mark of [...marks].sort((a, b) => a.x - b.x)) {
    const near = ({ y }) => mark.top < y + reach && mark.bottom > y - reach;
    const meets = (group) => mark.x - group.at(-1).x < 28 + Math.max(...group.map(({ wide }) => wide));
    const met = groups.filter((group) => meets(group) && group.some(near));
    groups = [...groups.filter((group) => !met.includes(group)), [...met.flat(), mark]];
  }
  const found = new Map();
  for (const group of groups) {
    const wanted = group.map(({ y }) => y);
    spread(wanted, GAP, low, high).forEach((y, i) => found.set(group[i], { x: group.at(-1).x + 14, y }));
  }
  return marks.map((mark) => found.get(mark));
}

/** 10000 -> "10 k". */
export function shortCount(count) {
  const units = [
    [" B", 1e9],
    [" M", 1e6],
    [" k", 1e3],
    ["", 1],
  ];
  const [unit, size] = units.find(([, least]) => count >= least) ?? ["", 1];
  return `${Number((count / size).toPrecision(3))}${unit}`;
}

/**
 * Where the reading cursor goes from mark at. marks: { column, value }. On a grid of curves left and right change the
 * column and stay on the curve, up and down go to the next value in the column; elsewhere keys step through the marks.
 */
export function nextMark(marks, at, dx, dy, layout) {
  if (layout === "line") return clamp(at + dx + dy, 0, marks.length - 1);
  if (layout === "rows") return clamp(at + dx - dy, 0, marks.length - 1);
  const step = (list, by) => list[clamp(list.indexOf(at) + by, 0, list.length - 1)];
  const alike = (key) => marks.map((_, i) => i).filter((i) => marks[i][key] === marks[at][key]);
  if (dx) return step(alike("method"), dx);
  return step(
    alike("column").sort((a, b) => marks[a].value - marks[b].value || a - b),
    dy,
  );
}

/**
 * Three digits as Python writes them: the dust of binary sums removed first, exact halves to the even digit. A number
 * that would round to 0.000 without being 0 gets digits up to its first: whether an interval excludes 0 must show.
 */
export function digits(value) {
  const clean = Number(Math.abs(value).toFixed(10));
  if (clean > 0 && Number(clean.toFixed(3)) === 0) {
    let places = 4;
    while (Number(clean.toFixed(places)) === 0) places++;
    return fmt(value, places);
  }
  const half = (clean * 16) % 2 === 1;
  const kept = half ? (2 * Math.round(clean * 500)) / 1000 : clean;
  return fmt(value < 0 ? -kept : kept, 3);
}

const so = (row) => `it is ${["lower", "too close to call", "higher"][side(row) + 1]}`;
const labelOf = (methods, row) => methods.find(({ name }) => name === row.method).label;
const ends = (row) => `95% interval ${digits(row.low)} to ${digits(row.high)}`;

/** The live sentence while the cursor rests: at one k, how far the means lie apart, and what pairing the draws says. */
export function describe(state) {
  const { task, k, view, reference, shown, draws, methods } = settle(state);
  if (!shown.length) return "Choose at least one method.";
  const others = rowsOf({ ...state, view: "paired" });
  const where = `${task.name}, k = ${k}.`;
  const told = others.length ? ` On the same ${draws} draws, ${sides(others, reference, methods)}.` : "";
  if (view === "paired") return told ? where + told : `Choose a method to compare with ${reference.label}.`;
  const means = rowsOf({ ...state, view: "parameters" }).sort((a, b) => a.mean - b.mean);
  const name = (row) => `${digits(row.mean)} (${labelOf(methods, row)})`;
  const [low, high] = [means[0], means.at(-1)];
  const range = means.length > 1 ? `Means from ${name(low)} to ${name(high)}` : `Mean ${name(low)}, ${ends(low)}`;
  return `${where} ${range}.${told}`;
}

/** Which methods the reference lies above and below, and which are too close to call: a name, or how many. */
function sides(rows, reference, methods) {
  const group = (way) => {
    const found = rows.filter((row) => side(row) === way);
    return found.length > 1 ? `${found.length} methods` : found.map((row) => labelOf(methods, row)).join("");
  };
  const [above, level, below] = [group(1), group(0), group(-1)];
  if (!above && !below) return `no 95% interval excludes 0, so no difference from ${reference.label} is established`;
  const said = [above && `above ${above}`, below && `below ${below}`].filter(Boolean).join(", but ");
  return `95% intervals put ${reference.label} ${said}${level && `. Too close to call: ${level}`}`;
}

/** The live sentence while the cursor is on a row: its numbers, and its difference to the reference or its neighbor. */
export function reading(state, row) {
  const { task, view, reference, shown, methods, accuracies, quantiles } = settle(state);
  const { label, parameters } = methods.find(({ name }) => name === row.method);
  if (view === "paired") {
    const won = row.values.filter((value) => value > 0).length;
    const tied = row.values.filter((value) => value === 0).length;
    const tally = `higher on ${won} of ${row.values.length} draws${tied ? `, equal on ${tied}` : ""}`;
    const told = `${reference.label} minus ${label}, k = ${row.k}: ${digits(row.mean)}, ${ends(row)}`;
    return `${told}; ${tally}, so ${so(row)}.`;
  }
  const size = view === "parameters" ? `, ${fmtCount(parameters)} parameters` : "";
  const told = `${label}, k = ${row.k}${size}: mean ${digits(row.mean)}, ${ends(row)}.`;
  const cell = accuracies[task.name][row.k];
  const minus = ({ name }) => interval(paired(cell[row.method], cell[name]), quantiles);
  const gaps = shown.filter(({ name }) => name !== row.method).map((one) => ({ ...one, ...minus(one) }));
  const far = ({ mean }) => (mean < 0 ? 1 - mean : mean); // the nearest below, else the nearest above
  const next = row.method === reference.name ? gaps.sort((a, b) => far(a) - far(b))[0] : reference;
  if (!next) return told;
  const gap = minus(next);
  const range = `${digits(gap.mean)} (${digits(gap.low)} to ${digits(gap.high)})`;
  return `${told} Minus ${next.label}, on the same draws: ${range}, so ${so(gap)}.`;
}
