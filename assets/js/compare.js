// Two runs side by side: what agrees, both texts aligned where they part, steps by their place in the text, both trees.
(() => {
  /** @typedef {import("./types").SidesPicture} SidesPicture */
  /** @typedef {import("./types").Failure} Failure */
  const RD = window.ReDrafter;
  const { h } = RD;
  const NAMES = ["First", "Second"];

  class CompareView {
    /** @param {(key: string) => void} again runs a trace again on the loaded pair */
    constructor(store, again) {
      this.store = store;
      this.again = again;
      this.place = 0;
      this.sides = NAMES.map(
        (name) =>
          new RD.Side(
            name,
            store.server,
            (tone, message) => store.tell(tone, message),
            (place) => this.goTo(place),
          ),
      );
      this.picks = NAMES.map((name) =>
        h("select", {
          class: "rp-select",
          "aria-label": `${name} run`,
          onchange: () => this.choose(),
        }),
      );
      this.said = h("p", { class: "rp-verdict", role: "status", "data-figure": "claims" });
      this.claims = h("ul", { class: "rp-claims", "data-figure": "claims" });
      this.words = h("ul", { class: "rp-comparison", "data-figure": "claims" });
      this.figures = h("div", {
        class: "rp-scroll",
        tabindex: 0,
        role: "region",
        "aria-label": "Figures of both runs",
      });
      this.settings = h("div", {
        class: "rp-scroll",
        tabindex: 0,
        role: "region",
        "aria-label": "What is set or loaded differently",
      });
      this.range = h("input", {
        type: "range",
        min: 0,
        value: 0,
        class: "rp-range",
        "aria-label": "Place in the text",
        oninput: () => this.goTo(Number(this.range.value)),
      });
      this.meeting = h("p", { class: "rp-meeting", role: "status", "data-figure": "meeting" });
      const step = (by, label, text) =>
        h(
          "button",
          {
            type: "button",
            class: "rp-icon",
            "aria-label": label,
            title: label,
            onclick: () => this.move(by),
          },
          text,
        );
      const grid = (name, ...cells) => h("div", { class: `rp-sides ${name}` }, cells);
      this.body = h(
        "div",
        { class: "rp-twobody", hidden: true },
        this.claims,
        this.words,
        grid(
          "rp-sidetitles",
          this.sides.map((side) => side.title),
        ),
        h(
          "div",
          { class: "rp-sidescroll", tabindex: 0, role: "region", "aria-label": "Both texts" },
          grid(
            "",
            this.sides.map((side) => side.boxes[0]),
            this.sides.map((side) => side.boxes[1]),
          ),
        ),
        h(
          "div",
          { class: "rp-row" },
          step(-1, "Step before, of the first run", "‹"),
          this.range,
          step(1, "Next step, of the first run", "›"),
        ),
        this.meeting,
        grid(
          "",
          this.sides.map((side) => side.treePart),
        ),
        h("details", { open: true }, h("summary", {}, "Figures beside each other"), this.figures),
        h("details", {}, h("summary", {}, "What is set or loaded differently"), this.settings),
      );
      this.element = h(
        "section",
        { class: "rp-panel rp-two", "aria-label": "Two runs" },
        h("h2", {}, "Two runs side by side"),
        h("div", { class: "rp-row" }, this.picks),
        this.said,
        this.body,
      );
      this.known = new Set(); // runs made again that were shown
      /** @type {SidesPicture | null} */
      this.found = null;
      store.on("runs", () => this.arrived());
      store.on("notice", () => this.refused());
    }

    /** Run a trace again here; when it is over both stand side by side. */
    verify(run) {
      this.waiting = run;
      this.asked = true;
      this.again(run.key);
      RD.say(this.said, "Running it again with its settings, on the loaded pair…");
      this.body.hidden = true;
    }

    /** It could not be run again: the notice says why. */
    refused() {
      const { notice } = this.store;
      if (!this.waiting || notice?.tone !== "error") return;
      this.waiting = null;
      RD.say(this.said, `It was not run again. ${notice.message}`);
    }

    /** The run made again is over. */
    arrived() {
      const made =
        this.waiting &&
        this.store.runs.find(
          (run) =>
            run.again === this.waiting.key &&
            !run.busy &&
            run.figures?.finish &&
            !this.known.has(run),
        );
      if (!made) return;
      this.known.add(made);
      const { waiting } = this;
      this.waiting = null;
      this.show(waiting, made);
    }

    choose() {
      const [left, right] = this.picks.map((pick) =>
        this.store.runs.find((run) => run.key === pick.value),
      );
      if (left && right) this.show(left, right);
    }

    /** One of the two was deleted: its steps are gone from the server. */
    close() {
      this.pair = null;
      this.asked = Boolean(this.waiting);
      this.body.hidden = true;
    }

    /** Put two runs side by side. */
    async show(left, right) {
      this.pair = [left, right];
      this.asked = true;
      this.offer();
      RD.say(this.said, "Comparing…");
      /** @type {SidesPicture | Failure} */
      const found = await this.store.server
        .side_by_side([left.key, right.key])
        .catch(() => ({ error: "The server does not answer. Is it still running?" }));
      if (this.pair?.[0] !== left || this.pair[1] !== right) return;
      if ("error" in found) {
        RD.say(this.said, found.error);
        return;
      }
      this.found = found;
      this.sides.forEach((side, at) => side.take(this.pair[at], NAMES[at]));
      this.body.hidden = false;
      this.fill(found, right.again === left.key);
      this.goTo(found.firstDifference ?? 0);
      this.element.dataset.pair = `${left.key} ${right.key}`;
    }

    /** @param {SidesPicture} found */
    fill(found, verified) {
      RD.say(this.said, verified ? RD.verifiedWords(found) : RD.apartWords(found));
      this.claims.hidden = !verified;
      RD.put(this.claims, found.claims.map(RD.claimItem));
      RD.put(
        this.words,
        found.words.map((line) => h("li", {}, h("bdi", {}, line))),
      );
      RD.put(this.figures, RD.figuresBeside(found));
      RD.put(this.settings, RD.settingsApart(found, NAMES));
      this.range.max = Math.max(0, ...this.sides.map((side) => side.items.length - 1));
    }

    /** Both runs at the same new token. */
    goTo(place) {
      this.place = Math.max(0, Math.min(place, Number(this.range.max)));
      this.range.value = this.place;
      for (const side of this.sides) side.goTo(this.place);
      this.drawPlace();
    }

    /** To the first run's step before or after. */
    move(by) {
      const [first] = this.sides;
      this.goTo(
        first.placeOf(Math.max(0, Math.min(first.store.run.steps - 1, first.store.index + by))),
      );
    }

    drawPlace() {
      const { firstDifference: parts } = this.found;
      const shortest = Math.min(...this.sides.map((side) => side.items.length));
      for (const side of this.sides) side.drawText(parts ?? shortest, parts !== null);
      const [left, right] = this.sides.map((side) => side.store.index);
      RD.say(this.meeting, RD.meetingWords(this.found, this.place, left, right));
      Object.assign(this.element.dataset, { place: this.place, left, right });
      this.bring();
    }

    /** Scroll the texts, never the page, to the step shown. */
    bring() {
      const scroll = this.body.querySelector(".rp-sidescroll");
      const now = scroll.querySelector(".is-now");
      if (!now || scroll.scrollHeight <= scroll.clientHeight) return;
      const top =
        now.getBoundingClientRect().top - scroll.getBoundingClientRect().top + scroll.scrollTop;
      if (top < scroll.scrollTop || top + 24 > scroll.scrollTop + scroll.clientHeight)
        scroll.scrollTop = top - scroll.clientHeight / 3;
    }

    /** The view is seen: lists anew, and trees that had no room. */
    draw() {
      this.offer();
      if (!this.body.hidden) for (const side of this.sides) side.drawStep();
    }

    offer() {
      const runs = this.store.runs.filter((run) => run.head && !run.busy);
      if (this.pair?.some((run) => !this.store.runs.includes(run))) this.close();
      const names = runs.map((run) => [run.key, RD.runName(run)]);
      const offered = JSON.stringify(names);
      if (this.offered !== offered) {
        this.offered = offered;
        for (const pick of this.picks)
          RD.put(
            pick,
            h("option", { value: "" }, "Choose a run"),
            names.map(([value, name]) => h("option", { value }, name)),
          );
      }
      this.picks.forEach((pick, at) => (pick.value = this.pair?.[at].key ?? ""));
      if (!this.asked)
        RD.say(
          this.said,
          runs.length < 2
            ? "Make or open a second run, then choose two."
            : "Choose two runs, or press Compare at one of them.",
        );
    }
  }

  RD.CompareView = CompareView;
})();
