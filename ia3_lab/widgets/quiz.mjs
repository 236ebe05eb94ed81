// Questions, one at a time. Every panel stands in the same place, so the height is that of the longest.

const STORE = "ia3-quiz";
const same = (a, b) =>
  typeof a === "number" && typeof b === "number" ? Math.abs(a - b) < 1e-9 : JSON.stringify(a) === JSON.stringify(b);
const OPERATIONS = {
  "=": same,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
  in: (a, list) => list.some((one) => same(a, one)),
};

/** Whether traits meet a goal: a list of [path, operation, value], where "l_k.0" is an entry of a list. */
const holds = (goal, traits) =>
  goal.every(([path, operation, value]) =>
    OPERATIONS[operation](path.split(".").reduce((inner, key) => inner?.[key], traits), value));

/** The number that a reader has typed: "1,000", "12 %" and a true minus sign count, words do not. */
export function readNumber(text) {
  const plain = text.trim().replace(/[,\s\u2009\u202f%]/g, "").replace(/\u2212/g, "-");
  return plain === "" ? NaN : Number(plain);
}

/** Whether an answer is right, and what is said to it. `given`: an option's index, a text, or traits. */
export function judge(question, given) {
  if (question.options) {
    const option = question.options[given];
    return option ? { right: !!option.right, text: option.right ? question.right : option.why } : null;
  }
  if (question.goal) {
    if (holds(question.goal, given)) return { right: true, text: question.right };
    const wrong = question.wrong.find((one) => holds(one.goal, given));
    return wrong ? { right: false, text: wrong.why } : null;
  }
  const number = readNumber(given), near = (value) => Math.abs(number - value) <= (question.tolerance ?? 0) + 1e-9;
  if (!Number.isFinite(number)) return { right: false, text: "Type a number, such as 12 or 0.5." };
  if (near(question.value)) return { right: true, text: question.right };
  return { right: false, text: question.wrong.find((one) => near(one.value))?.why ?? question.hint };
}

/** Which questions of this chapter are answered, kept in the browser where it lets us. */
function progress(chapter, ids) {
  let all = {};
  try {
    all = JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch {}                                      // blocked, or written by somebody else: start afresh
  const done = new Set(ids.filter((id) => all[chapter]?.done?.includes(id)));
  const keep = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(STORE)) ?? {};
      localStorage.setItem(STORE, JSON.stringify({ ...kept, [chapter]: { done: [...done], of: ids.length } }));
    } catch {}
    dispatchEvent(new Event(STORE));              // the table of contents listens
  };
  return {
    has: (id) => done.has(id),
    count: () => done.size,
    add: (id) => (done.add(id), keep()),
    clear: () => (done.clear(), keep()),
  };
}

/** HTML of the book's own data as the content of an element. */
function rich(tag, html, attributes = {}) {
  const node = h(tag, attributes);
  node.innerHTML = html;
  return node;
}

/** Everything that a question may say, without a sound and unseen: it keeps the place for the longest. */
function reserve({ right, answer = "", hint, options = [], wrong = [] }) {
  const texts = [`${answer} ${right}`, hint, ...[...options, ...wrong].map((one) => one.why)].filter(Boolean);
  return texts.map((text) => rich("p", `<b>Not yet.</b> ${text}`, { class: "quiz-reserve", "aria-hidden": "true" }));
}

