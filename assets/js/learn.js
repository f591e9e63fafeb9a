// Learn: a guided tour that points at the real widgets, and the glossary.
(() => {
  /** @typedef {import("./types").Hello} Hello */
  const RD = window.ReDrafter;
  const { h } = RD;

  const INTRO =
    "A language model writes one token for each pass through all its weights. Recurrent drafting lets a small drafter guess several tokens ahead, in a few beams; the base model then checks all of them in one pass and keeps those that it would have picked itself. So drafting changes how fast the text comes, not what it says: the two lanes can differ only where rounding tips a near tie, and the page tells you where.";

  class LearnView {
    constructor(startTour) {
      this.intro = h("p", {}, INTRO);
      this.terms = h("dl", { class: "rp-glossary" });
      this.filter = h("input", {
        type: "search",
        class: "rp-input",
        placeholder: "Find a word",
        "aria-label": "Find a word",
        oninput: () => this.drawTerms(),
      });
      this.element = h(
        "div",
        { class: "rp-learn" },
        h(
          "section",
          { class: "rp-panel rp-intro", "aria-label": "Tour" },
          h("h2", {}, "What is recurrent drafting?"),
          this.intro,
          h(
            "button",
            { type: "button", class: "rp-chip is-strong", "data-act": "tour", onclick: startTour },
            "Start the tour",
          ),
        ),
        h(
          "section",
          { class: "rp-panel", "aria-label": "Glossary" },
          h("header", { class: "rp-panelhead" }, h("h2", {}, "Glossary"), this.filter),
          this.terms,
        ),
      );
      this.glossary = [];
    }

    /** @param {Hello["glossary"]} glossary */
    setGlossary(glossary) {
      this.glossary = glossary;
      RD.setTerms(glossary);
      RD.put(this.intro, RD.explained(INTRO));
      this.drawTerms();
    }

    drawTerms() {
      const wanted = this.filter.value.trim().toLowerCase();
      const found = this.glossary.filter(([word, meaning]) =>
        `${word} ${meaning}`.toLowerCase().includes(wanted),
      );
      RD.put(
        this.terms,
        found.length
          ? found.map(([word, meaning]) =>
              h("div", {}, h("dt", {}, word), h("dd", {}, RD.explained(meaning, word))),
            )
          : h("div", {}, h("dt", {}, "Nothing found"), h("dd", {}, "Try another word.")),
      );
    }

    draw() {}
  }

  /** The tour: a ring around the real widget and a card beside it. */
  class Tour {
    /** @param {Hello["tour"]} stops */
    constructor(root, store, stops, openExample) {
      this.root = root;
      this.store = store;
      this.stops = stops;
      this.openExample = openExample;
      this.at = -1;
      /** @type {{ run: any, focus: HTMLElement | null } | null} */
      this.before = null;
      this.ring = h("div", { class: "rp-ring", hidden: true, "aria-hidden": "true" });
      this.title = h("h2", { id: "rp-tourtitle" });
      this.words = h("p", { id: "rp-tourwords" });
      this.where = h("span", { class: "rp-quiet" });
      this.back = h(
        "button",
        { type: "button", class: "rp-chip", onclick: () => this.go(this.at - 1) },
        "Back",
      );
      this.next = h(
        "button",
        {
          type: "button",
          class: "rp-chip is-strong",
          "data-act": "tour-next",
          onclick: () => this.go(this.at + 1),
        },
        "Next",
      );
      const end = h(
        "button",
        {
          type: "button",
          class: "rp-icon",
          "aria-label": "End the tour",
          onclick: () => this.end(),
        },
        RD.icon("close"),
      );
      this.card = h(
        "div",
        {
          class: "rp-tourcard",
          role: "dialog",
          "aria-labelledby": "rp-tourtitle",
          "aria-describedby": "rp-tourwords",
          hidden: true,
        },
        h("header", {}, this.title, end),
        this.words,
        h("div", { class: "rp-tourfoot" }, this.where, this.back, this.next),
      );
      root.append(this.ring, this.card);
      window.addEventListener("resize", () => this.place());
      window.addEventListener("scroll", () => this.place(), { passive: true });
    }

    get running() {
      return this.at >= 0;
    }

    async start() {
      this.before = {
        run: this.store.run,
        focus: /** @type {HTMLElement | null} */ (document.activeElement),
      };
      await this.openExample();
      this.store.goTo(this.store.bestStep());
      this.go(0);
    }

    /** The tour's own keys; true when it took one. */
    key(name) {
      const to = { ArrowRight: this.at + 1, ArrowLeft: this.at - 1 }[name];
      if (!this.running || to === undefined) return false;
      this.go(to);
      return true;
    }

    go(at) {
      if (at < 0) return;
      if (at >= this.stops.length) {
        this.end();
        return;
      }
      this.at = at;
      const [view, , title, words] = this.stops[at];
      this.store.setView(view);
      RD.say(this.title, title);
      RD.put(this.words, RD.explained(words));
      RD.say(this.where, `${at + 1} of ${this.stops.length}`);
      this.back.disabled = at === 0;
      RD.say(this.next, at === this.stops.length - 1 ? "Done" : "Next");
      this.ring.hidden = this.card.hidden = false;
      this.target()?.scrollIntoView({ block: "center", behavior: RD.calm() ? "auto" : "smooth" });
      requestAnimationFrame(() => {
        this.place();
        this.next.focus({ preventScroll: true });
      });
    }

    target() {
      return this.root.querySelector(
        `.rp-view:not([hidden]) [data-tour="${this.stops[this.at][1]}"], .rp-shared [data-tour="${this.stops[this.at][1]}"]`,
      );
    }

    place() {
      if (!this.running) return;
      const box = this.target()?.getBoundingClientRect();
      if (!box) return;
      Object.assign(this.ring.style, {
        left: `${box.left - 6}px`,
        top: `${box.top - 6}px`,
        width: `${box.width + 12}px`,
        height: `${box.height + 12}px`,
      });
      const { offsetWidth: width, offsetHeight: height } = this.card;
      const below = box.bottom + 16 + height < innerHeight;
      const top = below ? box.bottom + 16 : Math.max(12, box.top - height - 16);
      const left = Math.max(12, Math.min(box.left, innerWidth - width - 12));
      Object.assign(this.card.style, {
        left: `${left}px`,
        top: `${Math.min(top, innerHeight - height - 12)}px`,
      });
    }

    end() {
      this.at = -1;
      this.ring.hidden = this.card.hidden = true;
      this.store.setView("learn");
      if (this.before?.run && this.before.run !== this.store.run) this.store.show(this.before.run);
      this.before?.focus?.focus?.();
    }
  }

  RD.LearnView = LearnView;
  RD.Tour = Tour;
})();
