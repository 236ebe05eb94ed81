// The attention head without a page: its mathematics, where its arcs run, and what is said about it.

/** Rescale every row of x entry by entry: x @ diag(l). */
export function rescale(x, l) {
  return x.map((row) => row.map((value, i) => value * l[i]));
}

/** Positive numbers that sum to 1; the largest score is subtracted first, so that no exponential overflows. */
export function softmax(scores) {
  const top = Math.max(...scores), powers = scores.map((score) => Math.exp(score - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** out = softmax(q @ k.T / sqrt(d_head)) @ v, for one head. */
export function attention(q, k, v) {
  const root = Math.sqrt(q[0].length);
  const weights = q.map((query) => softmax(k.map((key) => dot(query, key) / root)));
  const out = weights.map((row) => v[0].map((_, j) => row.reduce((sum, w, i) => sum + w * v[i][j], 0)));
  return { weights, out };
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** The same head with its keys rescaled by l_k and its values by l_v. */
export function rescaledAttention(q, k, v, l_k, l_v) {
  return attention(q, rescale(k, l_k), rescale(v, l_v));
}

/** What one entry does to its feature, by its sign and its size. */
export function regime(value) {
  if (value === 1) return "unchanged";
  if (value === 0) return "off";
  const size = Math.abs(value), loudness = size > 1 ? "amplified" : "inhibited";
  if (value > 0) return loudness;
  return size === 1 ? "flipped" : `flipped and ${loudness}`;
}

/** "noun flipped"; a count of several. */
function changes(l, names) {
  const changed = l.flatMap((value, i) => (value === 1 ? [] : [`${names[i]} ${regime(value)}`]));
  return changed.length > 1 ? `${changed.length} of ${l.length} features rescaled` : changed[0];
}

function aboutKeys(l_k, names) {
  const c = l_k[0];
  if (l_k.every((value) => value === 1)) return "l_k is all ones, so every arc is the base model\u2019s.";
  if (!l_k.every((value) => value === c)) return `Keys: ${changes(l_k, names)}.`;
  if (c === 0) return "l_k is all zeros: every score is 0, so every token looks at all tokens alike.";
  if (c < 0) return `Every entry of l_k is ${fmt(c, 1)}: every ranking is turned around.`;
  return `Every entry of l_k is ${fmt(c, 1)}: softmax at temperature ${fmt(1 / c)}, ${c > 1 ? "sharper" : "flatter"}.`;
}


function aboutWeights({ tokens, query }, now, base) {
  const moved = now.map((w, j) => Math.abs(w - base[j])), most = moved.indexOf(Math.max(...moved));
  if (moved[most] >= 0.005) {
    const way = now[most] > base[most] ? "up" : "down";
    const share = `${fmt(now[most])} of its attention, ${way} from ${fmt(base[most])}`;
    return `${quoted(tokens[query])} gives ${quoted(tokens[most])} ${share}.`;
  }
  const top = now.indexOf(Math.max(...now));
  return `${quoted(tokens[query])} looks most at ${quoted(tokens[top])} (${fmt(now[top])}).`;
}

/** What rescaled values make of the query's output: the feature that changes most. */
function aboutValues({ tokens, query, l_v, v_names }, out, before) {
  if (l_v.every((value) => value === 1)) return "";
  const moved = out.map((value, i) => Math.abs(value - before[i])), most = moved.indexOf(Math.max(...moved));
  const had = `${fmt(out[most])} of ${quoted(v_names[most])}, where it had ${fmt(before[most])}`;
  return ` Values: ${changes(l_v, v_names)}. The output of ${quoted(tokens[query])} has ${had}.`;
}

/** The sentence under the controls. state holds the traits; now and base the query's rows: { weights, out }. */
export function describe(state, now, base) {
  const weights = aboutWeights(state, now.weights, base.weights);
  return `${aboutKeys(state.l_k, state.k_names)} ${weights}${aboutValues(state, now.out, base.out)}`;
}

/** The outline of an arc of thickness w and height h from x = a to x = b, both on the line y = 0, upward. */
function ribbon(a, b, w, h) {
  const way = Math.sign(b - a), r = Math.abs(b - a) / 2, [over, back] = way > 0 ? [1, 0] : [0, 1];
  const [out, into] = [(way * w) / 2, (-way * w) / 2];
  return `M${a - out} 0A${r + w / 2} ${h + w / 2} 0 0 ${over} ${b + out} 0` +
    `H${b + into}A${r - w / 2} ${h - w / 2} 0 0 ${back} ${a - into} 0Z`;
}

/** The outline of a loop on the line y = 0 that returns to where it began: a ring, half as thick at either side. */
function loop(x, w) {
  const ring = (r) => `M${x} ${-8 - w / 4 + r}a${r} ${r} 0 1 1 0 ${-2 * r}a${r} ${r} 0 1 1 0 ${2 * r}Z`;
  return ring(8 + w / 4) + ring(8 - w / 4);
}

/**
 * An arc from one word to each word at places, as thick as its weight times full. They leave side by side, as wide
 * together as one whole: near words at the outside and below, far ones further in and above, so that no two cross.
 */
export function arcs(weights, from, places, full) {
  const all = [...weights.keys()], leaving = [...all.slice(0, from).reverse(), from, ...all.slice(from + 1).reverse()];
  const found = [];
  let x = places[from] - full / 2;
  for (const to of leaving) {
    const between = weights.slice(Math.min(from, to) + 1, Math.max(from, to)), w = weights[to] * full;
    const height = between.reduce((sum, weight) => sum + 9 + weight * full, 14 + w / 2);
    found[to] = to === from ? loop(x + w / 2, w) : ribbon(x + w / 2, places[to], w, height);
    x += w;
  }
  return found;
}
