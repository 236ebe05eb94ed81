// The parameter calculator. Above: closed forms, equal to ia3_lab.counting. Below: the view, a function of the traits.

export const VECTORS = ["l_k", "l_v", "l_ff"];
export const MATRICES = ["W_q", "W_k", "W_v", "W_o", "W_1", "W_gate", "W_2"];
const FEED_FORWARD = ["l_ff", "W_1", "W_gate", "W_2"];
const BYTES = { float32: 4, float16: 2 };
const MAX_RANK = 64;
/** Sizes of one's own, and their least and largest values. */
const LIMITS = { d_model: [1, 100000], d_ff: [1, 100000], num_layers: [1, 1000], num_heads: [1, 1000],
  num_kv_heads: [1, 1000], num_decoder_layers: [0, 1000] };

/** How often a vector or a matrix stands in the model: a decoder block beside an encoder has two attentions. */
export function instances(sizes, role) {
  const blocks = sizes.num_layers + sizes.num_decoder_layers;
  return FEED_FORWARD.includes(role) ? blocks : blocks + sizes.num_decoder_layers;
}

/** Width of all key heads together. */
export function keyWidth(sizes) {
  return sizes.num_kv_heads * (sizes.d_head ?? sizes.d_model / sizes.num_heads);
}

/** [in, out] of a matrix. */
export function matrixShape(sizes, role) {
  const { d_model, d_ff, num_heads } = sizes, d_kv = keyWidth(sizes);
  const d_attn = num_heads * (sizes.d_head ?? d_model / num_heads);
  return { W_q: [d_model, d_attn], W_k: [d_model, d_kv], W_v: [d_model, d_kv], W_o: [d_attn, d_model],
    W_1: [d_model, d_ff], W_gate: [d_model, d_ff], W_2: [d_ff, d_model] }[role];
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

export function countIa3(sizes, vectors) {
  const learned = VECTORS.filter((role) => vectors.includes(role));
  return sum(learned.map((role) => (role === "l_ff" ? sizes.d_ff : keyWidth(sizes)) * instances(sizes, role)));
}

/** The chosen matrices once each, in their usual order. W_gate is left out where there is none. */
export function adapted(sizes, targets) {
  return MATRICES.filter((role) => targets.includes(role) && (role !== "W_gate" || sizes.gated_ffn));
}

export function countLora(sizes, rank, targets) {
  return sum(adapted(sizes, targets).map((role) => rank * sum(matrixShape(sizes, role)) * instances(sizes, role)));
}

export function countMatrices(sizes) {
  const entries = ([width_in, width_out]) => width_in * width_out;
  return sum(adapted(sizes, MATRICES).map((role) => entries(matrixShape(sizes, role)) * instances(sizes, role)));
}

/** What is wrong with custom sizes: { names, text }, or null. */
export function problemWith(sizes) {
  for (const [name, [least, most]] of Object.entries(LIMITS)) {
    const value = sizes[name];
    if (!Number.isInteger(value) || value < least || value > most) {
      const came = value == null || Number.isNaN(value) ? "nothing" : value;
      return { names: [name], text: `${name} must be a whole number from ${least} to ${fmtCount(most)}, got ${came}.` };
    }
  }
  for (const [large, small] of [["d_model", "num_heads"], ["num_heads", "num_kv_heads"]]) {
    if (sizes[large] % sizes[small]) {
      const text = `${large} must be a multiple of ${small}, got ${sizes[large]} and ${sizes[small]}.`;
      return { names: [large, small], text };
    }
  }
  return null;
}

/** The numbers on show; null where nothing is chosen. Same keys as ParameterCalculator.summary() in Python. */
export function summarize({ sizes, rank, targets, vectors, dtype }) {
  const numbers = { base: sizes.base_parameters ?? countMatrices(sizes) };
  for (const [name, total] of [["ia3", countIa3(sizes, vectors)], ["lora", countLora(sizes, rank, targets)]]) {
    const bytes = total * BYTES[dtype];
    Object.assign(numbers, total
      ? { [name]: total, [name + "_bytes"]: bytes, [name + "_per_gigabyte"]: Math.floor(1e9 / bytes) }
      : { [name]: null, [name + "_bytes"]: null, [name + "_per_gigabyte"]: null });
  }
  return { ...numbers, ratio: numbers.ia3 && numbers.lora ? numbers.lora / numbers.ia3 : null };
}

/** 2457600 -> "2.46 MB", with 1 MB = 10^6 bytes: style.format_bytes. */
export function formatBytes(count) {
  const rounded = Number(count.toPrecision(3)); // first, so that 999,999 becomes 1.00 MB and not 1000 kB
  for (const [unit, size] of [["TB", 1e12], ["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (rounded < size) continue;
    const value = rounded / size;
    return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;
  }
  return `${rounded} B`;
}

/** A share of the base model: "0.0091%". */
export function formatShare(share) {
  const percent = 100 * share;
  return `${percent.toFixed(percent < 1 ? 4 : percent < 10 ? 2 : 1)}%`;
}

/** The axis in powers of ten: 1 thousand to 100 billion, and wider when a number asks for it. */
export function axisRange(numbers) {
  const logs = numbers.filter((number) => number > 0).map(Math.log10);
  return [Math.min(3, Math.floor(Math.min(...logs))), Math.max(11, Math.ceil(Math.max(...logs)))];
}

/** Where a number stands on the axis, from 0 to 1. */
export function axisPosition(number, [low, high]) {
  return number > 0 ? clamp((Math.log10(number) - low) / (high - low), 0, 1) : 0;
}

/** What the bars would measure if IA³'s were one millimeter long: "11 meters". */
export function toScale({ ia3, base }) {
  const meters = base / ia3 / 1000;
  return meters < 1 ? `${Math.round(100 * meters)} centimeters` : `${fmt(meters, meters < 10 ? 1 : 0)} meters`;
}

/** The live sentence. */
export function describe({ name, rank, targets, sizes }, numbers) {
  const base = sizes.base_parameters ? "of the base model" : "of the blocks' matrices";
  if (!numbers.ia3) return "Choose at least one vector for IA³.";
  const share = formatShare(numbers.ia3 / numbers.base);
  const ia3 = `On ${name}, IA³ learns ${fmtCount(numbers.ia3)} parameters, ${share} ${base}.`;
  if (!numbers.lora) return `${ia3} Choose at least one matrix for LoRA.`;
  const there = adapted(sizes, targets).join(", ");
  const more = numbers.ratio === 1 ? "exactly as many" : numbers.ratio < 1
    ? `fewer than IA³, ${fmt(numbers.ratio, 2)} times its number`
    : `${fmt(numbers.ratio, numbers.ratio < 10 ? 2 : 1)} times as many`;
  return `${ia3} LoRA of rank ${rank} on ${there} learns ${fmtCount(numbers.lora)}: ${more}.`;
}

/** The presets as the list shows them: [[kind of model, names], ...], families together, each from small to large. */
export function families(presets) {
  const kinds = { encoders: [], decoders: [], both: [] };
  const size = (name) => presets[name].base_parameters, family = (name) => name.match(/[a-z]+/)[0];
  for (const name of Object.keys(presets).sort((one, other) => size(one) - size(other))) {
    kinds[presets[name].num_decoder_layers ? "both" : /bert/.test(name) ? "encoders" : "decoders"].push(name);
  }
  const first = (names, name) => names.findIndex((other) => family(other) === family(name));
  const inFamilies = (names) => [...names].sort((one, other) => first(names, one) - first(names, other));
  const label = (kind) => (kind === "both" ? "encoder and decoder" : kind);
  return Object.entries(kinds).map(([kind, names]) => [label(kind), inFamilies(names)]);
}

/** Where the numbers come from: a table for each adapter and the base, with a row for each vector or matrix. */
export function tablesOf({ sizes, rank, targets, vectors }) {
  const heads = ["", "shape", "how many", "parameters"];
  const line = (role, shape, total) => [role, shape.map(fmtCount).join(" \u00d7 "),
    fmtCount(instances(sizes, role)), fmtCount(total)];
  const learned = VECTORS.filter((role) => vectors.includes(role));
  const length = (role) => (role === "l_ff" ? sizes.d_ff : keyWidth(sizes));
  const shape = (role) => matrixShape(sizes, role);
  return [
    ["IA\u00b3", heads, learned.map((role) => line(role, [length(role)], countIa3(sizes, [role])))],
    [`LoRA of rank ${rank}: two thin matrices beside each of these`, heads,
      adapted(sizes, targets).map((role) => line(role, shape(role), countLora(sizes, rank, [role])))],
    ["the base's matrices, without embeddings", heads, adapted(sizes, MATRICES).map((role) =>
      line(role, shape(role), shape(role)[0] * shape(role)[1] * instances(sizes, role)))],
  ];
}

const POWERS = { 0: "1", 3: "1 k", 6: "1 M", 9: "1 B", 12: "1 T", 15: "1000 T" };
const UNIT = "parameters; each line is ten times the one before";
const NAMES = ["preset", "custom", "rank", "targets", "vectors", "dtype", "scale"];

/** Three bars, in powers of ten or to scale, in HTML so that the text keeps its size on a phone. */
function chart() {
  const bars = [["ia3", "IA³"], ["lora", "LoRA"], ["base", "base"]].map(([kind, label]) => {
    const name = h("span", { class: "pc-name" }, label), number = h("span", { class: "pc-number" });
    const fill = h("span", { class: `pc-fill pc-${kind} ia3-smooth` }), track = h("span", { class: "pc-track" }, fill);
    return { kind, name, fill, number, node: h("div", { class: "pc-bar" }, name, track, number) };
  });
  const ticks = h("div", { class: "pc-ticks" });
  const unit = h("p", { class: "pc-unit" });
  const node = h("div", { class: "pc-chart", role: "img" }, ...bars.map((bar) => bar.node),
    h("div", { class: "pc-axis" }, ticks, unit));
  const draw = (numbers, rank, custom, linear) => {
    const range = axisRange([numbers.ia3, numbers.lora, numbers.base]);
    const largest = Math.max(numbers.base, numbers.lora ?? 0);
    const place = (number) => (linear ? number / largest : axisPosition(number, range));
    for (const { kind, name, fill, number } of bars) {
      say(name, { ia3: "IA³", lora: `LoRA r=${rank}`, base: custom ? "matrices" : "base" }[kind]);
      fill.style.width = `${100 * place(numbers[kind])}%`;
      say(number, numbers[kind] ? fmtCount(numbers[kind]) : "\u2013");
    }
    const listing = bars.map(({ name, number }) => `${name.textContent}: ${number.textContent}`).join("; ");
    const millimeter = "if IA³'s bar were a millimeter long, the base's would be";
    const hair = numbers.ia3 ? `to scale: ${millimeter} ${toScale(numbers)}` : "";
    say(unit, linear ? hair : UNIT);
    set(node, "data-linear", linear);
    set(node, "aria-label", `Parameters ${linear ? hair : "on a logarithmic axis"}. ${listing}`);
    const powers = Object.keys(POWERS).map(Number).filter((power) => power >= range[0] && power <= range[1]);
    const marks = linear ? [] : powers;
    ticks.replaceChildren(...marks.map((power) =>
      h("span", { style: `left: ${100 * (power - range[0]) / (range[1] - range[0])}%` }, POWERS[power])));
    node.style.setProperty("--pc-decades", range[1] - range[0]);
  };
  return { node, draw };
}

/** The numbers behind the bars: a column for each adapter, so that the table fits a phone. */
function table() {
  const cells = { ia3: [], lora: [] }, kinds = Object.keys(cells);
  const rows = ["parameters", "", "size on disk", "adapters in 1 GB"].map((label) => {
    const head = h("th", { scope: "row" }, label), numbers = kinds.map(() => h("td", {}));
    kinds.forEach((kind, i) => cells[kind].push(numbers[i]));
    return h("tr", {}, head, ...numbers);
  });
  const share = rows[1].querySelector("th");
  const node = h("table", { class: "pc-table" }, h("caption", { class: "ia3-hidden" }, "Both adapters in numbers"),
    h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, "IA³"), h("th", { scope: "col" }, "LoRA"))),
    h("tbody", {}, ...rows));
  const draw = (numbers, custom) => {
    say(share, custom ? "share of the matrices" : "share of the base");
    for (const kind of kinds) {
      const total = numbers[kind];
      const texts = total ? [fmtCount(total), formatShare(total / numbers.base), formatBytes(numbers[kind + "_bytes"]),
        fmtCount(numbers[kind + "_per_gigabyte"])] : Array(4).fill("\u2013");
      texts.forEach((text, i) => say(cells[kind][i], text));
    }
  };
  return { node, draw };
}