/** One question: what is asked, what answers it, and the sentence that answers the answer. */
function panel(question, { label, answered, onAnswer, openWidget }) {
  const name = unique("quiz");
  const said = h("p", { role: "status", class: "quiz-said" });
  const respond = (verdict) => {
    const word = verdict?.right ? "Right." : verdict?.shown ? "Answer:" : "Not yet.";
    const html = verdict ? `<b>${word}</b> ${verdict.text}` : "";
    if (said.given !== html) said.innerHTML = said.given = html;      // heard once, however often it is said
    set(said, "data-right", verdict ? String(!!verdict.right) : null);
    if (verdict) onAnswer(!!verdict.right);
  };
  let read, input, answer;
  const radios = (question.options ?? []).map((_, i) => h("input", { type: "radio", name, value: i }));
  if (question.options) {
    const texts = question.options.map((option) => rich("span", option.text));
    answer = radios.map((radio, i) => h("label", { class: "quiz-option" }, radio, texts[i]));
    read = () => radios.findIndex((radio) => radio.checked);
  } else if (!question.goal) {
    input = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", "aria-label": "Your number" });
    answer = [h("p", { class: "ia3-row" }, input, question.unit ? rich("span", question.unit) : null)];
    read = () => input.value;
  } else answer = [openWidget(question, (traits) => answered() || respond(judge(question, traits)))];
  const check = question.goal ? null : h("button", { type: "submit", class: "ia3-button" }, "Check");
  const show = () => respond({ shown: true, text: `${question.answer} ${question.right}` });
  const actions = h("div", { class: "ia3-row" }, check, question.answer ? button("Show the answer", show) : null);
  const reply = h("div", { class: "quiz-answer" }, ...reserve(question), said);
  const node = h("form", { class: "quiz-panel", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    respond(judge(question, read()) ?? { right: false, text: "Choose an answer first." });
  } },
    h("fieldset", {}, rich("legend", `<span class="quiz-number">${label}</span> ${question.ask}`),
      question.goal && reply, ...answer),                             // a widget would take it out of sight
    actions, question.goal ? null : reply);
  const reset = () => {
    radios.forEach((radio, i) => { radio.checked = answered() && !!question.options[i].right; });
    if (input) input.value = answered() ? question.value : "";
    respond(answered() ? { right: true, text: question.right } : null);
  };
  const draw = () => answered() === (said.dataset.right === "true") || reset();
  return { node, draw, reset };
}

function render({ model, el, host }) {
  const root = frame(el, "quiz", "Check yourself", "", CHOICES);
  const questions = model.get("questions"), size = questions.length;
  const kept = progress(model.get("chapter"), questions.map(({ id }) => id)), leaving = new AbortController();
  const watched = host?.getModel && model.get("watch"), stops = [];
  let now = Math.max(0, questions.findIndex(({ id }) => !kept.has(id)));

  /** The watched widget once more, when the reader asks for it; hears every change from then on. */
  const openWidget = ({ goal, wrong }, respond) => {
    const names = [goal, ...wrong.map((one) => one.goal)].flat().map(([path]) => path.split(".")[0]);
    const place = h("div", { class: "quiz-widget" });
    const open = button("Show the widget here", async () => {
      open.remove();
      const other = await host.getModel(watched), hear = () => respond(readTraits(other, names));
      await (await host.getWidget(watched)).render({ el: place, signal: leaving.signal });
      other.on("change", hear);
      stops.push(() => other.off("change", hear));
      place.querySelector("button, input, select, [tabindex]")?.focus({ preventScroll: true });
    });
    return h("div", {}, open, place);
  };
  const panels = questions.map((question, i) => panel(question, {
    label: `Question ${i + 1} of ${size}.`,
    answered: () => kept.has(question.id),
    onAnswer: (right) => {
      again.disabled = false;
      if (!right || kept.has(question.id)) return;
      kept.add(question.id);
      draw();
    },
    openWidget,
  }));
  const mark = { class: "ia3-button quiz-mark", role: "tab" };
  const marks = questions.map((_, i) => button(`${i + 1}`, () => go(i), mark));
  const tabs = h("div", { class: "ia3-row", role: "tablist", "aria-label": "Questions" }, ...marks);
  onKeys(tabs, () => ({ ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: size - 1 }), (to) => {
    go((to + size) % size);
    marks[now].focus();
  });
  const next = button("Next", () => go((now + 1) % size)), total = h("span", { class: "ia3-muted" });
  const startOver = () => {
    kept.clear();
    panels.forEach(({ reset }) => reset());
    again.disabled = true;
    go(0);
  };
  const again = button("Start over", startOver, { disabled: true });
  const go = (i) => { now = i; draw(); };
  const draw = () => {
    panels.forEach((each, i) => {
      each.node.classList.toggle("quiz-hidden", i !== now);
      each.draw();
      const done = kept.has(questions[i].id);
      set(marks[i], "aria-selected", String(i === now));
      set(marks[i], "aria-label", `Question ${i + 1}${done ? ", answered right" : ""}`);
      marks[i].classList.toggle("quiz-done", done);
    });
    oneStop(marks, marks[now]);
    say(total, `${kept.count()} of ${size} right`);
  };
  root.append(h("div", { class: "quiz-stack" }, ...panels.map(({ node }) => node)),
    h("div", { class: "ia3-row quiz-foot" }, tabs, next, total, again));
  draw();
  return () => { leaving.abort(); stops.forEach((stop) => stop()); };
}

export default { render };
