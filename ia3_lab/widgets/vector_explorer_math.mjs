// The vector explorer: what is stored, what can be chosen, where half of the entries lie, and what is said of it.
// What is counted and averaged comes from Python; single entries come in steps of a resolution.

const near = (number) => Number(number.toFixed(2));
const BINS = { low: -0.0125, width: 0.025, count: 81 };
const HIGH = BINS.low + BINS.width * BINS.count;
const KINDS = ["k", "v", "ff"];
const PART_NAMES = { "": "", encoder: "encoder", decoder: "decoder", cross: "cross-attention" };
const PARTS = Object.keys(PART_NAMES);
/** Of all entries, 99, 90 and 50 in 100 lie between the first and the last of these, and so on inward. */
const SHARES = [0.005, 0.05, 0.25, 0.75, 0.95, 0.995];

/** Below what value a share of the counted entries lies; what is beyond the bins is at their ends. */
export function quantile(counts, share) {
  let left = share * counts.reduce((sum, count) => sum + count, 0);
  const bin = counts.findIndex((count) => count > 0 && (left -= count) <= 0);
  return clamp(BINS.low + BINS.width * (bin + left / counts[bin]), BINS.low, HIGH);
}

/**
 * The models with the numbers of their vectors. counts are of the values below the bins, in each bin, and above; units
 * are the indices of the entries that are known, in rising order, values what they are, spread what SHARES lie below.
 */
export function readModels(models, bytes) {
  const numbers = new Int16Array(Uint8Array.from(bytes).buffer);
  let start = 0;
  const take = (size) => Array.from(numbers.subarray(start, (start += size)));
  const read = (vector, resolution) => {
    const counts = take(BINS.count + 2);
    const places = vector.known < vector.entries ? take(vector.known) : [...Array(vector.entries).keys()];
    const known = take(vector.known)
      .map((step, i) => [places[i], 1 + step * resolution])
      .sort(([a], [b]) => a - b);
    const spread = SHARES.map((share) => quantile(counts, share));
    return { ...vector, counts, spread, units: known.map(([unit]) => unit), values: known.map(([, value]) => value) };
  };
  return models.map((one) => ({ ...one, vectors: one.table.map((vector) => read(vector, one.resolution)) }));
}

/** Indices from the value farthest from 1 to the nearest; equal ones keep their order. */
export function farthestFirst(values) {
  return values.map((_, i) => i).sort((i, j) => Math.abs(values[j] - 1) - Math.abs(values[i] - 1) || i - j);
}

/** The layers of a model. */
export function layersOf({ vectors }) {
  return [...new Set(vectors.map(({ layer }) => layer))].sort((a, b) => a - b);
}

/** The vectors of one part and kind, by layer. */
function row({ vectors }, part, kind) {
  return vectors.filter((one) => one.part === part && one.kind === kind).sort((one, other) => one.layer - other.layer);
}

/** All rows of a model. */
export function rowsOf(set) {
  return PARTS.flatMap((part) => KINDS.map((kind) => row(set, part, kind))).filter(({ length }) => length);
}

/** The nearest layer; of two, the first. */
function nearest(vectors, layer) {
  const gap = (vector) => Math.abs(vector.layer - layer);
  return vectors.reduce((best, next) => (gap(next) < gap(best) ? next : best));
}

/** What can be chosen, and the vector that comes closest to what is asked for. */
export function choose(models, { model, part, kind, layer }) {
  const set = models.find(({ name }) => name === model) ?? models[0];
  const rows = rowsOf(set);
  const here = rows.some(([one]) => one.part === part) ? part : set.vectors[0].part;
  const there = rows.filter(([one]) => one.part === here);
  const alike = there.find(([one]) => one.kind === kind) ?? there.at(-1);
  const kinds = KINDS.filter((known) => rows.some(([one]) => one.kind === known));
  return { set, vector: nearest(alike, layer), alike, rows, kinds };
}

/** The other model's vector of the same kind: in the same part, or in its first, and in the nearest layer. */
export function partnerOf(other, { part, kind, layer }) {
  const alike = other ? other.vectors.filter((one) => one.kind === kind) : [];
  const here = alike.some((one) => one.part === part) ? part : alike[0]?.part;
  return alike.length ? nearest(row(other, here, kind), layer) : null;
}

/** Whether two vectors have the same place in their models. */
export const isBeside = (one, other) => ["part", "kind", "layer"].every((name) => one[name] === other?.[name]);

