// One of two runs that stand side by side: its text in two parts, its step, its tree.
(() => {
  const RD = window.ReDrafter;
  const { h } = RD;

  class Side {
    constructor(name, server, tell, goTo) {
      this.store = new RD.Store(server);
      this.store.tell = tell;
      const box = (words) =>
        h("div", { class: "rp-sidetext", role: "region", "aria-label": `${name} run, ${words}` });
      this.boxes = [box("up to the first difference"), box("from the first difference on")];
      this.texts = this.boxes.map(
        (one) => new RD.TextView(one, { onstep: (step) => goTo(this.placeOf(step)) }),
      );
      this.title = h("h3", {});
      this.where = h("p", { class: "rp-quiet", role: "status", "data-figure": "verdict" });
      this.treeBox = h("div", { class: "rp-treebox" });
      this.tree = new RD.TreeView(this.treeBox, this.store, () => 340);
      this.treePart = h(
        "section",
        { class: "rp-sidetree", "aria-label": `Tree of the ${name.toLowerCase()} run` },
        this.where,
        this.treeBox,
      );
      this.store.on("step", () => this.drawStep());
      this.store.on("light", () => this.tree.light());
    }

    take(run, name) {
      this.store.run = run;
      RD.say(this.title, `${name}: ${RD.runName(run)}`);
    }

    get items() {
      return this.store.run?.text ?? [];
    }

    /** The first new token that a step wrote. */
    placeOf(step) {
      return Math.max(
        0,
        this.items.findIndex(([, , from]) => from === step),
      );
    }

    /** The step that wrote the token at a place, the last one behind the text's end. */
    stepAt(place) {
      return Math.max(0, this.items[Math.min(place, this.items.length - 1)]?.[2] ?? 0);
    }

    goTo(place) {
      this.store.goTo(this.stepAt(place));
    }

    /** @param {number} parts the place where the text is cut in two */
    drawText(parts, differs) {
      const { index } = this.store;
      this.texts[0].draw(this.items.slice(0, parts), { step: index });
      this.texts[1].draw(this.items.slice(parts), { step: index, differs: differs ? 0 : null });
      const [first] = this.boxes[1].children;
      if (differs && first) first.title = "The runs differ from here on";
    }

    drawStep() {
      const { run, index, step } = this.store;
      if (step) this.tree.draw(step);
      RD.say(this.where, run ? `Step ${index + 1} of ${run.steps}. ${step?.verdict ?? ""}` : "");
    }
  }

  RD.Side = Side;
})();
