// The whole run as a map: a column a step, tokens it wrote above the line, wasted nodes below; brush to zoom.
(() => {
  /** @typedef {import("./types").StripItem} StripItem */
  const RD = window.ReDrafter;
  const { h, s } = RD;
  const UP = 34;
  const DOWN = 14;
  const GAP = 1.5; // between what is above the line and what is below

  class RunMap {
    constructor(store) {
      this.store = store;
      this.window = { from: 0, to: 0 };
      this.svg = s("svg", { class: "rp-map-svg", height: UP + DOWN + GAP, "aria-hidden": "true" });
      this.all = h(
        "button",
        {
          type: "button",
          class: "rp-chip is-small",
          "data-act": "map-all",
          hidden: true,
          onclick: () => this.showAll(),
        },
        "All steps",
      );
      this.tip = h("div", { class: "rp-maptip", hidden: true });
      this.element = h("div", { class: "rp-map-box" }, this.svg, this.tip);
      this.svg.addEventListener("pointerdown", (event) => this.down(event));
      this.svg.addEventListener("pointermove", (event) => this.move(event));
      this.svg.addEventListener("pointerup", (event) => this.up(event));
      this.svg.addEventListener("pointerleave", () => (this.tip.hidden = true));
    }

    get zoomed() {
      const steps = this.store.run?.steps ?? 0;
      return this.window.to - this.window.from < steps;
    }

    draw() {
      const { run, index } = this.store;
      const steps = run?.steps ?? 0;
      if (this.drawn !== run || !this.whole) this.window = { from: 0, to: steps };
      if (this.drawn !== run) this.whole = null;
      this.drawn = run;
      if (this.whole) this.window = RD.windowWith(this.window, index, steps);
      this.all.hidden = !this.zoomed;
      this.paint(run?.strip ?? [], index, run?.head?.length ?? 1);
    }

    /** @param {StripItem[]} strip */
    paint(strip, index, length) {
      const width = Math.max(60, this.svg.clientWidth || this.element.clientWidth);
      const { from, to } = this.window;
      this.scale = RD.mapScale(this.window, width);
      const most = strip.reduce((top, [accepted, nodes]) => Math.max(top, nodes - accepted), 1);
      const tallest = Math.max(
        2,
        Math.min(
          length + 1,
          strip.reduce((top, [, , emitted]) => Math.max(top, emitted), 1),
        ),
      );
      const columns = [];
      for (let step = from; step < Math.min(to, strip.length); step += 1) {
        columns.push(
          column(
            this.scale,
            step,
            RD.columnOf(strip[step], tallest, most, UP, DOWN),
            step === index,
          ),
        );
      }
      this.svg.setAttribute("viewBox", `0 0 ${width} ${UP + DOWN + GAP}`);
      this.svg.dataset.columns = columns.length;
      this.svg.replaceChildren(...columns);
      this.brush = null;
    }

    showAll() {
      this.whole = null;
      this.draw();
    }

    down(event) {
      if (event.button) return;
      this.start = event.offsetX;
      this.svg.setPointerCapture(event.pointerId);
    }

    move(event) {
      const { strip, steps } = this.store.run ?? { strip: [], steps: 0 };
      if (!steps) return;
      if (this.start !== undefined && Math.abs(event.offsetX - this.start) > 6)
        this.drawBrush(event.offsetX);
      const step = this.scale.stepAt(event.offsetX);
      if (!strip[step]) return;
      const [accepted, nodes, emitted] = strip[step];
      this.tip.hidden = false;
      RD.say(
        this.tip,
        `Step ${step + 1}: ${RD.plural(emitted, "token")}, ${accepted} of ${RD.plural(nodes, "drafted node")} accepted`,
      );
      this.tip.style.left = `${Math.min(this.element.clientWidth - 236, Math.max(0, this.scale.x(step) - 118))}px`;
    }

    drawBrush(x) {
      const [left, right] = [Math.min(x, this.start), Math.max(x, this.start)];
      this.brush ??= this.svg.appendChild(
        s("rect", { class: "rp-brush", y: 0, height: UP + DOWN + GAP }),
      );
      this.brush.setAttribute("x", left);
      this.brush.setAttribute("width", right - left);
    }

    up(event) {
      if (this.start === undefined) return;
      const start = this.start;
      this.start = undefined;
      const steps = this.store.run?.steps ?? 0;
      if (!steps) return;
      if (Math.abs(event.offsetX - start) <= 6) {
        this.store.goTo(this.scale.stepAt(event.offsetX));
        return;
      }
      this.window = RD.brushed(this.window, steps, this.scale, start, event.offsetX);
      this.whole = this.zoomed ? true : null;
      const { index } = this.store;
      if (this.whole && (index < this.window.from || index >= this.window.to))
        this.store.goTo(this.window.from);
      else this.store.emit("step");
    }
  }

  function column({ x, bar }, step, { accepted, picked, wasted }, now) {
    const left = x(step) - bar / 2;
    const piece = (name, y, height) =>
      height > 0 &&
      s("rect", {
        class: name,
        x: left.toFixed(2),
        width: bar.toFixed(2),
        y: y.toFixed(2),
        height: height.toFixed(2),
      });
    return s(
      "g",
      { class: now ? "is-now" : null },
      now &&
        s("rect", {
          class: "rp-nowcolumn",
          x: (left - 1.5).toFixed(2),
          width: (bar + 3).toFixed(2),
          y: 0,
          height: UP + DOWN + GAP,
        }),
      piece("is-accepted", UP - picked - accepted, accepted),
      piece("is-picked", UP - picked, picked),
      piece("is-wasted", UP + GAP, wasted),
    );
  }

  RD.RunMap = RunMap;
})();
