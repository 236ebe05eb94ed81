// The volume knobs: tasks, twelve faders with their pictures, the sum, and cards of four ways to train the network.
// What is on show follows from the traits; mathematics and words stand in volume_knobs_math.mjs.

const SIZE = 64;                       // of the big picture, in cells
const SMALL = 32;
const GRID = makeGrid(SIZE);
const LOUD = 4;                        // the ends of a fader
const SECONDS = 4;                     // of a whole training
const NAMES = ["task", "dots", "seed", "volumes", "turned", "shown", "steps", "compact"];
const WAYS = {
  hand: ["By hand", "Twelve frozen pictures. 1: as loud as learned. 0: silent. Below 0: colors swapped."],
  ia3: ["IA³, last layer", "Training sets the volumes, the pictures stay. Turn one, and the mix is yours."],
  both: ["IA³, both layers", "16 more volumes on the layer before change what feeds the pictures: they change, too."],
  lora: ["LoRA, rank 1", "LoRA adds to the weights: the pictures are repainted. Shown are their weights in the sum."],
  full: ["Everything", "All weights are free: the pictures are repainted. Shown are their weights in the sum."],
};
const VOLUME_KEYS = "On a volume: arrows ± 0.25, with Shift ± 0.05, Page up and down ± 1, Home and End to the ends, "
  + "0 silent, 1 as it was. Or tap: a place on the scale to turn it there, a picture to mute it.";

// ---------------------------------------------------------------- painting

/** A canvas and what paints numbers from -1 to 1 on it: the weaker, the more of the page shines through. */
function painting(size, ends, attributes = { "aria-hidden": "true" }) {
  const node = h("canvas", { width: size, height: size, ...attributes });
  const context = node.getContext("2d");
  const image = context.createImageData(size, size);
  const cells = new Uint32Array(image.data.buffer);
  const bgr = ends.map((hex) => [5, 3, 1].reduce((sum, i) => sum * 256 + parseInt(hex.slice(i, i + 2), 16), 0));
  let last = [];
  /** Paint value(cell), unless what it depends on is as it was. */
  const paintValues = (value, ...sources) => {
    if (sources.length && sources.every((source, i) => source === last[i])) return;
    last = sources;
    for (let i = 0; i < cells.length; i++) {
      const v = value(i);
      cells[i] = bgr[v > 0 ? 1 : 0] + 0x1000000 * Math.min(255, Math.round(255 * Math.abs(v)));
    }
    context.putImageData(image, 0, 0);
  };
  return { node, paint: paintValues };
}

const soft = (value) => value / (1 + Math.abs(value));
/** Cell i of a small painting -> the cell of the grid. */
const PICK = Uint16Array.from({ length: SMALL * SMALL }, (_, i) =>
  2 * Math.floor(i / SMALL) * SIZE + 2 * (i % SMALL));
const goalOf = (truth) => (i) => (truth[PICK[i]] ? 0.9 : -0.9);

// ---------------------------------------------------------------- what is computed

