// Live: the tree of the newest step, the text as it grows, the figures beside it.
(() => {
  const RD = window.ReDrafter;
  const { h } = RD;

  class LiveView {
    constructor(store) {
      this.store = store;
      const part = (name) => h("div", { class: `rp-${name}` });
      [this.treeBox, this.cardBox, this.ratesBox, this.positionsBox, this.figuresBox, this.textBox] = ["treebox", "nodecard", "rates", "positions", "figures", "textbox"].map(part);
      this.verdict = h("p", { class: "rp-verdict", "data-tour": "verdict-live" });
      this.chat = h("div", { class: "rp-chat" });
      this.element = h(
        "div",
        { class: "rp-live" },
        h("section", { class: "rp-figurespanel", "aria-label": "Figures" }, this.figuresBox),
        h(
          "section",
          { class: "rp-panel rp-treepanel", "aria-label": "Prefix tree of this step" },
          h("header", { class: "rp-panelhead" }, h("h3", {}, "Prefix tree"), this.verdict),
          this.treeBox,
          RD.legend(),
          this.cardBox,
        ),
        h("section", { class: "rp-panel rp-sidepanel", "aria-label": "Charts" }, h("div", {}, h("h3", {}, "Rate"), this.ratesBox), h("div", {}, h("h3", {}, "Accepted by position"), this.positionsBox)),
        h("section", { class: "rp-panel rp-textpanel", "aria-label": "Text", "data-tour": "text" }, h("header", { class: "rp-panelhead" }, h("h3", {}, "Text"), RD.textLegend()), this.chat, this.textBox),
      );
      this.tree = new RD.TreeView(this.treeBox, store);
      this.figures = new RD.FiguresView(this.figuresBox);
      this.text = new RD.TextView(this.textBox, { onstep: (step) => store.goTo(step) });
    }

    draw() {
      const { run } = this.store;
      this.drawStep();
      this.figures.draw(run);
      RD.drawRates(this.ratesBox, run?.rates);
      RD.drawPositions(this.positionsBox, run?.positions);
      if (this.chatOf !== run?.head?.run) {
        this.chatOf = run?.head?.run;
        RD.put(this.chat, (run?.head?.messages ?? []).map(([role, content]) => h("p", { class: `rp-turn is-${role}` }, h("span", { class: "rp-role" }, role), h("span", { dir: "auto" }, RD.clip(content, 600)))));
      }
    }

    drawStep() {
      const { run, step, index } = this.store;
      if (step || !run?.steps) this.tree.draw(step);
      RD.say(this.verdict, step ? step.verdict : run?.busy ? "Reading the prompt…" : "");
      this.text.draw(run?.text ?? [], { step: index });
      this.drawLight();
    }

    drawLight() {
      this.tree.light();
      RD.drawNodeCard(this.cardBox, this.tree.step, this.store.light);
    }
  }

  RD.LiveView = LiveView;

  RD.legend = () =>
    h("ul", { class: "rp-legend rp-statuslegend", "aria-label": "Signs" }, Object.values(RD.STATUS).map((status) => h("li", { class: `is-${status.name}` }, h("span", { class: "rp-badge" }, `${status.glyph} ${status.title}`))));
})();
