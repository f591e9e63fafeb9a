// The pair: loading with progress, ready, failed; its cards. Asks often while something is loading, seldom otherwise:
// there is one pair for all pages, and any of them may load another.
(() => {
  /** @typedef {import("./types").StatusPicture} StatusPicture */
  /** @typedef {import("./types").PairPicture} PairPicture */
  /** @typedef {import("./types").RunFrame} RunFrame */
  const RD = window.ReDrafter;
  const { h } = RD;
  const ASK_MS = 500;
  const LOOK_MS = 5000;

  /**
   * What 0 stands for on the sliders of width and length, once it is known.
   * @param {PairPicture} pair
   */
  function sayOwn({ width, length }) {
    for (const [id, size] of [
      ["rp-width", width],
      ["rp-length", length],
    ]) {
      const info = [...document.querySelectorAll(`#${id} *`)].find(
        (item) => !item.children.length && item.textContent.trim().startsWith("0: "),
      );
      if (info) RD.say(info, `0: what pays best here, now ${size}`);
    }
  }

  class StatusView {
    constructor(store) {
      this.store = store;
      this.name = h("span", { class: "rp-pairname" });
      this.bar = h("progress", { max: 1, "aria-label": "Loading the model" });
      this.words = h("span", { class: "rp-quiet", role: "status" });
      this.cards = h("div", { class: "rp-cards" });
      this.asked = false; // this page asked for the pair that is loading
      this.turn = 0; // counts this page's loads: an answer from before one says nothing of what came of it
      this.details = h(
        "details",
        { class: "rp-pairdetails" },
        h("summary", {}, this.name),
        this.cards,
      );
      this.element = h(
        "div",
        { class: "rp-pair", "data-pair": "loading" },
        this.details,
        this.bar,
        this.words,
      );
      this.lack = h("div", { class: "rp-lack", role: "note", hidden: true });
      setInterval(() => document.hidden || this.watch(), LOOK_MS);
      document.addEventListener("visibilitychange", () => document.hidden || this.watch());
    }

    /**
     * A run names the pair it runs on: when that is another than the one shown, ask.
     * @param {RunFrame} frame
     */
    expect({ state, head }) {
      const { pair } = this.store.status;
      if (
        state === "running" &&
        pair &&
        head &&
        (head.base !== pair.base || head.drafter !== pair.drafter)
      )
        this.watch();
    }

    /** The answer to this page's own Load. */
    takeAsked(status) {
      this.asked = true;
      this.turn += 1;
      this.take(status);
    }

    /**
     * The pair that comes after the one of this revision; false where it could not be loaded.
     * @param {number} revision
     */
    async next(revision) {
      while (loading(this.store.status)) await pause(ASK_MS / 2);
      return this.store.status.revision > revision;
    }

    /** Ask until there is nothing to wait for. */
    async watch() {
      if (this.watching) return;
      this.watching = true;
      for (;;) {
        const { turn } = this;
        const status = await this.store.server.pair_status("").catch(() => null);
        if (status && turn === this.turn) this.take(status);
        if (!loading(this.store.status)) break;
        await pause(ASK_MS);
      }
      this.watching = false;
    }

    /** @param {StatusPicture} status */
    take(status) {
      const before = this.store.status;
      this.store.status = status;
      this.draw();
      if (loading(status)) this.watch();
      else {
        const news = this.asked || (status.state === "failed" && status.error !== before.error);
        if (status.error && news) this.store.tell("error", status.error);
        else if (before.pair && status.revision > before.revision && !this.asked)
          this.store.tell(
            "info",
            `Another page loaded ${named(status.pair)}. All pages share one pair, so your next run uses it.`,
          );
        this.asked = false;
      }
    }

    draw() {
      const { state, stage, done, message, pair } = this.store.status;
      this.element.dataset.pair = state;
      const wait = loading(this.store.status);
      this.bar.hidden = this.words.hidden = !wait;
      if (done > 0) this.bar.value = done;
      else this.bar.removeAttribute("value");
      RD.say(
        this.words,
        wait
          ? `${message || stage || "Loading the model"}${done > 0 ? ` · ${Math.round(done * 100)}%` : ""}`
          : "",
      );
      RD.say(
        this.name,
        pair
          ? `${named(pair)} · ${pair.device} · ${pair.dtype}`
          : wait
            ? "Loading the model"
            : "No model",
      );
      this.details.hidden = !pair;
      if (pair && this.drawn !== this.store.status.revision) {
        this.drawn = this.store.status.revision;
        this.drawCards(pair);
        this.drawLack(pair);
      }
      if (pair) sayOwn(pair);
    }

    /**
     * Without a drafter nothing can run: say so where it is seen, and what to do.
     * @param {PairPicture} pair
     */
    drawLack(pair) {
      this.lack.hidden = Boolean(pair.drafterCard);
      if (pair.drafterCard) return;
      RD.put(
        this.lack,
        h(
          "p",
          {},
          h("b", {}, `No drafter for ${pair.base}, so nothing can run yet. `),
          `What you see is a recorded example; every view works on it. Name a drafter under Models${pair.training ? ", or train one:" : "."}`,
        ),
        pair.training && h("p", { class: "rp-mono" }, pair.training),
      );
    }

    /** @param {PairPicture} pair */
    drawCards(pair) {
      const card = (title, name, facts) =>
        h(
          "article",
          { class: "rp-card" },
          h("h2", {}, title),
          h("p", { class: "rp-mono" }, name),
          h(
            "dl",
            { class: "rp-facts" },
            facts.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
          ),
        );
      RD.put(
        this.cards,
        card("Base model", pair.base, pair.baseCard),
        pair.drafterCard
          ? card("Drafter", pair.drafter, pair.drafterCard)
          : h(
              "article",
              { class: "rp-card" },
              h("h2", {}, "No drafter"),
              h(
                "p",
                {},
                `Nothing can be drafted with this base model yet. The examples still open.${pair.training ? " Train a drafter with:" : ""}`,
              ),
              pair.training && h("p", { class: "rp-mono" }, pair.training),
            ),
        h(
          "article",
          { class: "rp-card" },
          h("h2", {}, "This machine"),
          h(
            "p",
            {},
            `${pair.device}, ${pair.dtype}, ${pair.engine} engine, ${pair.kernels} kernels.`,
          ),
          h("p", {}, pair.expect),
          !pair.chatTemplate &&
            h("p", {}, "This model has no chat template: prompts are continued as plain text."),
        ),
        pair.cardText &&
          h(
            "details",
            { class: "rp-card is-card" },
            h("summary", {}, "The drafter's model card"),
            h("pre", { tabindex: 0 }, pair.cardText),
          ),
      );
    }
  }

  function loading({ state }) {
    return state === "loading" || state === "idle";
  }

  /** @param {PairPicture} pair */
  function named(pair) {
    if (pair.drafter?.toLowerCase() === pair.base.toLowerCase())
      return `${pair.base} with its drafter`; // of one name
    return `${pair.base} + ${pair.drafter ?? "no drafter"}`;
  }

  function pause(ms) {
    return new Promise((resolve) => {
      setTimeout(resolve, ms);
    });
  }

  RD.StatusView = StatusView;
})();