/** One checkbox for each role; the trait keeps the roles in their usual order. */
function choices(model, trait, legend, roles) {
  const has = (role) => model.get(trait).includes(role);
  const boxes = roles.map((role) => checkbox({ label: role, read: () => has(role),
    write: (on) => update(model, { [trait]: roles.filter((other) => (other === role ? on : has(other))) }) }));
  const node = h("fieldset", { class: "pc-choices" }, h("legend", {}, legend), ...boxes.map((box) => box.node));
  return { node, boxes, draw: () => boxes.forEach((box) => box.draw()) };
}

/** Number fields for sizes of one's own. An empty or odd field is kept as it is, and the widget says what is wrong. */
function sizeFields(model, identity) {
  let edited = ""; // of two sizes that do not go together, the one that the hand is on is marked
  const change = (name, value) => {
    edited = name;
    update(model, { custom: { ...model.get("custom"), [name]: value } });
  };
  const fields = Object.entries(LIMITS).map(([name, [min, max]]) => {
    const input = h("input", { type: "number", inputmode: "numeric", min, max, step: 1, "aria-describedby": identity,
      oninput: () => change(name, input.value === "" ? null : Number(input.value)) });
    return { name, input, node: h("label", { class: "pc-size" }, h("span", {}, name), input) };
  });
  const gated = checkbox({ label: "gated feed-forward", read: () => model.get("custom").gated_ffn,
    write: (on) => change("gated_ffn", on) });
  const node = h("fieldset", { class: "pc-sizes" }, h("legend", {}, "Sizes"), ...fields.map((field) => field.node),
    gated.node);
  const draw = (problem) => {
    gated.draw();
    for (const { name, input } of fields) {
      const value = model.get("custom")[name], typed = input.value === "" ? null : Number(input.value);
      if (typed !== value) input.value = value ?? "";      // never rewrites what is being typed
      const wrong = problem?.names.includes(edited) ? edited : problem?.names.at(-1);
      set(input, "aria-invalid", name === wrong ? "true" : null);
    }
  };
  return { node, draw };
}

