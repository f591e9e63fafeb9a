// Running text of a lane, each token marked by its origin; grows without being redrawn.
(() => {
  /** @typedef {import("./types").TextItem} TextItem */
  /** @typedef {import("./types").OriginCode} OriginCode */
  const RD = window.ReDrafter;
  const { h } = RD;
  const FENCE = "```";
  /** @type {Record<OriginCode, [string, string]>} */
  const ORIGINS = {
    p: ["picked", "picked by the base model from the prompt"],
    k: ["picked", "picked by the base model"],
    a: ["accepted", "drafted and accepted"],
    n: ["plain", "plain decoding"],
  };

  class TextView {
    /**
     * @param {HTMLElement} box
     * @param {{ onstep?: ((step: number) => void) | null }} [how] `onstep` is called when a token is clicked
     */
    constructor(box, { onstep = null } = {}) {
      this.box = box;
      this.onstep = onstep;
      this.items = [];
      this.spans = [];
      this.code = [false]; // before each token: inside a fenced block?
      box.classList.add("rp-text");
      box.setAttribute("dir", "auto");
      if (onstep) {
        box.addEventListener("click", (event) => {
          const token =
            event.target instanceof Element ? event.target.closest("[data-step]") : null;
          const step = token instanceof HTMLElement ? token.dataset.step : undefined;
          if (step !== undefined && Number(step) >= 0) onstep(Number(step));
        });
      }
    }

    /**
     * Show the first `limit` of the items, lighting those of one step and marking the first that differs.
     * @param {TextItem[]} items
     */
    draw(items, { step = null, limit = items.length, differs = null, follow = false } = {}) {
      let same = 0;
      const most = Math.min(limit, this.items.length);
      while (same < most && this.items[same] === items[same]) same += 1;
      if (same < most)
        while (same < most && this.items[same].join() === items[same].join()) same += 1;
      for (const span of this.spans.splice(same)) span.remove();
      const fragment = document.createDocumentFragment();
      for (let at = same; at < limit; at += 1) fragment.append(this.span(items, at));
      this.items = items.slice(0, limit);
      this.box.append(fragment);
      this.mark(step);
      this.markDifference(differs);
      if (follow) this.box.scrollTop = this.box.scrollHeight;
      else if (step !== null && step !== this.shown) this.bring();
      this.shown = step;
    }

    /** @param {TextItem[]} items */
    span(items, at) {
      const [text, origin, from] = items[at];
      const [name, title] = ORIGINS[origin];
      this.code[at + 1] = fenced(items, at, this.code[at]);
      const inside = this.code[at] && this.code[at + 1];
      const span = h(
        "span",
        {
          class: `rp-token is-${name}${inside ? " is-code" : ""}`,
          "data-step": from,
          title: from >= 0 && origin !== "n" ? `${title}, step ${from + 1}` : title,
        },
        text,
      );
      this.spans.push(span);
      return span;
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

    markDifference(at) {
      const span = at === null ? undefined : this.spans[at];
      if (this.different && this.different !== span)
        this.different.classList.remove("is-different");
      this.different = span;
      if (!span) return;
      span.classList.add("is-different");
      span.title = "The lanes differ from here on";
    }

    /** Scroll the box, never the page, to the lit tokens: all of them, or the first ones where not all can be seen. */
    bring() {
      const { box } = this;
      const lit = box.querySelectorAll(".is-now");
      if (!lit.length || box.scrollHeight <= box.clientHeight) return;
      const above = box.getBoundingClientRect().top;
      const top = lit[0].getBoundingClientRect().top - above;
      const bottom = lit[lit.length - 1].getBoundingClientRect().bottom - above;
      if (top >= 0 && bottom <= box.clientHeight) return;
      const margin = Math.max(0, Math.min(box.clientHeight / 3, box.clientHeight - (bottom - top)));
      box.scrollTop += top - margin;
    }
  }

  /** Is the text after this token inside a fenced block? A fence may be spread over tokens. */
  function fenced(items, at, before) {
    let tail = "";
    for (let back = Math.max(0, at - 2); back < at; back += 1) tail += items[back][0];
    const joined = tail.slice(-2) + items[at][0];
    return joined.split(FENCE).length % 2 ? before : !before;
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
