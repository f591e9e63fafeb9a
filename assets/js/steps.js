// Steps: beams table -> tree -> verdict of one step, linked; and the mask beside the tree.
(() => {
  const RD = window.ReDrafter;
  const { h } = RD;

  class StepsView {
    constructor(store) {
      this.store = store;
      this.asTable = false;
      const part = (name, tour) => h("div", { class: `rp-${name}`, "data-tour": tour });
      this.beamsBox = part("beamsbox");
      this.treeBox = part("treebox");
      this.tableBox = part("tablebox");
      this.tableBox.hidden = true;
      this.cardBox = part("nodecard");
      this.stageBox = part("stages");
      this.verdict = h("p", { class: "rp-verdict is-large", "data-tour": "verdict" });
      this.saving = h("p", { class: "rp-saving", "data-tour": "saving" });
      this.toggle = h(
        "button",
        { type: "button", class: "rp-chip", "aria-pressed": "false", onclick: () => this.flip() },
        "Tree as a table",
      );
      this.guess = new RD.GuessPanel(store, () => this.drawStep());
      this.element = h(
        "div",
        { class: "rp-steps" },
        h(
          "section",
          { class: "rp-panel rp-beamspanel", "aria-label": "Beams", "data-tour": "beams" },
          h("header", { class: "rp-panelhead" }, h("h2", {}, "1 · Draft beams")),
          this.beamsBox,
        ),
        h(
          "section",
          { class: "rp-panel rp-treepanel", "aria-label": "Tree", "data-tour": "tree" },
          h(
            "header",
            { class: "rp-panelhead" },
            h("div", { class: "rp-row" }, h("h2", {}, "2 · Prefix tree"), this.toggle),
            this.saving,
          ),
          this.treeBox,
          this.tableBox,
        ),
        h(
          "section",
          { class: "rp-panel rp-verdictpanel", "aria-label": "Verdict" },
          h("header", { class: "rp-panelhead" }, h("h2", {}, "3 · Verdict"), this.guess.switch),
          this.guess.element,
          this.verdict,
          this.cardBox,
          h("h2", {}, "Time of this step"),
          this.stageBox,
        ),
      );
      this.tree = new RD.TreeView(this.treeBox, store);
      this.beams = new RD.BeamsView(this.beamsBox, store);
    }

    flip() {
      this.asTable = !this.asTable;
      this.toggle.setAttribute("aria-pressed", String(this.asTable));
      this.treeBox.hidden = this.asTable;
      this.tableBox.hidden = !this.asTable;
      this.drawTable();
    }

    draw() {
      this.drawStep();
    }

    drawStep() {
      const happened = this.store.step;
      this.guess.draw(happened);
      if (!happened) return;
      const step = this.guess.seen(happened);
      this.tree.draw(step);
      this.beams.draw(step);
      this.drawTable();
      RD.sayExplained(this.verdict, step.verdict);
      RD.sayExplained(this.saving, step.saving);
      RD.drawStages(this.stageBox, step.ms);
      this.drawLight();
    }

    drawTable() {
      const step = this.store.step && this.guess.seen(this.store.step);
      if (this.asTable && step && this.tabled !== step) {
        this.tabled = step;
        RD.put(this.tableBox, RD.treeTable(step));
      }
    }

    drawLight() {
      this.tree.light();
      this.beams.light();
      if (this.store.step) this.guess.drawChoice(this.store.step);
      RD.drawNodeCard(this.cardBox, this.tree.step, this.store.light);
    }
  }

  const SMALL = 14; // nodes

  class MaskPage {
    constructor(store) {
      this.store = store;
      this.treeBox = h("div", { class: "rp-treebox" });
      this.maskBox = h("div", { class: "rp-maskbox" });
      this.element = h(
        "div",
        { class: "rp-maskpage" },
        h(
          "section",
          { class: "rp-panel rp-treepanel", "aria-label": "Tree" },
          h("header", { class: "rp-panelhead" }, h("h2", {}, "Prefix tree")),
          this.treeBox,
        ),
        h(
          "section",
          { class: "rp-panel", "aria-label": "Mask", "data-tour": "mask" },
          h("header", { class: "rp-panelhead" }, h("h2", {}, "Tree-attention mask")),
          this.maskBox,
        ),
      );
      this.tree = new RD.TreeView(this.treeBox, store);
      this.mask = new RD.MaskView(this.maskBox, store);
    }

    draw() {
      this.drawStep();
    }

    drawStep() {
      const { step } = this.store;
      if (!step) return;
      // A small tree has a small mask: the room goes to the tree.
      this.element.classList.toggle("is-small", step.nodes.parent.length <= SMALL);
      this.tree.draw(step);
      this.mask.draw(step);
      this.maskBox.scrollLeft = 0;
    }

    drawLight() {
      this.tree.light();
      this.mask.light();
    }
  }

  RD.StepsView = StepsView;
  RD.MaskPage = MaskPage;
})();
