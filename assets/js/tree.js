// The prefix tree as SVG, left to right: pills in columns by depth, the accepted path drawn strong.
(() => {
  /** @typedef {import("./types").StepPicture} StepPicture */
  const RD = window.ReDrafter;
  const { s } = RD;
  // Pixels; before the next size is taken, the gap between columns shrinks to `tight` and all of it by `least`.
  const SIZES = [
    { name: "roomy", row: 34, pill: 26, cell: 7.3, gap: 30, tight: 20, share: 42, letters: 15, most: 26, least: 0.86 },
    { name: "dense", row: 23, pill: 19, cell: 6.4, gap: 26, tight: 14, share: 38, letters: 12, most: Infinity, least: 0.9 },
    { name: "narrow", row: 23, pill: 19, cell: 6.4, gap: 22, tight: 10, share: 0, letters: 7, most: Infinity, least: 0.85 },
  ];
  const MARGIN = 8;

  /** Draws steps into `box`; hovering and focusing a node lights it through the store. */
  class TreeView {
    constructor(box, store) {
      this.box = box;
      this.store = store;
      this.svg = s("svg", { class: "rp-tree", role: "group", "aria-label": "Prefix tree" });
      this.box.append(this.svg);
      this.groups = [];
      this.step = null;
      this.svg.addEventListener("pointerover", (event) => this.point(event));
      this.svg.addEventListener("pointerleave", () => store.setLight(store.selected ?? null));
      this.svg.addEventListener("focusin", (event) => this.point(event));
      this.svg.addEventListener("click", (event) => this.choose(event));
      this.svg.addEventListener("keydown", (event) => this.key(event));
    }

    /** @param {StepPicture | null} step */
    draw(step) {
      const room = this.box.clientWidth - 12;
      if (step === this.step && room === this.room) return this.light();
      this.step = step;
      this.room = room;
      this.groups = [];
      if (!step) {
        this.svg.replaceChildren();
        return undefined;
      }
      const { size, place } = fitting(step, room);
      const edges = s("g", { class: "rp-edges" });
      const nodes = s("g", { class: "rp-nodes" });
      step.nodes.parent.forEach((parent, node) => {
        if (parent >= 0) edges.append(edge(place, parent, node, RD.STATUS[step.nodes.status[node]].name));
        const group = pill(step, node, place, size);
        this.groups.push(group);
        nodes.append(group);
      });
      if (step.pick) {
        const last = step.nodes.parent.length;
        edges.append(edge(place, step.pick.node, last, "picked"));
        const group = pickPill(step, place, size);
        this.groups.push(group);
        nodes.append(group);
      }
      // Painted last: the path lies over its siblings' edges.
      for (const strong of edges.querySelectorAll(".is-accepted, .is-picked")) edges.append(strong);
      this.svg.setAttribute("viewBox", `0 0 ${place.width} ${place.height}`);
      this.svg.style.width = `${place.width}px`;
      this.svg.style.minWidth = `${Math.floor(place.width * size.least)}px`;
      this.svg.dataset.nodes = step.nodes.parent.length;
      this.svg.dataset.step = step.index;
      this.svg.classList.toggle("is-dense", size.name !== "roomy");
      this.svg.dataset.size = size.name;
      this.svg.replaceChildren(edges, nodes);
      this.edges = edges;
      this.light();
      return undefined;
    }

    /** Show what the store lights: a node's whole path, or a beam's. */
    light() {
      const { step, store } = this;
      if (!step) return;
      const lit = RD.litNodes(step, store.light);
      this.svg.classList.toggle("is-lighting", lit.size > 0);
      this.groups.forEach((group, node) => {
        group.classList.toggle("is-lit", lit.has(node));
        group.classList.toggle("is-chosen", store.selected === node);
      });
      for (const path of this.edges.children) path.classList.toggle("is-lit", lit.has(Number(path.dataset.to)));
    }

    point(event) {
      const group = event.target.closest?.("[data-node]");
      if (group) this.store.setLight(Number(group.dataset.node));
    }

    choose(event) {
      const group = event.target.closest?.("[data-node]");
      const node = group ? Number(group.dataset.node) : null;
      this.store.select(node === this.store.selected ? null : node);
    }

    /** Arrows walk the tree: along a beam with left and right, between neighbours with up and down. */
    key(event) {
      const group = event.target.closest?.("[data-node]");
      if (!group || event.ctrlKey || event.metaKey || event.altKey) return;
      const node = Number(group.dataset.node);
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        this.store.select(node === this.store.selected ? null : node);
        return;
      }
      const next = neighbour(this.step, node, event.key);
      if (next === null) return;
      event.preventDefault();
      event.stopPropagation();
      this.focus(next);
    }

    focus(node) {
      for (const group of this.groups) group.setAttribute("tabindex", "-1");
      this.groups[node].setAttribute("tabindex", "0");
      this.groups[node].focus({ preventScroll: false });
    }
  }

  /**
   * The set of nodes a light falls on; the pick counts as node N.
   * @param {StepPicture} step
   */
  RD.litNodes = (step, { node, beam }) => {
    const lit = new Set();
    if (node !== null && node !== undefined) {
      const count = step.nodes.parent.length;
      let at = node;
      if (node === count && step.pick) {
        lit.add(node);
        at = step.pick.node;
      }
      while (at >= 0 && at < count) {
        lit.add(at);
        at = step.nodes.parent[at];
      }
    } else if (beam !== null && beam !== undefined) {
      lit.add(0);
      for (const item of step.beams.find((row) => row.b === beam)?.nodes ?? []) lit.add(item);
    }
    return lit;
  };

  /**
   * The largest size whose columns fit into `room` pixels; the smallest where none does.
   * @param {StepPicture} step
   */
  function fitting(step, room) {
    for (const size of SIZES) {
      if (step.rows > size.most) continue;
      const place = placement(step, size, room);
      if (room <= 0 || place.width * size.least <= room || size === SIZES.at(-1)) return { size, place };
    }
    return null;
  }

  /** @param {StepPicture} step */
  function placement(step, size, room) {
    const { parent, depth, row, label } = step.nodes;
    const count = parent.length + (step.pick ? 1 : 0);
    const depths = step.pick ? [...depth, depth[step.pick.node] + 1] : depth;
    const rows = step.pick ? [...row, step.pick.row] : row;
    const labels = step.pick ? [...label, step.pick.label] : label;
    const widths = new Array(count);
    const columns = new Array(step.columns).fill(0);
    for (let node = 0; node < count; node += 1) {
      widths[node] = 30 + RD.cells(RD.clip(labels[node], size.letters)) * size.cell + ((node && size.share) || 4);
      columns[depths[node]] = Math.max(columns[depths[node]], widths[node]);
    }
    const filled = columns.reduce((sum, width) => sum + width, 2 * MARGIN);
    const gap = Math.min(size.gap, Math.max(size.tight, (room - filled) / Math.max(1, columns.length - 1)));
    const left = [MARGIN];
    for (const width of columns) left.push(left.at(-1) + width + gap);
    return {
      widths,
      x: depths.map((at) => left[at]),
      y: rows.map((at) => MARGIN + size.pill / 2 + at * size.row),
      width: Math.ceil(left.at(-1) - gap + MARGIN),
      height: Math.ceil(2 * MARGIN + size.pill + (step.rows - 1) * size.row),
    };
  }

  function edge(place, from, to, status) {
    const x0 = place.x[from] + place.widths[from];
    const x1 = place.x[to];
    const [y0, y1] = [place.y[from], place.y[to]];
    const bend = (x1 - x0) * 0.5;
    return s("path", { class: `rp-edge is-${status}`, "data-to": to, d: `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}` });
  }

  /** @param {StepPicture} step */
  function pill(step, node, place, size) {
    const { nodes } = step;
    const status = RD.STATUS[nodes.status[node]];
    const copied = nodes.origin[node] === "c";
    const name = `${status.title}: ${nodes.label[node]}${copied ? ", copied from earlier in the text" : ""}${node ? `, base model ${RD.percent(nodes.base[node])}` : ""}`;
    return shape({ node, status, copied, label: nodes.label[node], share: node ? nodes.base[node] : null, name, place, size });
  }

  /** @param {StepPicture} step */
  function pickPill(step, place, size) {
    const { pick } = step;
    const name = `${RD.STATUS.k.title}: ${pick.label}, ${RD.percent(pick.base)}. Next root.`;
    const node = step.nodes.parent.length;
    return shape({ node, status: RD.STATUS.k, label: pick.label, share: pick.base, name, place, size });
  }

  function shape({ node, status, copied = false, label, share, name, place, size }) {
    const width = place.widths[node];
    const y = place.y[node] - size.pill / 2;
    const middle = size.pill / 2 + 0.5;
    const group = s(
      "g",
      { class: `rp-node is-${status.name}${copied ? " is-copied" : ""}`, "data-node": node, transform: `translate(${place.x[node]} ${y})`, tabindex: node ? -1 : 0, role: "img", "aria-label": name },
      s("rect", { class: "rp-pill", width, height: size.pill, rx: size.pill / 2 }),
      s("text", { class: "rp-glyph", x: 13, y: middle }, status.glyph),
      s("text", { class: "rp-label", x: 24, y: middle }, RD.clip(label, size.letters)),
    );
    if (share !== null && share !== undefined) {
      const start = size.share ? 12 : 24; // small pills have no room for it below the glyph
      if (size.share) group.append(s("text", { class: "rp-share", x: width - 10, y: middle }, RD.percent(share)));
      group.append(
        s("line", { class: "rp-level", x1: start, x2: start + Math.max(1, (width - 12 - start) * share), y1: size.pill - 2.5, y2: size.pill - 2.5 }),
      );
    }
    return group;
  }

  /** @param {StepPicture} step */
  function neighbour(step, node, key) {
    const count = step.nodes.parent.length;
    const parents = step.pick ? [...step.nodes.parent, step.pick.node] : step.nodes.parent;
    const rows = step.pick ? [...step.nodes.row, step.pick.row] : step.nodes.row;
    const depths = parents.map((parent, at) => (at < count ? step.nodes.depth[at] : step.nodes.depth[parent] + 1));
    if (key === "ArrowLeft") return parents[node] >= 0 ? parents[node] : null;
    if (key === "ArrowRight") {
      const child = parents.indexOf(node);
      return child >= 0 ? child : null;
    }
    if (key !== "ArrowUp" && key !== "ArrowDown") return null;
    const sign = key === "ArrowDown" ? 1 : -1;
    let best = null;
    rows.forEach((row, other) => {
      const ahead = (row - rows[node]) * sign;
      if (depths[other] === depths[node] && ahead > 0 && (best === null || ahead < (rows[best] - rows[node]) * sign)) best = other;
    });
    return best;
  }

  RD.TreeView = TreeView;
})();
