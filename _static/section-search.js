// Search by section, as one types: in the theme's dialog and on search.html. The index is a script, loaded when a field
// gets the focus, so that this works from a folder as well; `_ext/section_search.py` writes it.
(() => {
  "use strict";
  const root = document.documentElement.dataset.content_root;
  const MOST = 12;                                // results shown
  const HEADING = 5;                              // a word of a heading counts for so many of the text
  let index = null;

  const stem = (word) => (word.length > 4 ? word.replace(/(ing|ies|ed|es|s|e|y)$/, "") : word.replace(/s$/, ""));
  const words = (text) => (text.normalize("NFKD").toLowerCase().match(/[a-z\d\u0370-\u03ff]+/g) ?? []).map(stem);

  function load() {
    return index ??= new Promise((done, failed) => {
      const script = Object.assign(document.createElement("script"), { src: `${root}_static/section-index.js` });
      script.onload = () => done(prepare(window.sectionIndex));
      script.onerror = failed;
      document.head.append(script);
    });
  }

  function prepare({ pages, sections, synonyms }) {
    const all = sections.map(([page, anchor, title, text]) =>
      ({ page: pages[page], anchor, title, text, head: words(title), body: words(text) }));
    const seenIn = new Map();                     // word -> in how many sections
    for (const { head, body } of all) {
      for (const word of new Set([...head, ...body])) seenIn.set(word, (seenIn.get(word) ?? 0) + 1);
    }
    const mean = all.reduce((sum, { body }) => sum + body.length, 0) / all.length;
    return { all, seenIn, synonyms: new Map(Object.entries(synonyms)), mean };
  }

  /** Okapi's BM25 over the sections that hold all words; the last one may be unfinished, neighbors count double,
      a page's beginning for more than what follows. */
  function score({ all, seenIn, mean }, query) {
    const terms = words(query);
    const meets = (word, term, i) => word === term || (i === terms.length - 1 && term.length > 2 && word.startsWith(term));
    const beside = (list) => list.some((_, at) => terms.every((term, i) => meets(list[at + i] ?? "", term, i)));
    return all.map((section) => {
      const parts = terms.map((term, i) => {
        const count = (list) => list.filter((word) => meets(word, term, i)).length;
        const n = HEADING * count(section.head) + count(section.body);
        const rare = Math.log(1 + all.length / (1 + (seenIn.get(term) ?? 1)));
        return rare * n * 2.2 / (n + 1.2 * (.4 + .6 * section.body.length / mean));
      });
      const sum = parts.every(Boolean) ? parts.reduce((total, part) => total + part, 0) : 0;
      const near = (beside(section.head) ? 2 : 1) * (beside(section.body) ? 1.5 : 1);
      return { ...section, score: sum * near * (section.title === section.page[1] ? 1.5 : 1) };
    });
  }

  /** The best sections for what was typed, or for the term that the glossary defines together with it. */
  async function find(query) {
    const loaded = await load();
    if (!words(query).length) return [];
    const other = loaded.synonyms.get(query.trim().toLowerCase());
    const also = other ? score(loaded, other) : [];
    return score(loaded, query).map((one, i) => (also[i]?.score > one.score ? also[i] : one))
      .filter((one) => one.score > 0).sort((a, b) => b.score - a.score).slice(0, MOST);
  }

  // --- what the reader sees -------------------------------------------------------------------------------

  const make = (tag, properties, ...inside) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...inside);
    return element;
  };

  /** The sentence that holds most of the words, with the words marked. */
  function excerpt(text, query) {
    const terms = words(query);
    const held = (piece) => words(piece).filter((word) => terms.some((term) => word.startsWith(term)));
    const sentences = text.split(/(?<=[.!?:])\s+/);
    const counts = sentences.map((sentence) => new Set(held(sentence)).size);
    const best = sentences[counts.indexOf(Math.max(...counts))];
    const short = best.length > 180 ? `${best.slice(0, 177)}...` : best;
    return short.split(/([\p{L}\p{N}]+)/u).map((piece) => (held(piece).length ? make("mark", {}, piece) : piece));
  }

  function item({ page: [address, chapter], anchor, title, text }, query) {
    const link = make("a", { href: `${root}${address}#${anchor}` }, make("strong", {}, title));
    if (chapter !== title) link.append(make("small", {}, chapter));
    link.append(make("span", {}, ...excerpt(text, query)));
    return make("li", {}, link);
  }

  /** Give a search field its list of results: arrow keys go through the links, Enter takes the first. */
  function wire(form, place) {
    const input = form.querySelector("input[name=q]");
    const list = make("ol", { className: "section-results" });
    const status = make("p", { className: "section-status", role: "status" });
    place.append(status, list);
    const run = async () => {
      const query = input.value;
      const found = await find(query);
      if (query !== input.value) return;          // typed on meanwhile
      list.replaceChildren(...found.map((section) => item(section, query)));
      status.textContent = query.trim() && `${found.length || "No"} section${found.length === 1 ? "" : "s"}`;
    };
    input.addEventListener("focus", load, { once: true });
    input.addEventListener("input", run);
    place.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      const stops = [input, ...list.querySelectorAll("a")];
      stops[Math.max(0, stops.indexOf(document.activeElement) + step)]?.focus();
      event.preventDefault();
    });
    list.addEventListener("click", () => place.close?.());      // a section of this page: out of its way
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      list.querySelector("a")?.click();
    });
    return (query) => { input.value = query; run(); };
  }

  const dialog = document.querySelector("#pst-search-dialog");
  if (dialog) wire(dialog.querySelector("form"), dialog);
  const page = document.querySelector(".bd-search-container");
  if (page) wire(page.querySelector("form"), page)(new URLSearchParams(location.search).get("q") ?? "");
  window.findSections = find;
})();
