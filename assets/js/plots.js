// Charts of the shown run that can be zoomed, read off and saved: plotly.js, fetched from this server when first opened.
(() => {
  /** @typedef {import("./types").ChartPicture} ChartPicture */
  /** @typedef {import("./types").Failure} Failure */
  const RD = window.ReDrafter;
  const { h } = RD;
  const CHARTS = [["rates", "Rate over time"], ["positions", "Accepted by position"], ["histogram", "Accepted per step"], ["stages", "Time by stage"], ["all-steps", "All steps"]];
  const LEAST_MS = 400; // between two drawings of a run that grows
  const CONFIG = { displaylogo: false, responsive: true, showLink: false, plotlyServerURL: "", modeBarButtonsToRemove: ["toImage", "sendDataToCloud", "editInChartStudio", "lasso2d", "select2d"] };

  let loading = null;

  /** The one copy of plotly.js, run once; the page's first paint does not wait for it. */
  function plotly(server) {
    loading ??= server.plot_code(null).then(({ code }) => {
      new Function(code).call(window);
      return window.Plotly;
    });
    loading.catch(() => (loading = null));
    return loading;
  }

  class ChartsDialog {
    constructor(store) {
      this.store = store;
      this.name = CHARTS[0][0];
      this.drawn = 0;
      this.box = h("div", { class: "rp-plot", role: "figure" });
      this.said = h("p", { class: "rp-quiet", role: "status" });
      this.table = h("div", { class: "rp-plottable" });
      this.picks = CHARTS.map(([name, title]) => h("button", { type: "button", class: "rp-chip", "data-chart": name, onclick: () => this.choose(name) }, title));
      const save = (format) => h("button", { type: "button", class: "rp-chip", "data-save": format, onclick: () => this.save(format) }, `Save as ${format.toUpperCase()}`);
      this.element = RD.toolDialog(
        "Charts of this run",
        h("div", { class: "rp-measures", role: "group", "aria-label": "Chart" }, this.picks),
        this.box,
        h("div", { class: "rp-row" }, save("svg"), save("png"), this.said),
        h("details", {}, h("summary", {}, "As a table"), this.table),
      );
      store.on("run", () => this.element.open && this.store.run?.busy && this.follow());
    }

    async open() {
      this.element.showModal();
      await this.draw();
    }

    choose(name) {
      this.name = name;
      return this.draw();
    }

    /** A growing run is drawn again, but never before the last drawing is done. */
    async follow() {
      if (this.drawing || performance.now() - this.drawnAt < LEAST_MS) return;
      await this.draw();
    }

    async draw() {
      const { run, server } = this.store;
      for (const pick of this.picks) pick.setAttribute("aria-pressed", String(pick.dataset.chart === this.name));
      if (!run?.head) return RD.say(this.said, "There is no run yet. Run a prompt, or open an example under Traces.");
      this.drawing = true;
      if (!window.Plotly) RD.say(this.said, "Loading the charts…");
      const wanted = this.name;
      try {
        const theme = document.body.classList.contains("dark") ? "dark" : "light";
        /** @type {[any, ChartPicture | Failure]} */
        const [library, answer] = await Promise.all([plotly(server), server.draw_chart([run.key, wanted, theme])]);
        if (answer.error) return RD.say(this.said, answer.error);
        if (wanted === this.name) await this.show(library, answer);
      } catch {
        RD.say(this.said, "The server does not answer. Is it still running?");
      } finally {
        this.drawing = false;
        this.drawnAt = performance.now();
      }
      return undefined;
    }

    /** @param {ChartPicture} chart */
    async show(library, chart) {
      const { data, layout } = JSON.parse(chart.figure);
      await library.react(this.box, data, { ...layout, autosize: true, uirevision: this.name }, CONFIG);
      this.drawn += 1;
      Object.assign(this.box.dataset, { drawn: this.drawn, chart: this.name });
      this.box.setAttribute("aria-label", `${chart.title}; the table below says the same`);
      RD.say(this.said, "");
      RD.put(
        this.table,
        h("table", { class: "rp-table" }, h("thead", {}, h("tr", {}, chart.columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, chart.rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell)))))),
      );
    }

    async save(format) {
      if (!window.Plotly || !this.drawn) return;
      const name = `redrafter-${this.store.run.head.run.slice(0, 12)}-${this.name}`;
      const url = await window.Plotly.toImage(this.box, { format, scale: format === "png" ? 2 : 1 });
      h("a", { href: url, download: `${name}.${format}` }).click();
    }
  }

  RD.ChartsDialog = ChartsDialog;
})();
