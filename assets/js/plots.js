// Charts of the shown run that can be zoomed, read off and saved: plotly.js, fetched from this server when first opened.
(() => {
  /** @typedef {import("./types").ChartPicture} ChartPicture */
  /** @typedef {import("./types").ComparePicture} ComparePicture */
  /** @typedef {import("./types").HonestyPicture} HonestyPicture */
  /** @typedef {import("./types").Failure} Failure */
  const RD = window.ReDrafter;
  const { h } = RD;
  const CHARTS = [
    ["rates", "Rate over time"],
    ["positions", "Accepted by position"],
    ["histogram", "Accepted per step"],
    ["stages", "Time by stage"],
    ["all-steps", "All steps"],
    ["honesty", "Is the drafter honest?"],
    ["misses", "Where it misses"],
  ];
  const OVER_RUNS = ["honesty", "misses"]; // can be drawn over several runs
  const SURFACES = [
    ["map", "Beam shapes"],
    ["space", "Beam shapes in space"],
  ]; // of the sweep, once there is one
  const COMPARE = "compare";
  // What each chart's numbers are, where it is no figure of its own name.
  const FIGURES = {
    stages: "stages-step",
    "all-steps": "node",
    map: "shape",
    space: "shape",
    [COMPARE]: "claims",
  };
  const LEAST_MS = 400; // between two drawings of a run that grows
  // A frame with an arrow into it, and letters of the format; in plotly.js's own form.
  const SAVE = {
    width: 1000,
    height: 1000,
    path: "M450 60v420h-130l180 220 180-220h-130v-420zM80 700v220h840v-220h-90v130h-660v-130z",
  };

  let loading = null;

  /**
   * What the mode bar offers: zooming, and saving the picture in both formats, by this page alone.
   * @param {() => string} name of the file, without its end
   */
  RD.plotConfig = (box, name) => ({
    displaylogo: false,
    responsive: true,
    showLink: false,
    plotlyServerURL: "",
    modeBarButtonsToRemove: [
      "toImage",
      "sendChartToCloud",
      "sendDataToCloud",
      "editInChartStudio",
      "lasso2d",
      "select2d",
    ],
    modeBarButtonsToAdd: ["svg", "png"].map((format) => ({
      name: `save-${format}`,
      title: `Save as ${format.toUpperCase()}`,
      icon: SAVE,
      click: () => savePlot(box, name(), format),
    })),
  });

  async function savePlot(box, name, format) {
    const url = await window.Plotly.toImage(box, { format, scale: format === "png" ? 2 : 1 });
    h("a", { href: url, download: `${name}.${format}` }).click();
  }

  /** How a file of a run begins. */
  RD.runFile = (run) => `redrafter-${run?.head?.run.slice(0, 12) ?? "sweep"}`;

  /** The one copy of plotly.js, run once; the page's first paint does not wait for it. */
  RD.plotly = (server) => {
    loading ??= server.plot_code(null).then(({ code }) => {
      new Function(code).call(window);
      return window.Plotly;
    });
    loading.catch(() => (loading = null));
    return loading;
  };

  class ChartsDialog {
    constructor(store) {
      this.store = store;
      this.name = CHARTS[0][0];
      this.drawn = 0;
      this.box = h("div", { class: "rp-plot", role: "figure" });
      this.said = h("p", { class: "rp-quiet", role: "status" });
      this.table = h("div", { class: "rp-plottable" });
      this.source = h("p", { class: "rp-quiet rp-plotsource" });
      this.measure = h("select", {
        class: "rp-select",
        "aria-label": "Measure of the beam shapes",
        onchange: () => this.draw(),
      });
      this.other = h("select", {
        class: "rp-select",
        "aria-label": "Run to compare with",
        onchange: () => this.draw(),
      });
      this.all = h("input", { type: "checkbox", onchange: () => this.draw() });
      this.allName = h("span");
      this.allBox = h(
        "label",
        { class: "rp-check", "data-act": "all-runs" },
        this.all,
        this.allName,
      );
      this.words = h("ul", { class: "rp-comparison rp-quiet" });
      this.picks = [...CHARTS, ...SURFACES, [COMPARE, "Compare with"]].map(([name, title]) =>
        h(
          "button",
          {
            type: "button",
            class: "rp-chip",
            "data-chart": name,
            onclick: () => this.choose(name),
          },
          title,
        ),
      );
      const save = (format) =>
        h(
          "button",
          {
            type: "button",
            class: "rp-chip",
            "data-save": format,
            onclick: () => this.save(format),
          },
          `Save as ${format.toUpperCase()}`,
        );
      this.element = RD.toolDialog(
        "Charts of this run",
        h(
          "div",
          { class: "rp-measures", role: "group", "aria-label": "Chart" },
          this.picks,
          this.other,
          this.measure,
          this.allBox,
        ),
        this.box,
        this.words,
        this.source,
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
      const surface = this.offer();
      if (this.picks.find((pick) => pick.dataset.chart === this.name).hidden)
        return this.choose(CHARTS[0][0]);
      if (!run?.head && !surface)
        return RD.say(
          this.said,
          "There is no run yet. Run a prompt, or open an example under Traces.",
        );
      this.drawing = true;
      if (!window.Plotly) RD.say(this.said, "Loading the charts…");
      const wanted = this.name;
      try {
        const theme = document.body.classList.contains("dark") ? "dark" : "light";
        /** @type {[any, ChartPicture | ComparePicture | Failure]} */
        const [library, answer] = await Promise.all([
          RD.plotly(server),
          this.ask(wanted, surface, theme),
        ]);
        if ("error" in answer) return RD.say(this.said, answer.error);
        if (wanted === this.name) await this.show(library, answer);
      } catch {
        RD.say(this.said, "The server does not answer. Is it still running?");
      } finally {
        this.drawing = false;
        this.drawnAt = performance.now();
      }
      return undefined;
    }

    ask(wanted, surface, theme) {
      const { run, server } = this.store;
      if (surface)
        return server.draw_surface([
          surface.widths,
          surface.lengths,
          this.cells(surface),
          this.measure.value,
          wanted,
          theme,
        ]);
      if (OVER_RUNS.includes(wanted))
        return server.draw_honesty([
          this.all.checked ? this.alike().map((item) => item.key) : [run.key],
          wanted,
          theme,
        ]);
      return wanted === COMPARE
        ? server.draw_comparison([run.key, this.other.value, theme])
        : server.draw_chart([run.key, wanted, theme]);
    }

    /** Offer what there is; the measured surface where a chart of it is chosen. */
    offer() {
      const { surface } = this.store.sweep ?? {};
      const known =
        surface?.measures.filter((item) => item.values.flat().some((value) => value !== null)) ??
        [];
      const others = this.store.runs.filter((item) => item.head && item !== this.store.run);
      const ofSurface = (name) => SURFACES.some(([key]) => key === name);
      for (const pick of this.picks) {
        pick.setAttribute("aria-pressed", String(pick.dataset.chart === this.name));
        pick.hidden =
          (ofSurface(pick.dataset.chart) && !known.length) ||
          (pick.dataset.chart === COMPARE && !others.length);
      }
      this.other.hidden = !others.length;
      if (
        this.other.childElementCount !== others.length ||
        !others.some((item) => item.key === this.other.value)
      )
        RD.put(
          this.other,
          others.map((item) => h("option", { value: item.key }, RD.runName(item))),
        );
      this.measure.hidden = !ofSurface(this.name);
      const alike = this.alike().length;
      this.allBox.hidden = !OVER_RUNS.includes(this.name) || alike < 2;
      RD.say(this.allName, `All ${alike} runs of this pair`);
      if (!known.some((item) => item.key === this.measure.value))
        RD.put(
          this.measure,
          known.map((item) => h("option", { value: item.key }, item.name)),
        );
      return known.length && ofSurface(this.name) ? surface : null;
    }

    /** The runs of the shown run's pair, each once however often it was loaded. */
    alike() {
      const { run, runs } = this.store;
      if (!run?.head) return [];
      const ofPair = [run, ...runs].filter(
        ({ head }) => head?.base === run.head.base && head.drafter === run.head.drafter,
      );
      return ofPair.filter(
        (item, at) => ofPair.findIndex((other) => other.head.run === item.head.run) === at,
      );
    }

    cells(surface) {
      return surface.measures.find((item) => item.key === this.measure.value).values;
    }

    /** @param {ChartPicture & Partial<HonestyPicture>} chart */
    async show(library, chart) {
      const { data, layout } = JSON.parse(chart.figure);
      await library.react(
        this.box,
        data,
        { ...layout, autosize: true, uirevision: this.name },
        RD.plotConfig(this.box, () => this.file),
      );
      this.drawn += 1;
      Object.assign(this.box.dataset, { drawn: this.drawn, chart: this.name });
      this.box.setAttribute("aria-label", `${chart.title}; the table below says the same`);
      RD.say(this.said, "");
      for (const told of [this.source, this.table])
        told.dataset.figure = FIGURES[this.name] ?? this.name;
      RD.say(this.source, RD.sourceOf(this.store, this.source));
      RD.put(
        this.words,
        (chart.words ?? []).map((line) => h("li", {}, h("bdi", {}, line))),
      );
      RD.put(
        this.table,
        h(
          "table",
          { class: "rp-table" },
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              chart.columns.map((name) => h("th", { scope: "col" }, name)),
            ),
          ),
          h(
            "tbody",
            {},
            chart.rows.map((row) =>
              h(
                "tr",
                {},
                row.map((cell) => h("td", {}, cell)),
              ),
            ),
          ),
        ),
      );
    }

    async save(format) {
      if (!window.Plotly || !this.drawn) return;
      await savePlot(this.box, this.file, format);
    }

    get file() {
      return `${RD.runFile(this.store.run)}-${this.name}`;
    }
  }

  /** A run by its shape, and its name or prompt. */
  RD.runName = (run) =>
    `${run.head.width} × ${run.head.length}, ${RD.clip(RD.names.told(run), 40)} (${run.head.created.slice(11, 19)})`;

  RD.ChartsDialog = ChartsDialog;
})();