/** Results by traits: the reader's mix at once, methods by training from the start, kept while the steps only grow. */
function laboratory(network) {
  const net = freeze(network);
  const pictures = paint(net, GRID).h_2;
  const [kept, truths, bests] = [{ key: "", runs: {}, made: {} }, {}, {}];
  const truth = (task) => (truths[task] ??= colors(task, GRID));
  const start = ({ task, dots, seed }) => {
    const key = [task, dots, seed].join();
    if (kept.key !== key) Object.assign(kept, { key, runs: {}, made: {}, data: drawDots(task, dots, seed) });
    return kept.data;
  };
  const assess = (state, e, made) => {
    const { x, y } = start(state);
    const dots = judge(e, state.task, x, y);
    const wrong = dots.z.map((z, i) => z > 0 !== y[i] > 0);
    return { e, ...judge(e, state.task, GRID, truth(state.task), made), own: dots.right, wrong };
  };
  const byHand = (state) => {
    const e = { ...net, l_2: Float64Array.from(state.volumes) };
    return assess(state, e, { h_2: pictures, z: mix(e, pictures) });
  };
  const method = (state, name) => {
    const data = start(state);
    if (kept.made[name]?.steps === state.steps) return kept.made[name];
    if (!(kept.runs[name]?.steps() <= state.steps)) {
      kept.runs[name] = trainer(net, name, data, network.rates[name], state.seed);
    }
    const run = kept.runs[name];
    while (run.steps() < state.steps) run.step();
    return (kept.made[name] = { ...assess(state, run.network()), steps: state.steps, count: run.count });
  };
  const silenced = ({ task, volumes, turned }) => {
    const e = { ...net, l_2: volumes.map((volume, i) => (i === turned - 1 ? 0 : volume)) };
    return judge(e, task, GRID, truth(task), { z: mix(e, pictures) }).right;
  };
  const best = (task) => (bests[task] ??= ceiling(network, task));
  /** The weight of each picture in the sum, 1 where it is the frozen one. */
  const volumes = ({ e }) => [...e.l_2].map((volume, i) => (volume * e.w[i]) / net.w[i]);
  return { truth, byHand, method, silenced, best, volumes, start };
}

// ---------------------------------------------------------------- parts

/** Radio buttons that show more than a word. rows: [[label, [value, ...]], ...]; face(value) -> nodes. */
function choices({ label, kind, rows, face, write }) {
  const name = unique("group");
  const inputs = {};
  const one = (value) => {
    inputs[value] = h("input", { type: "radio", name, value, onchange: () => write(value) });
    return h("label", { class: kind }, inputs[value], h("span", {}, ...face(value)));
  };
  const row = ([text, values]) =>
    h("div", { class: "vk-group" }, text && h("span", { class: "ia3-muted" }, text),
      h("div", { class: "vk-row" }, ...values.map(one)));
  const node = h("fieldset", { class: `${kind}s` }, h("legend", { class: "ia3-hidden" }, label), ...rows.map(row));
  return { node, draw: (value) => { for (const key of Object.keys(inputs)) inputs[key].checked = key === value; } };
}

