// Beam shapes: heat maps over width and length; where the numbers come from is not this view's business.
(() => {
  /** @typedef {import("./types").SurfacePicture} SurfacePicture */
  /** @typedef {import("./types").SweepFrame} SweepFrame */
  /** @typedef {import("./types").MeasurePicture} MeasurePicture */
  const RD = window.ReDrafter;
  const { h } = RD;
  const WIDTHS = [1, 2, 4, 8, 16, 32, 64];
  const LENGTHS = [1, 2, 3, 4, 5, 6, 8, 12];
  const REPEATS = 3; // the server runs every shape so often
  const EVEN_UP_TO = 1.03; // a speed-up below that is within what two runs of one thing differ by

  class ShapesView {
    constructor(store, { start, stop, takeShape }) {
      this.store = store;
      this.takeShape = takeShape;
      this.measure = "speedup";
      this.widths = this.choice("Widths", WIDTHS, [1, 2, 4, 8]);
      this.lengths = this.choice("Lengths", LENGTHS, [2, 3, 4, 5]);
      this.cost = h("span", { class: "rp-quiet" });
      this.startButton = h(
        "button",
        {
          type: "button",
          class: "rp-chip is-strong",
          "data-act": "sweep",
          onclick: () => start({ widths: this.widths.chosen(), lengths: this.lengths.chosen() }),
        },
        "Measure these shapes",
      );
      this.stopButton = h(
        "button",
        {
          type: "button",
          class: "rp-chip",
          "data-act": "cancel-sweep",
          hidden: true,
          onclick: stop,
        },
        "Cancel",
      );
      this.progress = h("progress", { max: 1, value: 0, "aria-label": "Sweep", hidden: true });
      this.words = h("p", { class: "rp-verdict", "aria-live": "polite" });
      this.warning = h("p", { class: "rp-warning", role: "status", hidden: true });
      this.picks = h("div", { class: "rp-measures", role: "group", "aria-label": "Measure" });
      this.mapBox = h("div", {
        class: "rp-mapbox",
        "data-tour": "shapes",
        tabindex: 0,
        role: "region",
        "aria-label": "Map of beam shapes",
      });
      this.element = h(
        "div",
        { class: "rp-shapes" },
        h(
          "section",
          { class: "rp-panel", "aria-label": "Sweep" },
          h(
            "header",
            { class: "rp-panelhead" },
            h("h2", {}, "Measure beam shapes on the current prompt"),
          ),
          this.widths.element,
          this.lengths.element,
          h(
            "div",
            { class: "rp-row" },
            this.startButton,
            this.stopButton,
            this.cost,
            this.progress,
          ),
        ),
        h(
          "section",
          { class: "rp-panel", "aria-label": "Heat map" },
          this.words,
          this.warning,
          this.picks,
          this.mapBox,
        ),
      );
      this.count();
    }

    choice(title, values, chosen) {
      const boxes = values.map((value) =>
        h("input", {
          type: "checkbox",
          value,
          checked: chosen.includes(value),
          onchange: () => this.count(),
        }),
      );
      const element = h(
        "fieldset",
        { class: "rp-choice" },
        h("legend", {}, title),
        boxes.map((box) => h("label", { class: "rp-check" }, box, h("span", {}, box.value))),
      );
      return {
        element,
        chosen: () => boxes.filter((box) => box.checked).map((box) => Number(box.value)),
      };
    }

    count() {
      const shapes = this.widths.chosen().length * this.lengths.chosen().length;
      this.startButton.disabled = !shapes;
      RD.say(
        this.cost,
        shapes
          ? `${RD.plural(shapes * REPEATS, "race")}: every shape ${REPEATS} times, in rounds`
          : "Choose at least one of each",
      );
      if (this.mapBox && !this.store.sweep?.surface) this.drawMap(null);
    }

    draw() {
      const { sweep } = this.store;
      const busy = sweep && ["queued", "running"].includes(sweep.state);
      const surface = sweep?.surface;
      this.stopButton.hidden = this.progress.hidden = !busy;
      this.startButton.disabled = Boolean(busy);
      if (busy) this.progress.value = surface ? surface.done / surface.total : 0;
      this.element.dataset.sweep = sweep?.state ?? "none";
      this.element.dataset.done = surface?.done ?? 0;
      RD.say(this.words, words(sweep, surface));
      RD.say(this.warning, surface?.warning ?? "");
      this.warning.hidden = !surface?.warning;
      if (this.drawn === surface && this.drawnMeasure === this.measure) return;
      this.drawn = surface;
      this.drawnMeasure = this.measure;
      this.drawMap(surface);
    }

    /** @param {SurfacePicture | null | undefined} surface */
    drawMap(surface) {
      if (!surface) {
        RD.put(this.picks);
        RD.put(this.mapBox, emptyMap(this.widths.chosen(), this.lengths.chosen()));
        return;
      }
      const known = surface.measures.filter((item) =>
        item.values.flat().some((value) => value !== null),
      );
      const shown =
        known.find((item) => item.key === this.measure) ?? known[0] ?? surface.measures[1];
      RD.put(
        this.picks,
        known.map((item) =>
          h(
            "button",
            {
              type: "button",
              class: "rp-chip",
              "aria-pressed": String(item === shown),
              onclick: () => ((this.measure = item.key), this.draw()),
            },
            item.name,
          ),
        ),
      );
      RD.put(this.mapBox, heatMap(surface, shown, this.takeShape));
    }
  }

  /**
   * @param {SweepFrame | null} sweep
   * @param {SurfacePicture | null | undefined} surface
   */
  function words(sweep, surface) {
    if (sweep?.state === "failed") return sweep.message;
    if (sweep?.state === "queued")
      return sweep.position
        ? `Waiting for the device: ${RD.plural(sweep.position, "run")} before this one.`
        : "Starting…";
    const lead =
      sweep?.state === "running" && surface
        ? `Measured ${surface.done} of ${surface.total} races. `
        : sweep?.stopped
          ? "Cancelled. "
          : "";
    return lead + (surface?.words ?? "");
  }

  /** The map before anything is measured: what the chosen shapes will fill. */
  function emptyMap(widths, lengths) {
    const says = `Each cell will be the median speed-up of ${REPEATS} races. Click a measured cell to set the sliders to its shape.`;
    return table(says, widths, lengths, () =>
      h("td", {}, h("span", { class: "rp-cellempty" }, "·")),
    );
  }

  /** @param {(row: number, column: number) => HTMLElement} cell */
  function table(caption, widths, lengths, cell) {
    return h(
      "table",
      { class: "rp-map" },
      h("caption", {}, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "width", h("br"), "\\\u00a0length"),
          lengths.map((length) => h("th", { scope: "col" }, length)),
        ),
      ),
      h(
        "tbody",
        {},
        widths.map((width, row) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, width),
            lengths.map((_, column) => cell(row, column)),
          ),
        ),
      ),
    );
  }

  /**
   * @param {SurfacePicture} surface
   * @param {MeasurePicture} measure
   * @param {(width: number, length: number) => void} takeShape
   */
  function heatMap(surface, measure, takeShape) {
    const values = measure.values.flat().filter((value) => value !== null);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const heat = (value) => {
      const share = high > low ? (value - low) / (high - low) : 0.5;
      return Math.round((measure.up ? share : 1 - share) * 100);
    };
    const parted = measure.key === "speedup"; // colours part at break-even
    const far = Math.max(0.05, ...values.map((value) => Math.abs(value - 1)));
    const look = (value) =>
      parted
        ? {
            kind: value < 1 ? " is-below" : value < EVEN_UP_TO ? " is-even" : " is-above",
            heat: Math.round((Math.abs(value - 1) / far) * 100),
          }
        : { kind: "", heat: heat(value) };
    const cell = (width, length, value, span) => {
      const best = surface.best?.[0] === width && surface.best?.[1] === length;
      if (value === null) return h("td", {}, h("span", { class: "rp-cellempty" }, "·"));
      const { kind, heat: strength } = look(value);
      const between = span ? `${RD.number(span[0], 2)} to ${RD.number(span[1], 2)}` : "";
      const text = `${RD.number(value, value >= 100 ? 0 : 2)}${measure.unit === "×" ? "×" : ""}`;
      return h(
        "td",
        {},
        h(
          "button",
          {
            type: "button",
            class: `rp-heat${kind}${best ? " is-best" : ""}`,
            style: `--heat:${strength}%`,
            "data-width": width,
            "data-length": length,
            "aria-label": `Width ${width}, length ${length}: ${text} ${measure.unit}${between && `, ${between} over its runs`}${best ? ", fastest" : ""}. Set the sliders to it.`,
            onclick: () => takeShape(width, length),
          },
          h("span", {}, best ? `★ ${text}` : text),
          between && h("small", {}, between),
        ),
      );
    };
    return table(
      `${measure.name}${measure.unit && measure.unit !== "×" ? `, ${measure.unit}` : ""}. ${parted ? "Median and range of its races; amber lost, green won. " : ""}★ marks a shape whose slowest race beat all others; click a cell to set the sliders.`,
      surface.widths,
      surface.lengths,
      (row, column) =>
        cell(
          surface.widths[row],
          surface.lengths[column],
          measure.values[row][column],
          measure.spans[row]?.[column],
        ),
    );
  }

  RD.ShapesView = ShapesView;
})();
