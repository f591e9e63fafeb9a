// The run in figures: both rates, speed-up, tokens per step, overhead, memory, identity.
(() => {
  /** @typedef {import("./types").Figures} Figures */
  const RD = window.ReDrafter;
  const { h } = RD;

  class FiguresView {
    constructor(box) {
      this.values = {};
      const tile = (name, title, hint) => {
        this.values[name] = h("dd", { "data-figure": name }, "–");
        return h("div", { class: `rp-tile is-${name}`, title: hint }, h("dt", {}, title), this.values[name]);
      };
      RD.put(
        box,
        h(
          "dl",
          { class: "rp-tiles" },
          tile("redrafter", "ReDrafter", "New tokens by this lane's own clock, prompt excluded"),
          tile("plain", "Plain", "Plain decoding of the same model, by its own clock"),
          tile("speedup", "Speed-up", "ReDrafter over plain"),
          tile("perstep", "Tokens per step", "New tokens for each forward of the base model; plain decoding makes 1"),
          tile("overhead", "Drafter overhead", "Share of the drafting lane's time spent in the drafter"),
          tile("memory", "Peak memory", "Highest memory use of this run"),
        ),
      );
      this.parity = h("p", { class: "rp-parity", "data-figure": "parity" });
      this.sentence = h("p", { class: "rp-sentence", "data-figure": "sentence" });
      box.append(this.parity, this.sentence);
    }

    /** @param {{ figures: Figures | null } | null} run */
    draw(run) {
      const figures = run?.figures;
      const { values } = this;
      RD.put(values.redrafter, rate(figures?.redrafter?.rate));
      RD.put(values.plain, figures && !figures.plain ? h("span", { class: "rp-quiet" }, "not run") : rate(figures?.plain?.rate));
      RD.put(values.speedup, figures?.speedup ? [RD.number(figures.speedup, 2), h("small", {}, "×")] : "–");
      RD.put(values.perstep, RD.number(figures?.tokensPerStep, 2));
      RD.put(values.overhead, RD.percent(figures?.drafterShare));
      RD.put(values.memory, RD.bytes(figures?.peakMemory));
      const mark = figures?.identical === true ? "✓ " : figures?.identical === false ? "≠ " : "";
      this.parity.className = `rp-parity ${figures?.identical === true ? "is-same" : figures?.identical === false ? "is-different" : ""}`;
      RD.say(this.parity, figures?.parity ? mark + figures.parity : "");
      RD.say(this.sentence, figures?.sentence ?? "");
    }
  }

  function rate(value) {
    return value ? [RD.number(value), h("small", {}, " tok/s")] : "–";
  }

  RD.FiguresView = FiguresView;
})();
