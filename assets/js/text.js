// Running text of a lane, each token marked by its origin; grows without being redrawn.
(() => {
  /** @typedef {import("./types").TextItem} TextItem */
  /** @typedef {import("./types").OriginCode} OriginCode */
  const RD = window.ReDrafter;
  const { h } = RD;
  /** @type {Record<OriginCode, [string, string]>} */
  const ORIGINS = {
    p: ["picked", "picked by the base model from the prompt"],
    k: ["picked", "picked by the base model"],
    a: ["accepted", "drafted and accepted"],
    n: ["plain", "plain decoding"],
  };

  class TextView {
    /** @param {(step: number) => void} [onstep] called when a token is clicked */
    constructor(box, { onstep = null } = {}) {
      this.box = box;
      this.onstep = onstep;
      this.items = [];
      this.spans = [];
      this.marked = null;
      box.classList.add("rp-text");
      box.setAttribute("dir", "auto");
      if (onstep) {
        box.addEventListener("click", (event) => {
          const step = event.target.closest("[data-step]")?.dataset.step;
          if (step !== undefined && Number(step) >= 0) onstep(Number(step));
        });
      }
    }

    /**
     * Show the first `limit` of the items, lighting those of one step.
     * @param {TextItem[]} items
     */
    draw(items, { step = null, limit = items.length } = {}) {
      let same = 0;
      const most = Math.min(limit, this.items.length);
      while (same < most && this.items[same] === items[same]) same += 1;
      if (same < most) while (same < most && this.items[same].join() === items[same].join()) same += 1;
      for (const span of this.spans.splice(same)) span.remove();
      const fragment = document.createDocumentFragment();
      for (let at = same; at < limit; at += 1) {
        const [text, origin, from] = items[at];
        const [name, title] = ORIGINS[origin];
        const span = h("span", { class: `rp-token is-${name}`, "data-step": from, title: from >= 0 && origin !== "n" ? `${title}, step ${from + 1}` : title }, text);
        this.spans.push(span);
        fragment.append(span);
      }
      this.items = items.slice(0, limit);
      this.box.append(fragment);
      this.mark(step);
    }

    mark(step) {
      for (const span of this.box.querySelectorAll(".is-now")) span.classList.remove("is-now");
      if (step === null) return;
      for (let at = this.spans.length - 1; at >= 0; at -= 1) {
        const from = this.items[at][2];
        if (from === step) this.spans[at].classList.add("is-now");
        else if (from < step) break;
      }
    }
  }

  RD.TextView = TextView;

  RD.textLegend = () =>
    h(
      "p",
      { class: "rp-legend" },
      h("span", { class: "rp-token is-accepted" }, "drafted and accepted"),
      h("span", { class: "rp-token is-picked" }, "picked by the base model"),
    );
})();
