// Live: the text as it grows, the tree of the newest step, charts below.
(() => {
  const RD = window.ReDrafter;
  const { h } = RD;

  const LINE = 25.8; // pixels of the text
  const MOST_LINES = 8; // beyond the fewest

  class LiveView {
    constructor(store) {
      this.store = store;
      this.more = 0; // lines that short trees leave to the text
      const part = (name) => h("div", { class: `rp-${name}` });
      this.treeBox = part("treebox");
      this.cardBox = part("nodecard");
      this.ratesBox = part("rates");
      this.positionsBox = part("positions");
      this.textBox = part("textbox");
      this.textBox.setAttribute("tabindex", "0");
      this.textBox.setAttribute("role", "region");
      this.textBox.setAttribute("aria-label", "Text that the run wrote");
      this.verdict = h("p", { class: "rp-verdict", "data-tour": "verdict-live" });
      this.filmBox = h("div", { class: "rp-filmbox" });
      this.chat = h("div", { class: "rp-chat" });
      this.element = h(
        "div",
        { class: "rp-live" },
        h(
          "section",
          { class: "rp-panel rp-textpanel", "aria-label": "Text", "data-tour": "text" },
          h("header", { class: "rp-panelhead" }, h("h2", {}, "Text"), RD.textLegend()),
          this.chat,
          this.textBox,
        ),
        h(
          "section",
          { class: "rp-panel rp-treepanel", "aria-label": "Prefix tree of this step" },
          h(
            "header",
            { class: "rp-panelhead" },
            h("h2", {}, "Prefix tree"),
            this.filmBox,
            this.verdict,
          ),
          this.treeBox,
          this.cardBox,
        ),
        h(
          "section",
          { class: "rp-panel rp-sidepanel", "aria-label": "Charts" },
          h("div", {}, h("h2", {}, "Rate along the run"), this.ratesBox),
          h("div", {}, h("h2", {}, "Accepted by position"), this.positionsBox),
        ),
      );
      this.tree = new RD.TreeView(this.treeBox, store, () => this.tall(), { steady: true });
      this.motion = new RD.StepMotion(this.tree, this.textBox, store);
      this.filmBox.append(this.motion.element);
      if (RD.HandOver) {
        this.rates = new RD.HandOver(this.ratesBox, store, "rates", () => this.drawCharts());
        this.positions = new RD.HandOver(this.positionsBox, store, "positions", () =>
          this.drawCharts(),
        );
      }
      this.text = new RD.TextView(this.textBox, { onstep: (step) => store.goTo(step) });
    }

    /** What is left of the window below the top of the tree, were the text in its fewest lines. */
    left() {
      const top = this.treeBox.getBoundingClientRect().top + window.scrollY - this.more * LINE;
      return window.innerHeight - top - 66;
    }

    /** The most pixels the tree may take downwards. */
    tall() {
      return Math.max(212, Math.min(520, this.left()));
    }

    /** Short trees leave room for more lines of text. */
    share() {
      const free = window.innerWidth > 860 ? (this.left() - this.tree.height) / LINE : 0;
      const more = Math.max(0, Math.min(MOST_LINES, Math.floor(free))) || 0;
      if (more === this.more) return;
      this.more = more;
      this.textBox.style.setProperty("--rp-more", String(more));
      this.text.bring();
    }

    draw() {
      const { run } = this.store;
      if (this.chatOf !== run?.head?.run) this.drawChat(run);
      this.drawStep();
      this.drawCharts();
    }

    drawCharts() {
      this.chartWidth = this.ratesBox.clientWidth;
      const { run } = this.store;
      if (!this.rates?.takes()) RD.drawRates(this.ratesBox, run?.rates);
      if (!this.positions?.takes()) RD.drawPositions(this.positionsBox, run?.positions);
    }

    drawChat(run) {
      this.chatOf = run?.head?.run;
      RD.put(
        this.chat,
        (run?.head?.messages ?? []).map(([role, content]) =>
          h(
            "p",
            { class: `rp-turn is-${role}` },
            h("span", { class: "rp-role" }, role),
            h(
              "span",
              { class: "rp-said", dir: "auto", title: RD.clip(content, 600) },
              RD.clip(content, 600),
            ),
          ),
        ),
      );
    }

    drawStep() {
      const { run, step, index, following } = this.store;
      const items = run?.text ?? [];
      const limit = this.store.playing
        ? items.filter(([, , from]) => from <= index).length
        : items.length;
      this.text.draw(items, {
        step: index,
        limit,
        differs: run?.figures?.firstDifference ?? null,
        follow: Boolean((run?.busy && following) || this.store.playing),
      });
      if (step || !run?.steps) this.tree.draw(step);
      this.share();
      RD.say(this.verdict, step ? step.verdict : run?.busy ? "Reading the prompt…" : "");
      if (this.ratesBox.clientWidth !== this.chartWidth) this.drawCharts();
      this.motion.follow();
      this.drawLight();
    }

    drawLight() {
      this.tree.light();
      RD.drawNodeCard(this.cardBox, this.tree.step, this.store.light);
    }
  }

  RD.LiveView = LiveView;

  RD.legend = () =>
    h(
      "ul",
      { class: "rp-legend rp-statuslegend", "aria-label": "Signs" },
      RD.TOLD.map((code) => RD.STATUS[code]).map((status) =>
        h(
          "li",
          { class: `is-${status.name}` },
          h("span", { class: "rp-badge" }, `${status.glyph} ${status.title}`),
        ),
      ),
      h("li", {}, h("span", { class: "rp-dash is-base" }), "base model's p"),
      h("li", {}, h("span", { class: "rp-dash is-drafter" }), "drafter's p"),
    );
})();
