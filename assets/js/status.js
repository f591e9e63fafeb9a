// The pair: loading with progress, ready, failed; its cards. Asks the server only while something is loading.
(() => {
  const RD = window.ReDrafter;
  const { h } = RD;
  const ASK_MS = 500;

  class StatusView {
    constructor(store) {
      this.store = store;
      this.name = h("span", { class: "rp-pairname" });
      this.bar = h("progress", { max: 1, "aria-label": "Loading the model" });
      this.words = h("span", { class: "rp-quiet", role: "status" });
      this.cards = h("div", { class: "rp-cards" });
      this.details = h("details", { class: "rp-pairdetails" }, h("summary", {}, this.name), this.cards);
      this.element = h("div", { class: "rp-pair", "data-pair": "loading" }, this.details, this.bar, this.words);
    }

    /** Ask until there is nothing to wait for. */
    async watch() {
      if (this.watching) return;
      this.watching = true;
      for (;;) {
        const status = await this.store.server.pair_status("").catch(() => null);
        if (status) this.take(status);
        if (status && !["loading", "idle"].includes(status.state)) break;
        await new Promise((resolve) => setTimeout(resolve, ASK_MS));
      }
      this.watching = false;
    }

    take(status) {
      const before = this.store.status;
      this.store.status = status;
      const loaded = ["loading", "idle"].includes(before.state);
      if (status.error && (loaded || status.state === "failed")) this.store.tell("error", status.error);
      this.draw();
      if (["loading", "idle"].includes(status.state)) this.watch();
    }

    draw() {
      const { state, stage, done, message, pair } = this.store.status;
      this.element.dataset.pair = state;
      const loading = state === "loading" || state === "idle";
      this.bar.hidden = this.words.hidden = !loading;
      if (done > 0) this.bar.value = done;
      else this.bar.removeAttribute("value");
      RD.say(this.words, loading ? `${message || stage || "Loading the model"}${done > 0 ? ` · ${Math.round(done * 100)}%` : ""}` : "");
      RD.say(this.name, pair ? `${pair.base} + ${pair.drafter ?? "no drafter"} · ${pair.device} · ${pair.dtype}` : loading ? "Loading the model" : "No model");
      this.details.hidden = !pair;
      if (pair && this.drawn !== this.store.status.revision) {
        this.drawn = this.store.status.revision;
        this.drawCards(pair);
      }
    }

    drawCards(pair) {
      const card = (title, name, facts) => h("article", { class: "rp-card" }, h("h3", {}, title), h("p", { class: "rp-mono" }, name), h("dl", { class: "rp-facts" }, facts.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)))));
      RD.put(
        this.cards,
        card("Base model", pair.base, pair.baseCard),
        pair.drafterCard
          ? card("Drafter", pair.drafter, pair.drafterCard)
          : h("article", { class: "rp-card" }, h("h3", {}, "No drafter"), h("p", {}, "Nothing can be drafted with this base model yet. The examples still open. Train a drafter with:"), h("p", { class: "rp-mono" }, `python -m playground train --base ${pair.base} --out my-drafter`)),
        h("article", { class: "rp-card" }, h("h3", {}, "This machine"), h("p", {}, `${pair.device}, ${pair.dtype}, ${pair.engine} engine, ${pair.kernels} kernels.`), h("p", {}, pair.expect), !pair.chatTemplate && h("p", {}, "This model has no chat template: prompts are continued as plain text.")),
        pair.cardText && h("details", { class: "rp-card is-card" }, h("summary", {}, "The drafter's model card"), h("pre", { tabindex: 0 }, pair.cardText)),
      );
    }
  }

  RD.StatusView = StatusView;
})();
