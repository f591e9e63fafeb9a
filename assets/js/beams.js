// The beams table: one guess a row, best score first; a row lights its path, a lit node lights its rows.
(() => {
  /** @typedef {import("./types").StepPicture & { blind?: boolean }} SeenStep blind: before its verdict may be seen */
  /** @typedef {import("./types").BeamPicture} BeamPicture */
  const RD = window.ReDrafter;
  const { h } = RD;

  const FIRST = 8;

  /**
   * The first beams, and the one that came furthest where it is not among them.
   * @param {BeamPicture[]} beams
   */
  function firstBeams(beams) {
    const first = beams.slice(0, FIRST);
    const best = beams.reduce((top, beam) => (beam.accepted > top.accepted ? beam : top), first[0]);
    return !best || first.includes(best) ? first : [...first, best];
  }

  class BeamsView {
    constructor(box, store) {
      this.box = box;
      this.store = store;
      this.rows = [];
      this.step = null;
      this.whole = false;
      this.more = h("button", {
        type: "button",
        class: "rp-chip is-small",
        "data-act": "beams",
        onclick: () => this.flip(),
      });
    }

    flip() {
      this.whole = !this.whole;
      const { step } = this;
      this.step = null;
      this.draw(step);
    }

    /** @param {SeenStep | null} step */
    draw(step) {
      if (step === this.step) return this.light();
      this.step = step;
      if (!step) return RD.put(this.box);
      if (!step.beams.length)
        return RD.put(
          this.box,
          h("p", { class: "rp-quiet" }, "This step's record holds no beams."),
        );
      const shown = this.whole ? step.beams : firstBeams(step.beams);
      this.rows = shown.map((beam) => this.row(step, beam));
      this.more.hidden = step.beams.length === shown.length && !this.whole;
      RD.say(this.more, this.whole ? `Show ${FIRST}` : `Show all ${step.beams.length} beams`);
      const length = Math.max(...step.beams.map((beam) => beam.nodes.length), 0);
      const heads = Array.from({ length }, (_, depth) => h("th", { scope: "col" }, depth + 1));
      RD.put(
        this.box,
        h(
          "table",
          { class: "rp-beams" },
          h("caption", { class: "rp-hidden" }, "Draft beams, best score first"),
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              h("th", { scope: "col" }, "Beam"),
              h(
                "th",
                {
                  scope: "col",
                  title:
                    "Probability of the whole beam, by the drafter. With sampling, beams are ordered with the seeded noise added.",
                },
                "p",
              ),
              heads,
            ),
          ),
          h(
            "tbody",
            {},
            this.rows.map((item) => item.element),
          ),
        ),
        step.beams.length > FIRST && this.more,
      );
      return this.light();
    }

    /**
     * @param {SeenStep} step
     * @param {BeamPicture} beam
     */
    row(step, beam) {
      const cells = beam.nodes.map((node) => {
        const status = RD.STATUS[step.nodes.status[node]];
        return h(
          "td",
          { class: `rp-beamcell is-${status.name}`, "data-node": node },
          h(
            "span",
            { class: "rp-cellglyph", "aria-label": status.title, role: "img" },
            status.glyph,
          ),
          h("bdi", { class: "rp-mono" }, RD.clip(step.nodes.label[node], 14)),
        );
      });
      const light = () => this.store.setLight(null, beam.b);
      const dark = () => this.store.setLight(this.store.selected ?? null);
      const element = h(
        "tr",
        {
          tabindex: 0,
          "data-beam": beam.b,
          "aria-label": `Beam ${beam.b + 1}: ${beam.nodes.map((node) => step.nodes.label[node]).join(" ")}${step.blind ? "" : `; ${beam.accepted} accepted`}`,
          onpointerenter: light,
          onpointerleave: dark,
          onfocus: light,
          onblur: dark,
        },
        h("th", { scope: "row" }, beam.b + 1),
        h("td", { class: "rp-score" }, RD.percent(beam.logp === null ? null : Math.exp(beam.logp))),
        cells,
      );
      return { element, cells, beam };
    }

    light() {
      const { step, store } = this;
      if (!step) return;
      const lit = RD.litNodes(step, store.light);
      const { node } = store.light;
      for (const { element, cells, beam } of this.rows) {
        const through = node > 0 && beam.nodes.includes(node);
        element.classList.toggle("is-lit", beam.b === store.light.beam || through);
        cells.forEach((cell, at) => cell.classList.toggle("is-lit", lit.has(beam.nodes[at])));
      }
    }
  }

  RD.BeamsView = BeamsView;
})();
