// What the theme lacks: drawers that close, figures that enlarge.
(() => {
  "use strict";

  // On a phone the lists of pages and of sections are drawers: one that has led the reader somewhere closes.
  document.addEventListener("click", ({ target }) => {
    const drawer = target.closest("a[href]")?.closest("dialog[open]");
    if (drawer?.id.endsWith("sidebar-modal")) drawer.close();
  });

  const make = (name, ...properties) => Object.assign(document.createElement(name), ...properties);

  // A figure and its downloads, as large as the window. A click on the picture comes nearer; Escape closes it, and so
  // does a click beside the picture.
  const dialog = make("dialog", { className: "figure-dialog" });
  document.body.append(dialog);
  dialog.addEventListener("click", ({ target }) => {
    if (target.matches("img")) target.parentElement.classList.toggle("near");
    else if (!target.closest("a")) dialog.close();
  });

  /** Make one button of a figure's links; with it, or a click on the figure, the figure opens. */
  function enlargeable(files) {
    const view = files.parentElement, links = [...files.children];
    const images = [...view.querySelectorAll("img")], number = view.parentElement.querySelector(".caption-number");
    const open = make("button", { type: "button", className: "figure-open", textContent: "Enlarge, save" });
    const show = () => {
      const bar = make("div", { className: "figure-bar" }), large = make("div", { className: "figure-large" });
      bar.append(make("button", { type: "button", textContent: "Close" }), ...links);
      large.append(...images.map((image) => Object.assign(image.cloneNode(), { loading: "eager" })));
      large.style.cssText = view.style.cssText;
      dialog.ariaLabel = number?.textContent.trim() ?? "Figure";
      dialog.replaceChildren(bar, large);
      open.focus({ preventScroll: true });                      // where the focus returns
      dialog.showModal();
    };
    files.replaceChildren(open);
    for (const one of [open, ...images]) one.addEventListener("click", show);
    new ResizeObserver(() => view.classList.toggle("scrolls", view.scrollWidth > view.clientWidth)).observe(view);
  }
  document.querySelectorAll(".figure-files").forEach(enlargeable);
})();
