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
        mark.title = `${done.length} of ${of} questions of this chapter's quiz answered`;
        link.append(mark);
      }
    }
  }

  function start() {
    markProgress();
    for (const event of ["ia3-quiz", "storage"]) addEventListener(event, markProgress);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
