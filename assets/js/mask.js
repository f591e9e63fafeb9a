// The tree-attention mask: who sees whom. Drawn on a canvas: a thousand nodes make a million cells.
(() => {
  /** @typedef {import("./types").StepPicture} StepPicture */
  const RD = window.ReDrafter;
  const { h } = RD;
  const HEAD = 20;
  const HEADING = 64; // pixels of the words above the tree's columns
  const GAP = 8; // between the labels, the cached text and the tree
  const LARGEST = 44; // pixels of a cell

  class MaskView {
    constructor(box, store) {
      this.store = store;
      this.canvas = h("canvas", {
        class: "rp-maskcanvas",
        role: "img",
        tabindex: 0,
        "aria-describedby": "rp-maskwords",
      });
      this.words = h("p", { class: "rp-maskwords", id: "rp-maskwords", "aria-live": "polite" });
      box.append(this.canvas, this.words);
      this.step = null;
      this.canvas.addEventListener("pointermove", (event) => this.point(event));
      this.canvas.addEventListener("pointerleave", () => store.setLight(store.selected ?? null));
      this.canvas.addEventListener("keydown", (event) => this.key(event));
    }

    /** @param {StepPicture | null} step */
    draw(step) {
      this.step = step;
      if (!step) return;
      const count = step.nodes.parent.length;
      const { clientWidth } = this.canvas.parentElement;
      this.labels = clientWidth < 420 ? 66 : 92; // labels, then the cached text, collapsed into one column
      this.gutter = this.labels + (clientWidth < 420 ? 44 : 62);
      const tall = Math.max(300, window.innerHeight - 190) - HEAD;
      const room = Math.min(clientWidth - this.gutter, tall);
      const fits = room / count;
      this.cell = fits >= 4 ? Math.min(LARGEST, Math.floor(fits)) : fits;
      this.size = this.cell * count;
      this.canvas.setAttribute(
        "aria-label",
        `Tree-attention mask of ${count} nodes: row sees column`,
      );
      this.canvas.dataset.nodes = count;
      this.light();
    }

    light() {
      const { step, canvas, cell, size } = this;
      if (!step) return;
      const scale = window.devicePixelRatio || 1;
      const width = this.gutter + Math.max(size, HEADING);
      canvas.width = Math.ceil(width * scale);
      canvas.height = Math.ceil((size + HEAD) * scale);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${size + HEAD}px`;
      const context = canvas.getContext("2d");
      context.scale(scale, scale);
      this.paint(context, cell, size);
      RD.say(this.words, this.sentence());
    }

    paint(context, cell, size) {
      const { step, store, labels, gutter } = this;
      const style = getComputedStyle(this.canvas);
      const colour = (name) => style.getPropertyValue(name).trim();
      const inset = cell > 5 ? 1 : cell > 2 ? 0.4 : 0;
      const chosen = store.light.node;
      this.heads(context, size, colour);
      context.fillStyle = colour("--rp-grid");
      context.fillRect(gutter, HEAD, size, size);
      step.mask.forEach((seen, row) => {
        const name = RD.STATUS[step.nodes.status[row]].name;
        const faint = chosen !== null && chosen !== row;
        context.fillStyle = colour(`--rp-${name}`);
        context.globalAlpha = faint ? 0.15 : 0.4;
        context.fillRect(
          labels,
          HEAD + row * cell + inset / 2,
          gutter - labels - GAP,
          cell - inset,
        );
        context.globalAlpha = faint ? 0.35 : 1;
        for (const column of seen) {
          context.fillRect(
            gutter + column * cell + inset / 2,
            HEAD + row * cell + inset / 2,
            cell - inset,
            cell - inset,
          );
        }
        if (cell >= 9)
          this.label(context, cell, row, colour(chosen === row ? "--rp-ink" : "--rp-soft"));
      });
      context.globalAlpha = 1;
      if (chosen !== null && chosen < step.mask.length)
        this.frame(context, cell, size, chosen, colour("--rp-ink"));
    }

    heads(context, size, colour) {
      context.fillStyle = colour("--rp-soft");
      context.font = "11px system-ui, sans-serif";
      context.textBaseline = "top";
      context.textAlign = "right";
      context.fillText("node", this.labels - GAP, 2);
      context.textAlign = "left";
      context.fillText("cache", this.labels, 2);
      context.fillText("tree nodes", this.gutter + 2, 2);
    }

    label(context, cell, row, ink) {
      context.fillStyle = ink;
      const letter = Math.min(11.5, cell);
      context.font = `${letter}px ui-monospace, Menlo, "DejaVu Sans Mono", monospace`;
      context.textAlign = "right";
      context.textBaseline = "middle";
      context.direction = "ltr";
      context.fillText(
        `\u2068${RD.clip(this.step.nodes.label[row], Math.floor((this.labels - GAP) / (letter * 0.61)))}\u2069`,
        this.labels - GAP,
        HEAD + (row + 0.5) * cell,
      );
    }

    /** The chosen row and its column. */
    frame(context, cell, size, node, ink) {
      context.strokeStyle = ink;
      context.lineWidth = 1.5;
      context.strokeRect(
        this.labels,
        HEAD + node * cell + 0.75,
        this.gutter - this.labels + size - 0.75,
        Math.max(2, cell - 1.5),
      );
      context.setLineDash([3, 3]);
      context.strokeRect(
        this.gutter + node * cell + 0.75,
        HEAD + 0.75,
        Math.max(2, cell - 1.5),
        size - 1.5,
      );
      context.setLineDash([]);
    }

    sentence() {
      const { step, store } = this;
      const { node } = store.light;
      if (node === null || node >= step.mask.length) {
        return "Each row is a node. It sees the whole cached text, its ancestors and itself; never a sibling's branch.";
      }
      const seen = step.mask[node];
      const by = step.mask.filter((row) => row.includes(node)).length;
      const names = seen.map((item) => step.nodes.label[item]).join(" → ");
      return `Node ${node} sees ${RD.plural(step.position, "cached token")} and ${names}. ${RD.plural(by, "node")} see${by === 1 ? "s" : ""} it.`;
    }

    point(event) {
      const box = this.canvas.getBoundingClientRect();
      const row = Math.floor((event.clientY - box.top - HEAD) / this.cell);
      if (this.step && row >= 0 && row < this.step.mask.length) this.store.setLight(row);
    }

    key(event) {
      const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!move || !this.step) return;
      event.preventDefault();
      event.stopPropagation();
      const at = (this.store.light.node ?? -move) + move;
      if (at >= 0 && at < this.step.mask.length) this.store.setLight(at);
    }
  }

  RD.MaskView = MaskView;
})();
