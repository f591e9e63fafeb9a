// The small charts beside the text: the page's own drawing while they move, plotly.js once the run is over and someone
// points at one or focuses it. The file of one run has no plotly.js and keeps the page's own.
(() => {
  /** @typedef {import("./types").ChartPicture} ChartPicture */
  /** @typedef {import("./types").Failure} Failure */
  const RD = window.ReDrafter;
  const { h } = RD;
  const SMALL = { height: 200, margin: { l: 46, r: 10, t: 30, b: 40 }, font: { size: 11 } };

  class HandOver {
    /**
     * @param {string} name of the chart, as the server knows it
     * @param {() => void} redraw asks the view for its own drawing, or for this one's
     */
    constructor(box, store, name, redraw) {
      this.box = box;
      this.store = store;
      this.name = name;
      this.redraw = redraw;
      this.wanted = false;
      this.plot = null;
      this.of = "";
      store.on("step", () => this.of && this.takes()); // another theme
      for (const interest of ["pointerenter", "focusin"])
        box.addEventListener(interest, () => this.want());
    }

    want() {
      if (this.wanted || !this.store.run?.head || this.store.run.busy) return;
      this.wanted = true;
      this.redraw();
    }

    get theme() {
      return document.body.classList.contains("dark") ? "dark" : "light";
    }

    /** Whether plotly.js has the chart; if not, it may be on its way, and the view draws its own meanwhile. */
    takes() {
      const { run } = this.store;
      const of = `${run?.key} ${this.theme}`;
      if (run?.busy || !run?.head || !(this.wanted || window.Plotly)) {
        this.release();
        return false;
      }
      if (this.of === of) return true;
      if (this.asked !== of) this.fetch(run, of);
      if (!this.of.startsWith(run.key)) this.release();
      return Boolean(this.of);
    }

    /** The page draws again. */
    release() {
      if (this.plot) window.Plotly.purge(this.plot);
      this.plot = null;
      this.of = "";
      delete this.box.dataset.plotly;
    }

    async fetch(run, of) {
      this.asked = of;
      try {
        /** @type {[any, ChartPicture | Failure]} */
        const [library, chart] = await Promise.all([
          RD.plotly(this.store.server),
          this.store.server.draw_chart([run.key, this.name, this.theme]),
        ]);
        if ("error" in chart || this.store.run !== run || run.busy || this.asked !== of) return;
        await this.show(library, chart, of);
      } catch {
        this.wanted = false; // the page's own drawing stays; the next interest asks again
      } finally {
        this.asked = "";
      }
    }

    /** @param {ChartPicture} chart */
    async show(library, chart, of) {
      const { data, layout } = JSON.parse(chart.figure);
      if (!this.plot) {
        this.plot = h("div", { class: "rp-smallplot", role: "figure" });
        RD.put(this.box, this.plot);
      }
      this.of = of;
      this.plot.setAttribute("aria-label", `${chart.title}; Charts has it with its table`);
      await library.react(
        this.plot,
        data,
        { ...layout, ...SMALL, font: { ...layout.font, ...SMALL.font }, autosize: true },
        RD.plotConfig(this.plot, () => `${RD.runFile(this.store.run)}-${this.name}`),
      );
      this.box.dataset.plotly = this.name;
      this.redraw(); // the library is here: its neighbour hands over too
    }
  }

  RD.HandOver = HandOver;
})();
