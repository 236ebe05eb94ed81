// The adaptation dial's numbers and sentences: stored runs of a model at several t, and what lies between them.
// A story is one sentence; its attention is a flat array of bytes, 255 for 1, by t, layer, head, query and key.

const LEVELS = 255;

/** The maps of each story, one after the other: bytes for each of its values of t, layer, head, query and key. */
export function splitMaps(bytes, stories, [layers, heads]) {
  let start = 0;
  return stories.map(({ tokens, t }) => {
    const size = t.length * layers * heads * tokens.length ** 2;
    return bytes.subarray(start, (start += size));
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
  const size = maps.length / (grid.length * layers * heads);
  const n = Math.sqrt(size);
  const { i, share } = between(grid, t);
  const at = ((i * layers + layer) * heads + head) * size;
  const next = at + layers * heads * size;
  const weight = (k) => ((1 - share) * maps[at + k] + share * maps[next + k]) / LEVELS;
  return Array.from({ length: n }, (_, row) => Array.from({ length: n }, (_, column) => weight(row * n + column)));
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

/** "+0.39", "\u22120.12", "0.00". */
export const signed = (value) => (Number(value.toFixed(2)) > 0 ? "+" : "") + fmt(value);
/** A number without its leading zero, for a narrow cell; nothing where it rounds to 0.00. */
const short = (value, text = fmt) => (Math.abs(value) < 0.005 ? "" : text(value).replace("0.", "."));

/**
 * The sentence under the dial. first, now and last are the query's row at t = 0, now and t = 1; key is the column that
 * the reader points at, if any: else the one that changes most.
 */
export function describe({ t, label, probability, layer, head, tokens, query, key, first, now, last }) {
  const column = key ?? mostChanged(first, last);
  const compare = t === 0 ? `${fmt(last[column])} at t = 1` : `${fmt(first[column])} at t = 0`;
  const place = `In layer ${layer}, head ${head}, ${quoted(tokens[query])}`;
  const gives = `gives ${fmt(now[column])} of its attention to ${quoted(tokens[column])} (${compare})`;
  return `At t = ${fmt(t)}, P(${label}) = ${fmt(probability)}. ${place} ${gives}.`;
}

/** Whether the numbers shown at t come from a run of the model or lie between two. */
export function provenance(grid, t) {
  const { i, share } = between(grid, t);
  if (share === 0 || share === 1) return `t = ${fmt(t)} is a stored run of the model.`;
  const [from, to] = [grid[i], grid[i + 1]].map((value) => `t = ${Number(value.toFixed(4))}`);
  const start = `t = ${fmt(t)} lies between two stored runs: all numbers are interpolated linearly`;
  return `${start} from ${from} and ${to}.`;
}

/** What the model predicts, and whether that is right; short enough to stay on one line while t moves. */
export function verdict(labels, probability, truth) {
  const guess = labels[probability >= 0.5 ? 1 : 0];
  return `predicts ${guess}` + (truth ? (guess === truth ? " \u2713 right" : " \u2717 wrong") : "");
}

/** What a cell of the map holds. */
const readOut = (tokens, i, j, now, first) =>
  `${quoted(tokens[i])} to ${quoted(tokens[j])}: ${fmt(now)} (${fmt(first)} at t = 0, ${signed(now - first)})`;