/** How far all entries of some vectors lie from 1, and how many lie beyond the strips' axis. */
export function pool(vectors) {
  const sum = (number) => vectors.reduce((total, one) => total + number(one), 0);
  const entries = sum((one) => one.entries);
  const rms = Math.sqrt(sum((one) => one.entries * one.rms ** 2) / entries);
  return { entries, rms, outside: sum((one) => one.outside_half) };
}

/** Lines of columns at least 24 and at most 110 wide, as equal as can be. */
export function arrange(layers, wide) {
  const lines = Math.ceil(layers / Math.max(1, Math.floor(wide / 24)));
  const columns = Math.ceil(layers / lines);
  return { lines, columns, column: Math.min(110, wide / columns) };
}

/** The lines of strips in a drawing so wide: one for each row; or, where that is too narrow, of one kind several. */
export function planOf(set, kind, width, above = 3, below = 3) {
  const layers = layersOf(set);
  const fit = (left, right) => ({ left, ...arrange(layers.length, width - left - right) });
  const flat = fit(40, 36);
  const plan = flat.lines === 1 ? flat : fit(30, 2);
  const folded = plan.lines > 1;
  const rows = rowsOf(set).filter(([one]) => !folded || one.kind === kind);
  const heads = rows.map(([one], i) => one.part && one.part !== rows[i - 1]?.[0].part && PART_NAMES[one.part]);
  const count = rows.length * plan.lines;
  const numbers = folded ? 17 * count : heads[0] ? 38 : 52; // where the layers' numbers stand
  const fixed = 20 * heads.filter(Boolean).length + numbers + (above + below) * count;
  return { ...plan, layers, folded, rows, heads, count, fixed, above, below };
}

/** The height that no choice exceeds, so that nothing below jumps. */
export function tallest(models, width) {
  const plans = models.flatMap((set) => KINDS.map((kind) => planOf(set, kind, width)));
  return Math.max(...plans.map(({ count, fixed }) => fixed + Math.max(270, 41 * count)));
}

/** Half a strip: to the left of x for side -1, to the right for 1; as broad as half where half of the entries lie. */
export function halfStrip({ spread }, x, half, side, y) {
  const [a, b, c, d, e, f] = spread.map((value) => near(y(value)));
  const [thin, middle, broad] = [0.2, 0.6, 1].map((part) => near(x + side * half * part));
  return `M${x} ${f}H${thin}V${e}H${middle}V${d}H${broad}V${c}H${middle}V${b}H${thin}V${a}H${x}z`;
}

/** Where among the known units the pointed one stands: the farthest from 1 for -1, else the nearest index. */
export function pointAt({ units }, order, unit) {
  if (unit < 0) return order[0];
  const far = units.map((other) => Math.abs(other - unit));
  return far.indexOf(Math.min(...far));
}

/** The smallest of 1, 2, 5, 10, 20, ... (times a power of ten) that is at least value. */
export function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  return [1, 2, 5, 10]
    .map((digit) => Number((digit * power).toPrecision(6)))
    .find((nice) => nice >= value * (1 - 1e-9));
}

/** Length of a bar from 0 to 1, when the longest may count top. */
export const reach = (count, top, log) => (log ? Math.log1p(count) / Math.log1p(top) : count / top);

const ENDINGS = ["th", "st", "nd", "rd"];
const ordinal = (n) => fmtCount(n) + (n % 100 > 10 && n % 100 < 14 ? "th" : (ENDINGS[n % 10] ?? "th"));
const rank = (n) => (n === 1 ? "farthest" : `${ordinal(n)} farthest`);
const signed = (value, digits) => `${value > 0 ? "+" : ""}${fmt(value, digits)}`;
const percent = (part, whole) => `${fmt((100 * part) / whole, 1)}%`;

/** "l_k, decoder". */
const rowName = ({ part, kind }) => [`l_${kind}`, PART_NAMES[part]].filter(Boolean).join(", ");

/** "l_k, decoder, layer 3". */
export const placeName = (vector) => `${rowName(vector)}, layer ${vector.layer}`;

/** The model's name, which says at every place that no model has these numbers. */
export const modelName = ({ name, simulated }) => name + (simulated ? " (simulated)" : "");

const some = (count) => (count ? fmtCount(count) : "none");
const figures = ({ near_one, entries, outside_half, negatives }) =>
  `${percent(near_one, entries)} within 0.2, ${some(outside_half)} beyond 0.5; ${some(negatives)} negative.`;

