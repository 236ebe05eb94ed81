// On a phone the lists of pages and of sections are drawers: one that has led the reader somewhere closes.
(() => {
  "use strict";
  document.addEventListener("click", ({ target }) => {
    const drawer = target.closest("a[href]")?.closest("dialog[open]");
    if (drawer?.id.endsWith("sidebar-modal")) drawer.close();
  });
})();
