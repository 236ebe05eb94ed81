// The sentence dial: one slider from the frozen model to the adapted one, and what it makes of a sentence on the way.
// Every value of t that the slider can take is a stored run of the model: nothing lies between.

const NAMES = ["t", "story"];
const STEP = 0.05;
/** The words of a sentence, without the tokenizer's marks around it. */
const plain = (tokens) => tokens.slice(1, -1).join(" ");
const label = (p) => (p >= 0.5 ? "positive" : "negative");

/** What is shown at one value of t; key is the word whose share changes most between the ends. */
export function readDial({ stories }, { t, story }) {
  const { tokens, word, truth, probability, attention } = stories[story];
  const i = Math.round(t / STEP);
  const [first, last] = [attention[0], attention.at(-1)];
  const moved = first.map((share, j) => Math.abs(last[j] - share)).slice(1, -1); // of words, not of marks
  const key = 1 + moved.indexOf(Math.max(...moved));
  const flip = probability.findIndex((p) => label(p) !== label(probability[0]));
  return { tokens, word, truth, i, key, first, last, now: attention[i], p: probability[i], probability, flip };
}

/** The sentence under the dial: what the model says, whether that is right, and what changed on the way. */
export function describeDial({ tokens, word, truth, i, key, first, now, p, probability, flip }, numbers) {
  const end = probability.length - 1;
  const where = i === 0 ? "Frozen" : i === end ? "Adapted" : `${Math.round((100 * i) / end)}% of the way`;
  const verdict = label(p) === truth ? "right" : "wrong";
  const answer = `${where}, the model says ${label(p)} (${fmt(p)} for positive), which is ${verdict}.`;
  const look = `${quoted(tokens[word])} gives ${fmt(now[key])} of its attention to ${quoted(tokens[key])}`;
  if (i === 0) return `${answer} ${look}.`;
  const change = `${look}, ${fmt(first[key])} when frozen.`;
  if (i < end) return `${answer} ${change}`;
  const turned = flip < 0 ? "It never changed its mind" : `It changed its mind at ${Math.round((100 * flip) / end)}%`;
  const learned = `${fmtCount(numbers)} factors were learned`;
  return `${answer} ${change} ${turned}, and no weight of the encoder was touched: ${learned}.`;
}

/** The words as a list: the more attention one gets, the deeper its shade; its share stands below. */
function wordRow({ tokens, word }) {
  const words = tokens.slice(1, -1); // the tokenizer's marks around the sentence stay out of sight
  const shares = words.map(() => h("small"));
  const items = words.map((token, j) => h("li", { "data-from": j + 1 === word }, h("span", {}, token), shares[j]));
  const draw = (now) =>
    items.forEach((item, j) => {
      item.style.setProperty("--sd-share", now[j + 1].toFixed(3));
      say(shares[j], fmt(now[j + 1]));
    });
  return { node: h("ol", { class: "sd-words" }, ...items), draw };
}

/** From negative to positive: a needle over a track whose middle is where the answer flips. */
function gauge() {
  const [needle, number] = [h("i", {}), h("b", {})];
  const track = h("span", { class: "sd-track", "aria-hidden": "true" }, needle);
  const node = h("div", { class: "sd-gauge" }, h("span", {}, "negative"), track, h("span", {}, "positive"), number);
  const draw = (p) => {
    needle.style.left = `${100 * p}%`;
    say(number, fmt(p));
  };
  return { node, draw };
}

/** All numbers of a sentence: what its framed word looks at, and the answer at each stop. */
function tablesOf({ tokens, word, i, first, now, last, probability }) {
  const at = (k) => `${Math.round((100 * k) / (probability.length - 1))}%`;
  const shares = tokens.map((token, j) => [token, ...[first, now, last].map((row) => fmt(row[j]))]);
  return [
    [`What ${quoted(tokens[word])} looks at`, ["word", "frozen", at(i), "adapted"], shares.slice(1, -1)],
    ["P(positive)", ["dial", "P"], probability.map((p, k) => [at(k), fmt(p)])],
  ];
}

function render({ model, el }) {
  const data = model.get("data");
  const root = frame(el, "sentence-dial", "Fine-tune a sentence by hand",
    "Pull the slider from frozen to adapted and watch the model change its mind.", SLIDER_KEYS);
  const meter = gauge();
  const spoken = liveRegion();
  const [place, caption] = [h("div"), h("p", { class: "ia3-muted sd-caption" })];
  const write = (t) => update(model, { t: clamp(snap(t, STEP), 0, 1) });
  const dial = slider({
    label: "frozen",
    min: 0,
    max: 1,
    step: STEP,
    read: () => model.get("t"),
    write,
    text: (t) => `${Math.round(100 * t)}%`,
  });
  set(dial.input, "aria-label", "From frozen to adapted");
  dial.input.after(h("span", { "aria-hidden": "true" }, "adapted"));
  const options = data.stories.map(({ tokens }, i) => [String(i), plain(tokens)]);
  const choose = { read: () => String(model.get("story")), write: (value) => update(model, { story: Number(value) }) };
  const choice = dropdown({ label: "Sentence", options, ...choose });
  const numbers = numberTables(() => tablesOf(readDial(data, readTraits(model, NAMES))));
  const start = readTraits(model, NAMES);
  const reset = button("Reset", () => update(model, start));
  root.append(
    place,
    meter.node,
    dial.node,
    ...spoken.nodes,
    h("div", { class: "ia3-row" }, choice.node, reset),
    caption,
    numbers.node,
  );
  let [shown, words] = [null, null];
  const draw = () => {
    const now = readDial(data, readTraits(model, NAMES));
    if (shown !== now.tokens) {
      [shown, words] = [now.tokens, wordRow(now)];
      place.replaceChildren(words.node);
      const head = `in head ${data.head} of layer ${data.layer}, one of 72, picked for its change`;
      const rest = "what is missing to 1 goes to the marks around the sentence";
      say(caption, `Shades and numbers: what ${quoted(now.tokens[now.word])} (framed) looks at, ${head}; ${rest}.`);
    }
    words.draw(now.now);
    meter.draw(now.p);
    dial.draw();
    choice.draw();
    numbers.draw();
    spoken.say(describeDial(now, data.numbers));
  };
  return bind(model, NAMES, draw);
}

export default { render };
