// Race: both lanes side by side on their own clocks, replayable at true relative speed.
(() => {
  /** @typedef {import("./types").Figures} Figures */
  const RD = window.ReDrafter;
  const { h } = RD;
  const LANES = [
    ["redrafter", "ReDrafter", "text"],
    ["plain", "Plain decoding", "plainText"],
  ];

  class RaceView {
    constructor(store) {
      this.store = store;
      this.time = null; // ms of the replay, null shows all there is
      this.ticking = null;
      this.lanes = LANES.map(([key, title, field]) => this.lane(key, title, field));
      this.range = RD.dial("Time of the replay", () => this.seek());
      this.play = h(
        "button",
        { type: "button", class: "rp-chip is-strong", onclick: () => this.toggle() },
        "▶ Replay",
      );
      this.speed = h(
        "select",
        { "aria-label": "Speed of the replay", class: "rp-select" },
        [
          ["0.25", "¼×"],
          ["1", "1×"],
          ["4", "4×"],
        ].map(([value, name]) => h("option", { value, selected: value === "1" }, name)),
      );
      this.stageBox = h("div", { class: "rp-stages", "data-tour": "stages" });
      this.facts = h("dl", { class: "rp-facts is-wide" });
      this.element = h(
        "div",
        { class: "rp-race" },
        h(
          "section",
          { class: "rp-panel rp-lanespanel", "aria-label": "Lanes", "data-tour": "lanes" },
          h("div", { class: "rp-replay" }, this.play, this.speed, this.range),
          h(
            "div",
            { class: "rp-lanes" },
            this.lanes.map((lane) => lane.element),
          ),
        ),
        h(
          "section",
          { class: "rp-panel", "aria-label": "Where the time went" },
          h("h2", {}, "Where the drafting lane's time went"),
          this.stageBox,
          this.facts,
        ),
      );
    }

    lane(key, title, field) {
      const clock = h("output", { class: "rp-clock" }, "–");
      const rate = h("span", { class: "rp-lanerate" }, "–");
      const fillBar = h("span", { class: `rp-lanefill is-${key}` });
      const textBox = h("div", {
        class: "rp-lanetext",
        tabindex: 0,
        role: "region",
        "aria-label": `Text of ${title}`,
      });
      const element = h(
        "div",
        { class: `rp-lane is-${key}`, "data-lane": key },
        h("header", {}, h("h2", {}, title), clock, rate),
        h("div", { class: "rp-lanetrack" }, fillBar),
        textBox,
      );
      return { key, field, clock, rate, fillBar, element, text: new RD.TextView(textBox) };
    }

    get end() {
      const replay = this.store.run?.replay;
      return replay ? Math.max(0, ...LANES.map(([key]) => replay[key].at(-1)?.[0] ?? 0)) : 0;
    }

    seek() {
      this.pause();
      this.time = (Number(this.range.value) / 1000) * this.end;
      if (this.time >= this.end) this.time = null;
      this.drawLanes();
    }

    toggle() {
      if (this.ticking) return this.pause();
      if (!this.end) return undefined;
      let before = performance.now();
      if (this.time === null) this.time = 0;
      const tick = (now) => {
        this.time += (now - before) * Number(this.speed.value);
        before = now;
        if (this.time >= this.end) {
          this.time = null;
          this.pause();
        } else this.ticking = requestAnimationFrame(tick);
        this.drawLanes();
      };
      this.ticking = requestAnimationFrame(tick);
      RD.say(this.play, "❚❚ Pause");
      return undefined;
    }

    pause() {
      cancelAnimationFrame(this.ticking);
      this.ticking = null;
      RD.say(this.play, "▶ Replay");
    }

    draw() {
      const { run } = this.store;
      if (this.drawn !== run) {
        this.pause();
        this.drawn = run;
        this.time = null;
      }
      this.drawLanes();
      const figures = run?.figures;
      RD.drawStages(this.stageBox, figures?.stageMs);
      this.drawFacts(figures);
    }

    /** @param {Figures | null | undefined} figures */
    drawFacts(figures) {
      if (!figures) return RD.put(this.facts);
      const facts = [
        [
          "fastest",
          "Speed-up over the fastest plain",
          figures.speedupFastest
            ? `${RD.times(figures.speedupFastest)} (${figures.fastestDtype})`
            : "–",
        ],
        ["steps", "Steps", figures.steps],
        ["nodes", "Nodes per step", RD.number(figures.meanNodes)],
        figures.saving !== null && [
          "saving",
          "Beam slots saved by merging",
          RD.percent(figures.saving),
        ],
        ["prompt", "Prompt (not in the rates)", RD.ms(figures.promptMs)],
      ];
      return RD.put(
        this.facts,
        facts
          .filter(Boolean)
          .map(([figure, name, value]) =>
            h("div", {}, h("dt", {}, name), h("dd", { "data-figure": figure }, value)),
          ),
      );
    }

    drawLanes() {
      const { run } = this.store;
      const differs = run?.figures?.firstDifference ?? null;
      this.range.disabled = this.play.disabled = !this.end;
      if (this.time === null) this.range.value = 1000;
      else this.range.value = Math.round((this.time / this.end) * 1000);
      for (const lane of this.lanes) {
        const { clock, tokens, rate } = this.laneNow(run, lane.key);
        const absent = lane.key === "plain" && run?.figures && !run.figures.plain;
        RD.say(lane.clock, absent ? "not run" : RD.seconds(clock));
        RD.say(
          lane.rate,
          rate
            ? `${RD.number(rate)} tok/s · ${RD.plural(tokens, "token")}`
            : RD.plural(tokens, "token"),
        );
        const whole = run?.busy
          ? (run.head?.maxNewTokens ?? 1)
          : (run?.figures?.[lane.key]?.tokens ?? 1);
        lane.fillBar.style.width = `${Math.min(100, (tokens / Math.max(1, whole)) * 100)}%`;
        lane.element.dataset.tokens = tokens;
        const items = run?.[lane.field] ?? [];
        lane.text.draw(items, { limit: Math.min(tokens, items.length), differs });
      }
    }

    /** @param {"redrafter" | "plain"} key */
    laneNow(run, key) {
      const figures = run?.figures?.[key];
      if (this.time === null || !run?.replay)
        return { clock: figures?.clock, tokens: figures?.tokens ?? 0, rate: figures?.rate };
      const events = run.replay[key];
      let [low, high] = [0, events.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (events[middle][0] <= this.time) low = middle + 1;
        else high = middle;
      }
      const tokens = low ? events[low - 1][1] : 0;
      const clock = Math.min(this.time, events.at(-1)?.[0] ?? 0);
      return { clock, tokens, rate: tokens > 1 && clock ? ((tokens - 1) / clock) * 1000 : null };
    }
  }

  RD.RaceView = RaceView;
})();
