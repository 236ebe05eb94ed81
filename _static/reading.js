// How a page is read: a quiz's progress in the table of contents, terms that explain themselves, the reading level.
(() => {
  "use strict";

  /** What this browser keeps under a name, or null where it keeps nothing or is not allowed to. */
  function kept(name) {
    try {
      return JSON.parse(localStorage.getItem(name));
    } catch {
      return null;
    }
  }

  // --- quizzes --------------------------------------------------------------------------------------------

  /** "4/6" beside the link of each chapter whose quiz was begun. */
  function markProgress() {
    document.querySelectorAll(".quiz-progress").forEach((mark) => mark.remove());
    for (const [chapter, { done, of }] of Object.entries(kept("ia3-quiz") ?? {})) {
      if (!done?.length) continue;
      const here = location.pathname.endsWith(`/${chapter}.html`) ? ', .bd-links a[href="#"]' : "";
      for (const link of document.querySelectorAll(`.bd-links a[href$="${CSS.escape(chapter)}.html"]${here}`)) {
        const mark = Object.assign(document.createElement("span"), { className: "quiz-progress" });
        mark.textContent = `${done.length}/${of}`;
        mark.title = `${done.length} of ${of} questions of this chapter's quiz answered right`;
        link.append(mark);
      }
    }
  }

  // --- terms and sources ----------------------------------------------------------------------------------

  const root = document.documentElement;
  const UNMARKED = { practitioner: ".term-basic", expert: ".term" };

  /** The element that says what a link to a term or a source means; a source's stands in its title until now. */
  function described(link) {
    const id = `about-${link.hash.slice(1)}`;
    let about = document.getElementById(id);
    if (!about && link.title) {
      about = Object.assign(document.createElement("div"), { id, hidden: true });
      about.append(Object.assign(document.createElement("p"), { textContent: link.title }));
      link.closest("article").append(about);
    }
    if (about) link.removeAttribute("title");
    return about;
  }

  /** One box for all: shown on hover, focus or the first tap; it can be pointed at, and Escape closes it. */
  function explainTerms() {
    const tip = Object.assign(document.createElement("div"), { className: "term-tip", hidden: true });
    let now = null, timer = 0, tapped = null;
    const hide = () => {
      clearTimeout(timer);
      tip.hidden = true;
      now = null;
    };
    const show = (link, about) => {
      clearTimeout(timer);
      if (!link.href) return;                                   // plain text at this level
      now = link;
      tip.replaceChildren(...[...about.childNodes].map((node) => node.cloneNode(true)));
      Object.assign(tip.style, { left: "0", top: "0" });
      tip.hidden = false;
      const word = link.getClientRects()[0], size = tip.getBoundingClientRect();
      const below = word.bottom + 6 + size.height <= innerHeight || word.top < size.height + 6;
      const x = Math.max(8, Math.min(word.left, root.clientWidth - size.width - 8));
      const y = below ? word.bottom + 6 : word.top - size.height - 6;
      Object.assign(tip.style, { left: `${x + scrollX}px`, top: `${y + scrollY}px` });
    };
    const soon = (act, wait) => {
      clearTimeout(timer);
      timer = setTimeout(act, wait);
    };
    document.body.append(tip);
    tip.addEventListener("pointerenter", () => clearTimeout(timer));
    tip.addEventListener("pointerleave", () => soon(hide, 250));
    const links = 'article a[href*="#term-"], article a[title][href*="bibliography.html#"]';
    for (const link of document.querySelectorAll(links)) {
      const about = described(link);
      if (!about) continue;
      link.setAttribute("aria-describedby", about.id);
      const byMouse = (act, wait) => ({ pointerType }) => pointerType === "mouse" && soon(act, wait);
      link.addEventListener("pointerenter", byMouse(() => show(link, about), 150));
      link.addEventListener("pointerleave", byMouse(hide, 250));
      link.addEventListener("pointerdown", ({ pointerType }) => {
        tapped = pointerType === "mouse" || now === link ? null : link;
      });
      link.addEventListener("focus", () => link.matches(":focus-visible") && show(link, about));
      link.addEventListener("blur", hide);
      link.addEventListener("click", (event) => {
        if (tapped !== link) return;                            // a key, the mouse, or the second tap: follow it
        event.preventDefault();
        show(link, about);
      });
    }
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
    document.addEventListener("pointerdown", (event) => {
      if (now && event.target.closest?.("a") !== now && !tip.contains(event.target)) hide();
    });
  }

  // --- the reading level ----------------------------------------------------------------------------------

  const LEVELS = ["newcomer", "practitioner", "expert"];

  /** What a level opens and marks. Everything that it leaves closed can still be opened by hand. */
  function applyLevel(level) {
    root.dataset.level = level;
    document.querySelectorAll("details.ground-up").forEach((box) => { box.open = level === "newcomer"; });
    document.querySelectorAll(".tag_hide-input details.hide").forEach((code) => { code.open = level === "expert"; });
    for (const link of document.querySelectorAll("article a.term")) {
      link.dataset.href ??= link.getAttribute("href");
      if (UNMARKED[level] && link.matches(UNMARKED[level])) link.removeAttribute("href");
      else link.setAttribute("href", link.dataset.href);
    }
  }

  /** The switch: what was in sight stays where it was. */
  function offerLevels() {
    const select = document.createElement("select"), label = document.createElement("label");
    const words = Object.assign(document.createElement("span"), { textContent: "Reading level" });
    select.append(...LEVELS.map((level) => new Option(level, level)));
    select.value = root.dataset.level;
    select.addEventListener("change", () => {
      const texts = [...document.querySelectorAll("article :is(h1, h2, h3, p)")];
      const seen = texts.find((node) => node.getBoundingClientRect().top > 60);
      const before = seen?.getBoundingClientRect().top;
      applyLevel(select.value);
      if (seen) scrollBy({ top: seen.getBoundingClientRect().top - before, behavior: "instant" });
      try {
        localStorage.setItem("ia3-level", JSON.stringify(select.value));
      } catch {}                                                // kept for this page alone
    });
    label.className = "reading-level";
    label.append(words, select);
    document.querySelector(".article-header-buttons")?.prepend(label);
  }

  function start() {
    markProgress();
    explainTerms();
    applyLevel(LEVELS.includes(root.dataset.level) ? root.dataset.level : "practitioner");
    offerLevels();
    for (const event of ["ia3-quiz", "storage"]) addEventListener(event, markProgress);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
