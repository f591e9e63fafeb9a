// The prefix tree as SVG: pills in columns by depth, the accepted path drawn strong, fitted into its box.
(() => {
  /** @typedef {import("./types").StepPicture} StepPicture */
  const RD = window.ReDrafter;
  const { h, s } = RD;
  // Pixels. Small pills come before small scale: letters stay readable.
  /** @typedef {{ name: string, row: number, pill: number, cell: number, gap: number, tight: number, share: number, letters: number }} Size */
  /** @type {Size[]} */
  const SIZES = [
    { name: "roomy", row: 34, pill: 27, cell: 7.3, gap: 30, tight: 18, share: 40, letters: 15 },
    { name: "dense", row: 26, pill: 22, cell: 6.4, gap: 24, tight: 12, share: 36, letters: 12 },
  ];
  // Where room is dear sideways: the chance stands under the token.
  /** @type {Size} */
  const SLIM = {
    name: "slim",
    row: 37,
    pill: 32,
    cell: 6.4,
    gap: 14,
    tight: 6,
    share: 0,
    letters: 10,
  };
  const NEAR = 4; // pixels that a drawing does not follow
  const NARROW = 480; // pixels of a box
  const LEAST_HEIGHT = 84; // of a drawing that keeps its height
  const MARGIN = 8;
  const MOST = 48; // pills; more are no longer seen at a glance
  const LEAST = 0.66; // below this scale nobody reads a label

  /** Draws steps into `box`; hovering and focusing a node lights it through the store. */
  class TreeView {
    /** @param {() => number} tall the most pixels the drawing may take downwards */
    constructor(
      box,
      store,
      tall = () => Math.max(280, Math.min(560, window.innerHeight * 0.6)),
      { steady = false } = {},
    ) {
      this.box = box;
      this.store = store;
      this.tall = tall;
      this.steady = steady;
      this.step = null;
      this.whole = false;
      this.opened = new Set();
      this.svg = s("svg", { class: "rp-tree", role: "group", "aria-label": "Prefix tree" });
      this.tools = this.toolbar();
      this.box.append(this.svg, h("div", { class: "rp-treefoot" }, RD.legend(), this.tools));
      this.groups = new Map(); // by an item's key: its pill
      this.paths = new Map(); // and the edge that leads to it
      this.svg.addEventListener("pointerover", (event) => this.point(event));
      this.svg.addEventListener("pointerleave", () => store.setLight(store.selected ?? null));
      this.svg.addEventListener("focusin", (event) => this.point(event));
      this.svg.addEventListener("click", (event) => this.choose(event));
      this.svg.addEventListener("keydown", (event) => this.key(event));
      this.pan = new RD.PanZoom(
        this.svg,
        (view, room) => this.show(view, room),
        (free) => this.tell(free),
      );
    }

    toolbar() {
      const tool = (label, act, text) =>
        h(
          "button",
          {
            type: "button",
            class: "rp-icon is-small",
            "aria-label": label,
            title: label,
            onclick: act,
          },
          text,
        );
      this.fold = h("button", {
        type: "button",
        class: "rp-chip is-small",
        "data-act": "fold",
        onclick: () => this.flip(),
      });
      this.hint = h("span", { class: "rp-quiet rp-panhint", hidden: true }, "drag to move");
      return h(
        "div",
        { class: "rp-treetools", role: "group", "aria-label": "View of the tree" },
        this.fold,
        this.hint,
        tool("Zoom out", () => this.pan.zoom(1 / 1.25), "−"),
        tool("Zoom in", () => this.pan.zoom(1.25), "+"),
        tool("Fit the tree", () => this.pan.fit(), "⤢"),
      );
    }

    /** @param {StepPicture | null} step */
    draw(step) {
      const room = { width: this.box.clientWidth, height: Math.max(160, this.tall()) };
      const same =
        this.room &&
        room.width === this.room.width &&
        Math.abs(room.height - this.room.height) < NEAR;
      if (step === this.step && same) return this.light();
      if (room.width <= 0) return undefined; // hidden: drawn when it is seen
      if (step !== this.step) this.opened = new Set();
      this.step = step;
      this.room = room;
      if (step) return this.paint(step, room);
      this.edges = null;
      this.svg.replaceChildren();
      return undefined;
    }

    /** @param {StepPicture} step */
    paint(step, room) {
      const { size, layout, place } = fitting(step, room, this.whole, this.opened);
      this.items = layout.items;
      this.place = place;
      this.size = size;
      this.groups.clear();
      this.paths.clear();
      const edges = s("g", { class: "rp-edges" });
      const nodes = s("g", { class: "rp-nodes" });
      layout.items.forEach((item, at) => {
        if (item.parent >= 0) {
          this.paths.set(item.key, RD.treeEdge(layout.items, place, item, at));
          edges.append(this.paths.get(item.key));
        }
        const group = RD.treePill(step, item, place, at, size);
        this.groups.set(item.key, group);
        nodes.append(group);
      });
      // Painted last: the path lies over its siblings' edges.
      for (const strong of edges.querySelectorAll(".is-accepted, .is-picked")) edges.append(strong);
      const height = this.heightOf(place, room);
      this.svg.style.height = `${height}px`;
      Object.assign(this.svg.dataset, {
        nodes: step.nodes.parent.length,
        step: step.index,
        size: size.name,
        folded: layout.folded,
      });
      this.height = height;
      this.svg.classList.toggle("is-dense", size.name !== "roomy");
      this.svg.replaceChildren(edges, nodes);
      this.edges = edges;
      this.pan.place(place, { width: room.width, height }, place.path, LEAST);
      this.drawTools(layout);
      this.light();
    }

    /** A steady drawing grows with the trees of a run, and never shrinks under the text. On a phone height is dear. */
    heightOf(place, room) {
      const scale = Math.min(1, Math.max(LEAST, room.width / place.width));
      const own = Math.ceil(place.height * scale);
      if (!this.steady || window.innerWidth <= 860) return Math.min(room.height, own);
      const { run } = this.store;
      const before = this.grown?.run === run ? this.grown.height : LEAST_HEIGHT;
      this.grown = { run, height: Math.max(before, own) };
      return Math.min(room.height, this.grown.height);
    }

    drawTools(layout) {
      const any = layout.folded > 0 || this.whole || this.opened.size > 0;
      this.fold.hidden = !any;
      const folded = layout.folded > 0;
      RD.say(this.fold, folded ? `Unfold ${RD.plural(layout.folded, "node")}` : "Fold");
      this.fold.title = folded ? "Show every node of the tree" : "Fold what decoding never reached";
    }

    flip() {
      this.whole = Number(this.svg.dataset.folded) > 0;
      this.opened = new Set();
      this.repaint();
    }

    repaint() {
      if (this.step) this.paint(this.step, this.room);
    }

    show({ x, y, scale }, { width, height }) {
      this.svg.setAttribute(
        "viewBox",
        `${x.toFixed(1)} ${y.toFixed(1)} ${(width / scale).toFixed(1)} ${(height / scale).toFixed(1)}`,
      );
      this.svg.dataset.scale = scale.toFixed(3);
    }

    /** A part of the tree is out of sight: say how to get there. */
    tell(free) {
      this.hint.hidden = !free;
      this.svg.classList.toggle("is-free", free);
    }

    /** Show what the store lights: a node's whole path, or a beam's. */
    light() {
      const { step, store } = this;
      if (!step || !this.edges) return;
      const lit = RD.litNodes(step, store.light);
      this.svg.classList.toggle("is-lighting", lit.size > 0);
      for (const item of this.items) {
        const group = this.groups.get(item.key);
        group.classList.toggle("is-lit", lit.has(item.node));
        group.classList.toggle("is-chosen", item.node !== null && store.selected === item.node);
      }
      for (const path of this.edges.children)
        path.classList.toggle("is-lit", lit.has(Number(path.dataset.to)));
    }

    point(event) {
      const group = event.target.closest?.("[data-node]");
      if (group) this.store.setLight(Number(group.dataset.node));
    }

    choose(event) {
      if (this.pan.moved) return;
      const fold = event.target.closest?.("[data-fold]");
      if (fold) return this.open(fold.dataset.fold);
      const group = event.target.closest?.("[data-node]");
      const node = group ? Number(group.dataset.node) : null;
      return this.store.select(node === this.store.selected ? null : node);
    }

    open(key) {
      this.opened.add(key);
      this.repaint();
    }

    /** Arrows walk the tree; plus, minus and 0 zoom. */
    key(event) {
      const group = event.target.closest?.(".rp-node");
      if (!group || event.ctrlKey || event.metaKey || event.altKey) return;
      const item = this.items.find(({ key }) => this.groups.get(key) === group);
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        if (item.node === null) this.open(item.key);
        else this.store.select(item.node === this.store.selected ? null : item.node);
        return;
      }
      const zoom = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
      if (zoom) this.pan.zoom(zoom);
      else if (event.key === "0") this.pan.fit();
      const next = RD.neighbour(this.items, item, event.key);
      if (!next && !zoom && event.key !== "0") return;
      event.preventDefault();
      event.stopPropagation();
      if (next) this.focus(next);
    }

    focus(item) {
      for (const group of this.groups.values()) group.setAttribute("tabindex", "-1");
      const group = this.groups.get(item.key);
      group.setAttribute("tabindex", "0");
      group.focus({ preventScroll: true });
      const at = this.items.indexOf(item);
      this.pan.bring({
        left: this.place.x[at],
        right: this.place.x[at] + this.place.widths[at],
        top: this.place.y[at] - 14,
        bottom: this.place.y[at] + 14,
      });
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
   * The largest pills in which the tree, folded as far as it must be, fits.
   * @param {StepPicture} step
   */
  function fitting(step, room, whole, opened) {
    let made = null;
    for (const size of room.width < NARROW ? [SLIM] : SIZES) {
      const rows = Math.max(5, Math.floor((room.height - 2 * MARGIN) / (size.row * 0.84)));
      const layout = RD.layoutTree(step, {
        rows: Math.min(rows, size === SIZES[0] ? 18 : 26),
        most: MOST,
        whole,
        opened,
      });
      const place = placement(step, layout, size, room.width);
      made = { size, layout, place };
      const scale = Math.min(room.width / place.width, room.height / place.height);
      if (scale >= 0.84 && layout.folded === 0) break;
      if (scale >= 0.84 && size === SIZES[0]) break;
    }
    return made;
  }

  /** What a token of so many pixels needs: its sign before it, its chance behind or under it. */
  function pillWidth(token, hasChance, size) {
    if (size === SLIM) return hasChance ? Math.max(token + 28, 52) : token + 28;
    return token + 30 + (hasChance ? size.share : 4);
  }

  /** @param {StepPicture} step */
  function placement(step, { items, rows, columns }, size, room) {
    const widest = new Array(columns).fill(0);
    const widths = items.map((item) => {
      const own = RD.cells(RD.clip(RD.labelOf(step, item), size.letters)) * size.cell;
      const width = item.node === null ? own + 22 : pillWidth(own, item.node > 0, size);
      widest[item.depth] = Math.max(widest[item.depth], width);
      return width;
    });
    const filled = widest.reduce((sum, width) => sum + width, 2 * MARGIN);
    const gap = Math.min(
      size.gap,
      Math.max(size.tight, (room - filled) / Math.max(1, columns - 1)),
    );
    const left = [MARGIN];
    for (const width of widest) left.push(left.at(-1) + width + gap);
    const x = items.map((item) => left[item.depth]);
    const y = items.map((item) => MARGIN + size.pill / 2 + item.row * size.row);
    const path = { left: Infinity, right: 0, top: Infinity, bottom: 0 };
    items.forEach(({ status }, at) => {
      if (!"rak".includes(status)) return;
      path.left = Math.min(path.left, x[at]);
      path.right = Math.max(path.right, x[at] + widths[at]);
      path.top = Math.min(path.top, y[at] - size.pill / 2);
      path.bottom = Math.max(path.bottom, y[at] + size.pill / 2);
    });
    return {
      widths,
      x,
      y,
      path,
      width: Math.ceil(left.at(-1) - gap + MARGIN),
      height: Math.ceil(2 * MARGIN + size.pill + (rows - 1) * size.row),
    };
  }

  RD.TreeView = TreeView;
})();