function render({ model, el }) {
  const root = frame(el, "calculator", "Parameter calculator",
    "Choose a model and a rank: how many numbers does each adapter train?", CHOICES);
  const start = readTraits(model, NAMES), presets = model.get("presets");
  const identity = unique("problem");
  const custom = () => model.get("preset") === "custom";
  const sizes = () => custom() ? model.get("custom") : presets[model.get("preset")];
  const choose = (preset) => {
    const { d_head, base_parameters, ...own } = sizes();     // "custom" begins at the model on show
    update(model, preset === "custom" && !custom() ? { preset, custom: own } : { preset });
  };
  const options = [["custom", "custom sizes \u2026"]];
  const chooser = dropdown({ label: "Model", options, read: () => model.get("preset"), write: choose });
  chooser.input.prepend(...families(presets).map(([label, names]) =>
    h("optgroup", { label }, ...names.map((name) => h("option", { value: name }, name)))));
  const rank = slider({ label: "Rank of LoRA", min: 1, max: MAX_RANK, step: 1, ...traitOf(model, "rank"),
    text: (value) => `r = ${value}` });
  const vectors = choices(model, "vectors", "IA³ learns", VECTORS);
  const targets = choices(model, "targets", "LoRA adapts", MATRICES);
  const dtype = segmented({ label: "A number takes", options: [["float32", "4 bytes"], ["float16", "2 bytes"]],
    ...traitOf(model, "dtype") });
  const scale = segmented({ label: "Bars", options: [["log", "powers of ten"], ["linear", "to scale"]],
    ...traitOf(model, "scale") });
  const fields = sizeFields(model, identity), bars = chart(), numbers = table(), spoken = liveRegion();
  let shown = null;                                          // the last state that makes a model
  const every = numberTables(() => (shown ? tablesOf(shown) : []));
  const wrong = h("p", { class: "pc-wrong", id: identity, role: "alert" });
  const scroll = h("div", { class: "pc-scroll", tabindex: 0, role: "group", "aria-label": "Table of both adapters" },
    numbers.node);
  const result = h("div", {}, bars.node, scroll);
  root.append(h("div", { class: "ia3-row" }, chooser.node, dtype.node, button("Reset", () => update(model, start))),
    fields.node, wrong, rank.node, vectors.node, targets.node, scale.node, result,
    ...spoken.nodes, every.node);

  const draw = () => {
    const now = sizes(), problem = custom() ? problemWith(now) : null;
    for (const control of [chooser, rank, vectors, targets, dtype, scale]) control.draw();
    fields.draw(problem);
    fields.node.hidden = !custom();
    const gate = targets.boxes[MATRICES.indexOf("W_gate")];
    gate.input.disabled = !now.gated_ffn;
    set(gate.node, "title", now.gated_ffn ? null : "this model's feed-forward network has no gate");
    wrong.hidden = !problem;
    set(result, "data-stale", Boolean(problem)); // the last counts stay, dimmed
    say(wrong, problem?.text ?? "");
    result.hidden = Boolean(problem) && !shown;
    if (problem) {
      const stale = "Shown are the counts of the last sizes that make a model.";
      return spoken.say(shown ? stale : "These sizes make no model.");
    }
    const state = shown = { sizes: now, ...readTraits(model, ["rank", "targets", "vectors", "dtype"]) };
    const found = summarize(state);
    bars.draw(found, state.rank, custom(), model.get("scale") === "linear");
    numbers.draw(found, custom());
    every.draw();
    spoken.say(describe({ ...state, name: custom() ? "these sizes" : model.get("preset") }, found));
  };
  return bind(model, NAMES, draw);
}

export default { render };