/** The sentence about the whole vector. */
export function describeVector(vector, simulated) {
  const start = `${simulated ? "Simulated: " : ""}${placeName(vector)}: ${fmtCount(vector.entries)} entries`;
  if (vector.rms === 0) return `${start}, all of them 1: nothing is rescaled.`;
  return `${start}. Rms deviation from 1: ${fmt(vector.rms, 3)}; ${figures(vector)}`;
}

/** The sentence about the layers beside it. */
export function describeRank(vector, alike) {
  const place = 1 + alike.filter(({ rms }) => rms > vector.rms).length;
  return alike.length > 1 ? `It moved ${rank(place)} of ${alike.length} layers.` : "";
}

/** The sentence about the same place in another model. */
export function describeOther(vector, other, partner) {
  if (!other) return "";
  const start = `Beside it ${quoted(other.name)}${other.simulated ? " (simulated)" : ""}`;
  if (!partner) return `${start}: no l_${vector.kind}.`;
  const where = isBeside(vector, partner) ? "" : `, ${placeName(partner)}`;
  const times = partner.rms / vector.rms;
  const much = Math.abs(times - 1) < 0.005 ? "as far" : `${fmt(times, times < 10 ? 2 : 0)} times as far`;
  const change = vector.rms ? ` (${signed(partner.rms - vector.rms, 3)}, ${much})` : "";
  return `${start}${where}: rms ${fmt(partner.rms, 3)}${change}; ${figures(partner)}`;
}

/** The sentence about the pointed entry. */
export function describeUnit(vector, order, i, num_heads) {
  const unit = vector.units[i];
  const value = vector.values[i];
  const size = num_heads && vector.kind !== "ff" ? vector.entries / num_heads : 0;
  const head = size ? ` It is place ${unit % size} of head ${Math.floor(unit / size)}.` : "";
  const far = `${rank(order.indexOf(i) + 1)} from 1`;
  return `Entry ${fmtCount(unit)}: ${fmt(value, 3)} (${signed(value - 1, 3)}), ${far}.${head}`;
}

/** How to read the strips, and how much of all vectors they do not show. */
export function stripsText({ set: chosen, other }) {
  const parts = "A strip is broad where half of the entries lie; with the middle part 90 in 100, with the thin one 99.";
  const [far, more] = [chosen, other].map((one) => one && pool(one.vectors));
  const count = ({ outside, entries }) => `${fmtCount(outside)} of ${fmtCount(entries)}`;
  const beyond = `Beyond 0.5 to 1.5 lie ${count(far)} entries${more ? `, of the other model ${count(more)}` : ""}.`;
  return `${parts} The tick: 1 + rms. ${beyond}`;
}

/** What the model is, and how exact what is drawn is; entries that are not known lie within band of 1. */
export function noteText({ note, resolution }, { counts, known, entries }, band) {
  const rest = `the other ${fmtCount(entries - known)} lie in the shaded band, within ${fmt(band, 3)} of 1.`;
  const farthest = known > 1 ? `the ${known} entries` : "the entry";
  const some = `Only a histogram and ${farthest} farthest from 1 are stored; ${rest}`;
  const exact = known < entries ? some : `Values are rounded to ${resolution}.`;
  const ends = `the entries below ${fmt(BINS.low, 4)} and above ${fmt(HIGH, 4)}.`;
  const beyond = counts[0] || counts.at(-1) ? ` The bars at the two ends of the histogram count ${ends}` : "";
  return `${note} ${exact}${beyond}`.trim();
}

/** The figures of all vectors: a table for each row of strips, and one for the other model's row beside it. */
export function tablesOf({ rows, set: chosen, other }) {
  const heads = ["layer", "rms", "within 0.2", "beyond 0.5", "negative"];
  const line = ({ layer, rms, near_one, entries, outside_half, negatives }) => [
    ...[String(layer), fmt(rms, 3), percent(near_one, entries)],
    ...[fmtCount(outside_half), fmtCount(negatives)],
  ];
  const both = rows.flatMap(([{ part, kind }]) => [chosen, other].map((one) => [one, one ? row(one, part, kind) : []]));
  const shown = both.filter(([, vectors]) => vectors.length);
  return shown.map(([one, vectors]) => [`${rowName(vectors[0])}: ${modelName(one)}`, heads, vectors.map(line)]);
}
