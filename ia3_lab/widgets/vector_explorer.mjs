// The vector explorer: all vectors of a model as strips on one axis, a second model beside it, and one vector large.

const EDGE = 0.5; // the strips show the values from 1 - EDGE to 1 + EDGE
const NAMES = ["model", "other", "part", "kind", "layer", "unit", "log_counts"];
const outside = ({ outside_half, entries }) => outside_half / entries;
const isFar = (vector) => outside(vector) >= 0.02; // so many lie beyond the strips' axis that a number says it
const words = (x, y, text, anchor = "start", kind = "ia3-axis-label") =>
  s("text", { x, y, "text-anchor": anchor, class: kind }, text);

/** Everything on screen follows from the traits; entries are put in order when they are first looked at. */
function makeReader(model) {
  const view = model.get("numbers");
  const models = readModels(model.get("models"), new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  const orders = new Map();
  return () => {
    const asked = readTraits(model, NAMES);
    const choice = choose(models, asked);
    const { set: chosen, vector } = choice;
    const other = models.find((one) => one.name === asked.other && one !== chosen) ?? null;
    if (!orders.has(vector)) orders.set(vector, farthestFirst(vector.values));
    const order = orders.get(vector);
    return {
      ...choice,
      models,
      other,
      partner: partnerOf(other, vector),
      order,
      log: asked.log_counts,
      at: pointAt(vector, order, asked.unit),
      band: vector.known < vector.entries ? Math.abs(vector.values[order.at(-1)] - 1) : 0,
      num_heads: vector.kind === "ff" ? null : chosen.num_heads,
    };
  };
}

// --- the strips ----------------------------------------------------------------------------------------------------

/** One line of strips in its box: the chosen model's filled, another's as outlines in the right half. */
function drawLine({ line, place, column, other, box, values, cells }) {
  const tall = box.bottom - box.top;
  const y = (value) => box.bottom - tall * clamp((value - 1) / (2 * EDGE) + 0.5, 0, 1);
  const half = Math.min(0.42 * column, 30);
  const paths = { strips: "", others: "", marks: "" };
  const texts = [];
  const add = (path, vector, x, side) => {
    paths[path] += halfStrip(vector, x, half, side, y);
    paths.marks += `M${near(x + side * half * 0.3)} ${near(y(1 + vector.rms))}h${near(side * half * 0.6)}`;
  };
  const beyond = (vector, x, y) => {
    if (isFar(vector)) texts.push(words(x, y, `${fmt(100 * outside(vector), 0)}%`, "middle", "ia3-tick"));
  };
  const nodes = line.map((vector) => {
    const x = near(place(vector.layer));
    const found = partnerOf(other, vector);
    const partner = isBeside(vector, found) ? found : null;
    add("strips", vector, x, -1);
    add(partner ? "others" : "strips", partner ?? vector, x, 1);
    beyond(vector, x, box.top - 2);
    if (partner) beyond(partner, x, box.bottom + 11);
    const label = `${placeName(vector)}: rms ${fmt(vector.rms, 3)}${partner ? `, other ${fmt(partner.rms, 3)}` : ""}`;
    const room = { x: x - column / 2, y: box.top, width: column, height: tall };
    const cell = s("rect", { ...room, role: "gridcell", class: "ve-cell", tabindex: -1, "aria-label": label });
    cells.set(vector, cell);
    return cell;
  });
  const wide = (value) => `M${box.left} ${y(value)}H${box.right}`;
  return [
    s("path", { d: wide(0.5) + wide(1.5), class: "ia3-grid" }),
    s("path", { d: paths.strips, class: "ve-strips" }),
    s("path", { d: paths.others, class: "ve-other" }),
    s("path", { d: paths.marks, class: "ve-marks" }),
    s("path", { d: wide(1), class: "ve-one" }),
    ...drawAxis({ side: "left", box, place: y, values, lines: "none" }),
    ...texts,
    s("g", { role: "row" }, ...nodes),
  ];
}

/** All strips; one tab stop for them, go(vector) when one is chosen. */
function strips(view, go) {
  const frame = s("rect", { class: "ve-frame", rx: 3 });
  const svg = s("svg", { role: "grid", class: "ve-grid" });
  const cells = new Map();
  let lines = [];

  const drawRow = (row, { head, plan, tall, other, start }) => {
    const { kind, part } = row[0];
    const { left, column, columns, layers, folded, above, below } = plan;
    const right = left + column * columns;
    const place = (layer) => left + column * ((layers.indexOf(layer) % columns) + 0.5);
    const group = s("g", { style: `--ve-color: var(--ia3-${kind})` });
    let y = start;
    if (head) group.append(words(0, (y += 20) - 5, folded ? `l_${kind}, ${head}` : head));
    for (let i = 0; i < plan.lines; i++) {
      const line = row.filter(({ layer }) => Math.floor(layers.indexOf(layer) / columns) === i);
      const box = { left, right, top: y + above, bottom: y + above + tall };
      const values = i || !(head || row === plan.rows[0]) ? [] : [0.5, 1, 1.5];
      const numbers = line.map(({ layer }) => layer);
      const under = { ...box, bottom: box.bottom + below - 5 };
      const axis = { side: "bottom", box: under, place, values: numbers, lines: "none" };
      group.append(...drawLine({ line, place, column, other, box, values, cells }), ...(folded ? drawAxis(axis) : []));
      y = box.bottom + below + (folded ? 17 : 0);
      lines.push(line);
    }
    if (folded) return [group, y];
    const middle = y - below - tall / 2 + 4;
    const alike = other && rowsOf(other).find(([one]) => one.part === part && one.kind === kind);
    const ends = [row, alike].filter(Boolean).map((some) => fmt(pool(some).rms, 3));
    group.append(words(0, middle, `l_${kind}`, "start", "ve-name"));
    ends.forEach((text, i) => {
      group.append(words(right + 36, middle + (alike ? 16 * i - 8 : 0), text, "end", "ia3-tick"));
    });
    return [group, y];
  };

  const draw = ({ set: chosen, other, models, vector }, width) => {
    const room = (one) => (one?.vectors.some(isFar) ? 13 : 3);
    const plan = planOf(chosen, vector.kind, width, room(chosen), room(other));
    const height = tallest(models, width);
    const tall = Math.min(190, (height - plan.fixed) / plan.count);
    const held = svg.contains(document.activeElement);
    set(svg, "viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
    set(svg, "aria-label", `All vectors of ${modelName(chosen)}: strips of the values from 0.5 to 1.5`);
    cells.clear();
    lines = [];
    const first = plan.heads[0] ? 15 : 10; // where "rms" stands
    let y = plan.folded || plan.heads[0] ? 0 : 14;
    const groups = plan.rows.map((row, i) => {
      const [group, end] = drawRow(row, { head: plan.heads[i], plan, tall, other, start: y });
      y = end;
      return group;
    });
    if (!plan.folded) {
      const box = { left: plan.left, right: plan.left + plan.column * plan.columns, bottom: y - plan.below };
      const place = (layer) => box.left + plan.column * (plan.layers.indexOf(layer) + 0.5);
      groups.push(...drawAxis({ side: "bottom", box, place, values: plan.layers, lines: "none", label: "layer" }));
      groups.push(words(width, first, "rms, all layers", "end"));
    }
    svg.replaceChildren(...groups, frame);
    if (held) cells.get(vector).focus({ preventScroll: true });
  };
  const point = ({ vector }) => {
    for (const [one, cell] of cells) set(cell, "aria-selected", String(one === vector));
    oneStop(cells.values(), cells.get(vector));
    for (const name of ["x", "y", "width", "height"]) set(frame, name, cells.get(vector).getAttribute(name));
  };
  const enter = (vector) => {
    go(vector);
    cells.get(vector).focus({ preventScroll: true });
  };
  svg.addEventListener("click", ({ target }) => {
    const found = [...cells].find(([, cell]) => cell === target);
    if (found) enter(found[0]);
  });
  const ways = () => {
    const { vector, alike } = view();
    const i = lines.findIndex((line) => line.includes(vector));
    const beside = (by) => alike[clamp(alike.indexOf(vector) + by, 0, alike.length - 1)];
    const inLine = (at) => {
      const line = lines[clamp(at, 0, lines.length - 1)];
      return line[Math.min(lines[i].indexOf(vector), line.length - 1)];
    };
    const arrows = { ArrowRight: beside(1), ArrowLeft: beside(-1), ArrowDown: inLine(i + 1), ArrowUp: inLine(i - 1) };
    const ends = { Home: alike[0], End: alike.at(-1), PageUp: inLine(0), PageDown: inLine(lines.length) };
    return { ...arrows, ...ends };
  };
  onKeys(svg, ways, enter);
  return { node: svg, draw, point };
}

// --- one vector large ----------------------------------------------------------------------------------------------

const TALL = 232;
const BOX = { top: 22, bottom: 192, left: 34 };

/** Two charts side by side on one axis of values: how many entries have a value, and which. */
function largeCharts() {
  const axes = s("g", {});
  const body = s("g", {});
  const svg = s("svg", { role: "group", style: `height: ${TALL}px` }, axes, body);
  const { top, bottom } = BOX;
  const y = (value) => bottom - ((bottom - top) * clamp(value, BINS.low, HIGH)) / 2;
  const values = { place: y, values: [0, 0.5, 1, 1.5, 2], text: (value) => fmt(value, 1), label: "value of an entry" };

  /** Bars of the counts; the first and the last count what lies beyond the axis. Another's are scaled to as many. */
  const drawSpread = ({ vector, partner, log }, box) => {
    const scale = partner ? vector.entries / partner.entries : 1;
    const both = [vector.counts, partner?.counts.map((count) => count * scale) ?? []];
    const most = niceCeiling(Math.max(...both.flat()));
    const x = (count) => near(box.left + (box.right - box.left) * reach(count, most, log));
    const ticks = log ? [0, 10, 100, 1000, 10000].filter((count) => count <= most) : [0, most];
    const edge = (i) => near(y(BINS.low + BINS.width * (i - 1)) + (i ? 0 : 5) - (i > BINS.count + 1 ? 5 : 0));
    const bar = (count, i) => `M${box.left} ${edge(i)}H${x(count)}V${edge(i + 1)}H${box.left}z`;
    const beyond = (count, y, where) =>
      count ? [words(box.right, y, `${fmtCount(count)} ${where}`, "end", "ia3-tick")] : [];
    const outline = both[1].map((count, i) => `V${edge(i)}H${x(count)}V${edge(i + 1)}`).join("");
    const axis = { side: "bottom", box, place: x, values: ticks, text: fmtCount, lines: "none", label: "entries" };
    axes.append(...drawAxis(axis));
    body.append(
      s("path", { d: both[0].map((count, i) => (count ? bar(count, i) : "")).join(""), class: "ve-bars" }),
      ...(partner ? [s("path", { d: `M${box.left} ${edge(0)}${outline}H${box.left}`, class: "ve-other" })] : []),
      ...beyond(vector.counts[0], bottom - 8, "below"),
      ...beyond(vector.counts.at(-1), top + 12, "above"),
    );
  };

  /** A line from 1 to each known entry, heads as stripes, the range of the unknown ones as a band. Returns x(unit). */
  const drawEntries = ({ vector, band, num_heads }, box) => {
    const wide = box.right - box.left;
    const x = (unit) => box.left + (wide * (unit + 0.5)) / vector.entries;
    const head = { y: top, width: wide / num_heads, height: bottom - top, class: "ve-head" };
    const stripes = [...Array(num_heads ?? 0).keys()].filter((i) => i % 2);
    const axis = { side: "bottom", box, place: x, values: [0, vector.entries - 1], text: fmtCount, lines: "none" };
    const thick = vector.known === vector.entries ? Math.max(wide / vector.entries, 0.9) : 2;
    const line = (unit, i) => `M${near(x(unit))} ${y(1)}V${near(y(vector.values[i]))}`;
    const shade = { x: box.left, y: y(1 + band), width: wide, height: y(1 - band) - y(1 + band), class: "ve-band" };
    axes.prepend(...stripes.map((i) => s("rect", { ...head, x: box.left + i * head.width })));
    axes.append(...drawAxis({ ...axis, label: `entry${num_heads ? " (stripes: heads)" : ""}` }));
    body.append(
      ...(band ? [s("rect", shade)] : []),
      s("path", { d: vector.units.map(line).join(""), class: "ve-lines", "stroke-width": thick.toFixed(2) }),
    );
    return { x, y, unitAt: (place) => Math.round(((place - box.left) / wide) * vector.entries - 0.5) };
  };

  const draw = (now, width) => {
    set(svg, "viewBox", `0 0 ${width} ${TALL}`);
    const split = BOX.left + Math.round(0.3 * (width - BOX.left));
    const box = { ...BOX, right: width - 12 };
    axes.replaceChildren(...drawAxis({ side: "left", box, ...values }));
    body.replaceChildren(s("path", { d: `M${box.left} ${y(1)}H${box.right}`, class: "ve-one" }));
    drawSpread(now, { ...box, right: split });
    return drawEntries(now, { ...box, left: split + 22 });
  };
  return { svg, draw };
}

/** The marker among the entries: a slider over the known ones; the mouse beside it, a tap, a finger drawn across. */
function marker(model, svg, view, scales) {
  const put = (i) => {
    const { units } = view().vector;
    update(model, { unit: units[clamp(i, 0, units.length - 1)] });
  };
  const pick = (place) => put(pointAt(view().vector, view().order, Math.max(0, scales().unitAt(place))));
  const handle = dragHandle({
    svg,
    color: "var(--ve-color)",
    label: "Entry of the vector",
    radius: 6,
    place: () => {
      const { vector, at } = view();
      return { x: scales().x(vector.units[at]), y: scales().y(vector.values[at]) };
    },
    drag: ({ x }) => pick(x),
    nudge: (dx, dy) => put(view().at + Math.sign(dx + dy) * Math.ceil(Math.abs(dx + dy))),
    ends: (which) => put(which === "min" ? 0 : view().vector.units.length - 1),
    value: () => {
      const { vector, order, at, num_heads } = view();
      const text = describeUnit(vector, order, at, num_heads);
      return { now: vector.units[at], min: 0, max: vector.entries - 1, text };
    },
  });
  const stem = s("line", { class: "ve-stem", y1: BOX.top, y2: BOX.bottom });
  svg.append(stem, handle.node);
  let start = 0;
  const beside = (event) => !handle.node.contains(event.target) && svgPoint(svg, event).x >= scales().x(-10);
  svg.addEventListener("pointerdown", (event) => {
    start = event.clientX;
  });
  svg.addEventListener("pointermove", (event) => {
    const meant = event.pointerType === "mouse" ? !event.buttons : Math.abs(event.clientX - start) > 8; // no scrolling
    if (meant && beside(event)) pick(svgPoint(svg, event).x);
  });
  svg.addEventListener("click", (event) => beside(event) && pick(svgPoint(svg, event).x));
  const draw = () => {
    const x = scales().x(view().vector.units[view().at]);
    set(stem, "x1", x);
    set(stem, "x2", x);
    handle.draw();
  };
  const next = () => {
    const { order, at } = view();
    put(order[(order.indexOf(at) + 1) % order.length]);
  };
  return { draw, next };
}

// --- the whole -----------------------------------------------------------------------------------------------------

/** What is chosen besides the strip. */
function controls(model, view) {
  const names = view().models.map((one) => [one.name, modelName(one)]);
  const write = (changes) => update(model, { ...changes, unit: -1 });
  const models = dropdown({
    label: "Model",
    options: names,
    read: () => view().set.name,
    write: (name) => write({ model: name }),
  });
  const others = dropdown({
    label: "beside it",
    options: [["", "none"], ...names],
    read: () => view().other?.name ?? "",
    write: (name) => update(model, { other: name }),
  });
  const kinds = segmented({
    label: "Vector",
    options: KINDS.map((kind) => [kind, `l_${kind}`]),
    read: () => view().vector.kind,
    write: (kind) => {
      const { rows, vector } = view();
      const alike = rows.map(([one]) => one).filter((one) => one.kind === kind);
      write({ kind, part: (alike.find(({ part }) => part === vector.part) ?? alike[0]).part });
    },
  });
  const logs = checkbox({ label: "logarithmic counts", ...traitOf(model, "log_counts") });
  for (const [list, kind] of [[models, "ve-strips"], [others, "ve-other"]]) {
    const swatch = s("svg", { viewBox: "0 0 22 14", class: "ve-key" }, s("path", { d: "M2 1H20V13H2z", class: kind }));
    list.node.prepend(swatch);
  }
  const draw = (now, narrow) => {
    for (const option of others.input.options) option.disabled = option.value === now.set.name;
    for (const input of kinds.inputs) input.disabled = !now.kinds.includes(input.value);
    others.node.hidden = now.models.length < 2;
    kinds.node.hidden = !narrow;
    for (const control of [models, others, kinds, logs]) control.draw();
  };
  return { nodes: [models.node, others.node, kinds.node], logs: logs.node, draw };
}

function render({ model, el }) {
  const todo = "Each strip is a vector. Choose one to see it large; there, point at an entry to read it.";
  const root = frame(el, "vectors", "Vector explorer", todo, `${KEYS} Among the strips: ${CELLS}`);
  const live = liveRegion();
  const read = makeReader(model);
  const start = readTraits(model, NAMES);
  let now = read();
  let scales = null;
  let drawn = [];
  const view = () => now;
  const inputs = controls(model, view);
  const all = strips(view, ({ part, kind, layer }) => update(model, { part, kind, layer, unit: -1 }));
  const large = largeCharts();
  const point = marker(model, large.svg, view, () => scales);
  const numbers = numberTables(() => tablesOf(now));
  const tag = h("strong", { class: "ve-tag" }, "simulated");
  const title = h("span", {});
  const note = h("p", { class: "ia3-muted ve-note" });
  const about = h("p", { class: "ia3-muted ve-note" });
  const buttons = [button("Next farthest entry", () => point.next()), button("Reset", () => update(model, start))];
  root.append(
    h("div", { class: "ve-choices" }, ...inputs.nodes),
    all.node,
    about,
    h("p", { class: "ve-title" }, title, tag),
    large.svg,
    ...live.nodes,
    h("div", { class: "ia3-row" }, inputs.logs, ...buttons),
    note,
    numbers.node,
  );
  const draw = () => {
    now = read();
    const { vector, partner, set: chosen, other, alike, order, at, band } = now;
    const width = Math.max(240, Math.round(large.svg.clientWidth));
    const isFolded = (set) => planOf(set, vector.kind, width).folded;
    const folded = isFolded(chosen);
    const overview = [chosen.name, other?.name, width, folded && vector.kind].join();
    const place = [overview, placeName(vector), now.log].join();
    if (overview !== drawn[0]) {
      all.draw(now, width);
      say(about, stripsText(now));
      numbers.draw();
    }
    if (place !== drawn[1]) {
      root.style.setProperty("--ve-color", `var(--ia3-${vector.kind})`);
      all.point(now);
      scales = large.draw(now, width); // the entry that is pointed at changes far more often
      say(title, `${placeName(vector)} \u00b7 ${chosen.name}`);
      say(note, noteText(chosen, vector, band));
      set(large.svg, "aria-label", `Histogram and entries of ${placeName(vector)}`);
      tag.hidden = !chosen.simulated;
    }
    drawn = [overview, place];
    inputs.draw(now, now.models.some(isFolded));
    point.draw();
    const said = [describeVector(vector, chosen.simulated), describeRank(vector, alike)];
    said.push(describeOther(vector, other, partner), describeUnit(vector, order, at, now.num_heads));
    live.say(said.filter(Boolean).join(" "));
  };
  const stops = [bind(model, NAMES, draw), onResize(root, draw)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