/** One picture with its fader. turn(value) sets it, read() says how loud it is. */
function channel(i, name, colorPair, read, turn) {
  const thumb = painting(SMALL, colorPair);
  const mute = h("button", { type: "button", class: "vk-picture" }, thumb.node, h("b", {}, i + 1));
  const [fill, knob, text] = [h("i", { class: "vk-fill" }), h("i", { class: "vk-knob ia3-dot" }), h("output", {})];
  const track = h("div", { class: "vk-track", role: "slider", tabindex: 0, "aria-orientation": "vertical",
    "aria-label": `Volume of picture ${i + 1}, ${name}`, "aria-valuemin": -LOUD, "aria-valuemax": LOUD },
    ...[LOUD, 1, 0, -LOUD].map((value) =>
      h("i", { class: "vk-mark", style: `top: ${50 - (50 * value) / LOUD}%`, "data-value": value }, fmt(value, 0))),
    fill, knob);
  let [last, pulling] = [1, null];
  mute.addEventListener("click", () => {
    const now = read();
    if (now) last = now;
    turn(now ? 0 : last);
  });
  const held = (value) => [0, 1].find((stop) => Math.abs(value - stop) < 0.13) ?? snap(value, 0.1); // a pixel is 0.08
  const follow = (event) => {
    const box = track.getBoundingClientRect();
    turn(held(clamp((0.5 - (event.clientY - box.top) / box.height) * 2 * LOUD, -LOUD, LOUD)));
  };
  track.addEventListener("pointerdown", (event) => {
    const scrolls = event.pointerType === "touch" && event.target !== knob; // a finger beside a knob
    if (event.button || scrolls || track.ariaDisabled === "true") return;
    track.setPointerCapture((pulling = event.pointerId));
    track.focus({ preventScroll: true });
    event.preventDefault();
    follow(event);
  });
  track.addEventListener("click", (event) => track.ariaDisabled !== "true" && event.target !== knob && follow(event));
  track.addEventListener("pointermove", (event) => event.pointerId === pulling && follow(event));
  for (const end of ["pointerup", "pointercancel"]) track.addEventListener(end, () => { pulling = null; });
  const ways = ({ shiftKey, ctrlKey }) => {
    const by = (change) => clamp(snap(read() + change, 0.01), -LOUD, LOUD);
    const [louder, softer] = [1, -1].map((way) => by(way * (shiftKey ? 0.05 : 0.25)));
    const arrows = { ArrowUp: louder, ArrowRight: louder, ArrowDown: softer, ArrowLeft: softer };
    return { ...arrows, PageUp: by(1), PageDown: by(-1), Home: -LOUD, End: LOUD, ...(!ctrlKey && { 0: 0, 1: 1 }) };
  };
  onKeys(track, ways, (volume) => track.ariaDisabled !== "true" && turn(volume));
  const node = h("div", { class: "vk-channel" }, mute, track, text);
  const draw = (volume, pictures, locked) => {
    const [share, beyond] = [clamp(volume / LOUD, -1, 1), Math.abs(volume) > LOUD];
    const seen = Math.abs(volume) < 0.12 ? 0.12 : volume; // a silent picture can still be made out
    thumb.paint((cell) => soft(1.1 * seen * pictures[PICK[cell] * 12 + i]), pictures, seen);
    knob.style.top = `${50 - 50 * share}%`;
    fill.style.top = `${50 - 50 * Math.max(share, 0)}%`;
    fill.style.height = `${50 * Math.abs(share)}%`;
    set(fill, "data-swapped", volume < 0);
    say(text, fmt(volume, Math.abs(volume) < 10 ? 2 : 1) + (beyond ? (volume > 0 ? "↑" : "↓") : ""));
    const effect = volume === 0 ? ", silent" : volume < 0 ? ", colors swapped" : "";
    set(track, "aria-valuenow", clamp(volume, -LOUD, LOUD).toFixed(2));
    set(track, "aria-valuetext", fmt(volume) + effect);
    set(track, "aria-disabled", String(locked));
    set(mute, "disabled", locked);
    set(mute, "aria-pressed", String(volume === 0));
    set(mute, "aria-label", `Mute picture ${i + 1}, ${name}`);
  };
  return { node, mute, draw };
}

/** The sum with the dots over it, what is wanted, and the score. */
function stage(colorPair) {
  const field = painting(SIZE, colorPair, { role: "img" });
  const goal = painting(SMALL, colorPair);
  const kinds = ["missed", "halo", "orange", "blue", "hole"];
  const marks = Object.fromEntries(kinds.map((kind) => [kind, s("path", { class: `vk-${kind}` })]));
  const dots = s("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" }, ...Object.values(marks));
  const [score, least, own] = [h("b"), h("span"), h("span")];
  const node = h("div", { class: "vk-out" }, h("div", { class: "vk-stack" }, field.node, dots),
    h("div", { class: "vk-goal" }, goal.node, h("p", {}, score, " like this", h("br"), least, h("br"), own)));
  const draw = (result, data, truth, task) => {
    field.paint((i) => soft(1.6 * result.z[i]));
    goal.paint(goalOf(truth), truth);
    const path = (wanted) => [...data.y.keys()].filter(wanted).map((i) =>
      `M${(50 + 50 * data.x[2 * i]).toFixed(2)} ${(50 - 50 * data.x[2 * i + 1]).toFixed(2)}h0`).join("");
    const blue = path((i) => !data.y[i]);
    const [missed, halo, orange] = [(i) => result.wrong[i], () => true, (i) => data.y[i]].map(path);
    const d = { missed, halo, orange, blue, hole: blue };
    for (const kind of kinds) set(marks[kind], "d", d[kind] || null);
    set(dots, "data-many", data.y.length > 100);
    say(score, percent(result.right));
    const share = truth.reduce((sum, one) => sum + one, 0) / truth.length;
    say(least, `one color alone: ${percent(Math.max(share, 1 - share))}`);
    say(own, `${percent(result.own)} of the dots (ringed: wrong)`);
    set(field.node, "aria-label", `The sum of the pictures: ${percent(result.right)} of the ${task} right`);
  };
  return { node, draw };
}

/** The cards: whose picture is on show, and what it has right once it has been trained. */
function cards(colorPair, write) {
  const parts = {};
  const face = (name) => {
    const texts = { count: h("small"), right: h("b"), words: h("small") };
    const part = (parts[name] = { thumb: painting(SMALL, colorPair), ...texts, bar: h("i") });
    return [h("strong", {}, WAYS[name][0]), part.count, part.thumb.node, h("span", {}, part.right, " ", part.words),
      h("span", { class: "vk-meter", "aria-hidden": "true" }, part.bar)];
  };
  const rows = [["", Object.keys(WAYS)]];
  const { node, draw } = choices({ label: "Whose picture is shown above", kind: "vk-card", rows, face, write });
  const drawAll = (results, shown) => {
    draw(shown);
    for (const [name, part] of Object.entries(parts)) {
      if (part.result === results[name]) continue;
      part.result = results[name];
      part.thumb.paint((i) => soft(1.6 * part.result.z[PICK[i]]));
      say(part.count, `${results[name].count ?? 12} numbers`);
      const fresh = results[name].steps === 0;
      set(part.thumb.node, "data-fresh", fresh);
      say(part.right, fresh ? "" : percent(results[name].right));
      say(part.words, fresh ? "not trained yet" : "right");
      part.bar.style.width = fresh ? 0 : `${100 * results[name].right}%`;
    }
  };
  return { node, draw: drawAll };
}

/** Raise steps to 600 in a few seconds, however slow the machine; at once where motion is unwelcome. */
function player(model, put, redraw) {
  let last = 0;
  const run = animation(SECONDS, (part) => {
    if (model.get("steps") !== last) return false; // set from elsewhere
    put({ steps: (last = Math.round(part * STEPS)) });
  });
  const toggle = () => {
    const { steps, shown } = readTraits(model, ["steps", "shown"]);
    const playing = run.running();
    run.stop();
    if (playing) return redraw();
    last = motionIsUnwelcome() ? STEPS : steps < STEPS ? steps : 0;
    put({ steps: last, shown: shown === "hand" ? "ia3" : shown });
    if (last < STEPS) run.start(last / STEPS);
  };
  return { toggle, stop: run.stop, playing: run.running };
}

// ---------------------------------------------------------------- the widget

function render({ model, el }) {
  const todo = "Turn the volumes until every dot lies on its own color, or press Train.";
  const root = frame(el, "volume-knobs", "Volume knobs", todo, VOLUME_KEYS);
  const { names, hands, tasks: rowsOfTasks, ...network } = model.get("network");
  const [pair, start, lab] = [model.get("colors"), readTraits(model, NAMES), laboratory(network)];
  ["blue", "orange"].forEach((name, i) => root.style.setProperty(`--vk-${name}`, pair[i]));
  const ones = Array(12).fill(1);
  const put = (changes) => update(model, changes);
  const train = player(model, put, () => draw());
  const again = (changes) => {
    train.stop();
    put({ steps: 0, shown: "hand", turned: 0, volumes: ones, ...changes });
  };
  /** The volumes that a hand would turn: of training, where that is on show. */
  const mine = () => {
    const state = readTraits(model, NAMES);
    const found = () => lab.volumes(lab.method(state, "ia3")).map((volume) => snap(volume, 0.01));
    return state.shown === "ia3" ? found() : state.volumes;
  };
  const turn = (i, volume) => {
    train.stop();
    put({ volumes: mine().map((old, j) => (j === i ? volume : old)), turned: i + 1, shown: "hand" });
  };

  const face = (task) => {
    const goal = painting(SMALL, pair);
    goal.paint(goalOf(lab.truth(task)));
    return [goal.node, task];
  };
  const tasks = choices({ label: "What the network should learn", kind: "vk-task", rows: rowsOfTasks, face,
    write: (task) => again({ task }) });
  const channels = names.map((name, i) => channel(i, name, pair, () => mine()[i], (volume) => turn(i, volume)));
  const [out, pick, live] = [stage(pair), cards(pair, (shown) => put({ shown })), liveRegion()];
  const [note, plan] = [h("p", { class: "vk-note ia3-muted" }), h("p", { class: "vk-plan ia3-muted" })];
  const all = (volume) => () => {
    train.stop();
    put({ volumes: Array(12).fill(volume), shown: "hand", turned: 0 });
  };
  const go = button("", train.toggle, { class: "ia3-button vk-go" });
  const amount = segmented({ label: "from", options: [20, 50, 200].map((n) => [n, `${n} dots`]),
    read: () => model.get("dots"), write: (dots) => again({ dots, volumes: mine() }) });
  const other = button("Other dots", () => again({ seed: (model.get("seed") % 10000) + 1, volumes: mine() }));
  const reset = button("Reset", () => { train.stop(); put(start); });
  let seen = {};
  const table = numberTables(() => [
    [`Right after ${model.get("steps")} steps`, ["way", "numbers", "of the square", "of the dots"],
      Object.entries(seen.results).map(([name, { count, right, own }]) =>
        [WAYS[name][0], fmtCount(count ?? 12), percent(right), percent(own)])],
    ["Pictures", ["picture", "volume"], names.map((name, i) => [`${i + 1} ${name}`, fmt(seen.volumes[i])])],
  ]);
  root.append(
    tasks.node,
    h("div", { class: "vk-board" }, h("div", { class: "vk-mixer" }, ...channels.map((one) => one.node)), out.node,
      h("div", { class: "vk-tools" }, button("Silence all", all(0)), button("All at 1", all(1)), reset), note),
    h("div", { class: "vk-says" }, ...live.nodes),
    h("div", { class: "ia3-row" }, go, amount.node, other), plan,
    pick.node, table.node,
  );

  const speak = (state, results) => {
    const { hand } = results;
    if (state.shown === "hand") {
      const without = state.turned ? lab.silenced(state) : 0;
      return describeMix({ ...state, names, right: hand.right, without, hand: hands[state.task] });
    }
    if (!state.steps) return "Not trained yet: this is the frozen network, each picture at volume 1. Press Train.";
    if (state.steps < STEPS) {
      const share = percent((results[state.shown] ?? hand).right);
      return `Step ${state.steps} of ${STEPS}, from volumes of 1: ${share} of the ${state.task} is right so far.`;
    }
    const right = Object.fromEntries(Object.entries(results).map(([name, result]) => [name, result.right]));
    return verdict({ ...state, best: lab.best(state.task), right }).text;
  };
  const draw = () => {
    const state = readTraits(model, NAMES);
    const data = lab.start(state);
    const results = { hand: lab.byHand(state) };
    for (const name of state.compact ? ["ia3"] : Object.keys(WAYS).slice(1)) {
      results[name] = lab.method(state, name);
    }
    const on = results[state.shown] ?? results.hand;
    const volumes = lab.volumes(on);
    set(root, "data-compact", state.compact);
    tasks.draw(state.task);
    const hinted = state.shown === "hand" && on.right < 0.95 ? Object.keys(hands[state.task] ?? {}) : [];
    channels.forEach((one, c) => {
      one.draw(volumes[c], on.h_2, !["hand", "ia3"].includes(state.shown));
      set(one.mute, "data-hinted", hinted.includes(String(c + 1)));
    });
    out.draw(on, data, lab.truth(state.task), state.task);
    say(note, WAYS[state.shown][1]);
    const ways = state.compact ? " on the twelve volumes" : ", four ways from the same start: choose a card to see one";
    say(plan, `Train: ${STEPS} steps of gradient descent${ways}.`);
    if (!state.compact) pick.draw(results, state.shown);
    say(go, state.steps === STEPS ? "Train again" : train.playing() ? `Pause at ${state.steps}` : "Train");
    amount.draw();
    seen = { results, volumes };
    table.draw();
    live.say(speak(state, results));
  };
  const unbind = bind(model, NAMES, draw);
  return () => { train.stop(); unbind(); root.remove(); };
}

export default { render };
