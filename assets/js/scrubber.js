// Through the steps of a run: buttons, a slider under the map of the run, play. Keys are the app's.
(() => {
  const RD = window.ReDrafter;
  const { h } = RD;
  const STILL_MS = 650; // a step that is not in motion
  const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
  const LIVE_MS = 90; // between two pictures at full speed, as while a run is written

  class Scrubber {
    /** @param {() => object | null} film of the view shown, if it has one */
    constructor(box, store, film) {
      this.store = store;
      this.film = film;
      const button = (name, act) =>
        h(
          "button",
          {
            type: "button",
            class: "rp-icon",
            "aria-label": name,
            title: name,
            "data-act": act,
            onclick: () => this.act(act),
          },
          RD.icon(act),
        );
      this.play = button("Play", "play");
      this.range = h("input", {
        type: "range",
        min: 0,
        max: 0,
        value: 0,
        step: 1,
        "aria-label": "Step",
        class: "rp-range",
        oninput: () => this.jump(Number(this.range.value)),
      });
      const speed = h(
        "select",
        {
          class: "rp-select is-small",
          "aria-label": "Speed of play",
          onchange: (event) => (store.speed = Number(event.target.value)),
        },
        SPEEDS.map((value) => h("option", { value, selected: value === 1 }, `${value}×`)),
        h("option", { value: Infinity }, "live"),
      );
      this.map = new RD.RunMap(store);
      this.where = h("output", { class: "rp-where" });
      this.follow = h(
        "button",
        {
          type: "button",
          class: "rp-chip is-small rp-followlive",
          hidden: true,
          onclick: () => this.jump(Infinity),
        },
        "Follow live",
      );
      RD.put(
        box,
        h(
          "div",
          { class: "rp-buttons" },
          button("First step", "first"),
          button("Previous step", "previous"),
          this.play,
          button("Next step", "next"),
          button("Last step", "last"),
          speed,
        ),
        h("div", { class: "rp-track" }, this.map.element, this.range),
        h("div", { class: "rp-whereabouts" }, this.where, this.map.all, this.follow, mapLegend()),
      );
    }

    act(name) {
      const { store } = this;
      if (name === "play") return this.toggle();
      this.pause();
      const last = (store.run?.steps ?? 0) - 1;
      return store.goTo({ first: 0, previous: store.index - 1, next: store.index + 1, last }[name]);
    }

    jump(index) {
      this.pause();
      this.store.goTo(index);
    }

    toggle() {
      if (this.store.playing) return this.pause();
      const { store } = this;
      if (!store.run?.steps) return undefined;
      if (store.index >= store.run.steps - 1) store.goTo(0);
      store.playing = true;
      this.face();
      store.emit("step");
      return this.whenDrawn(() => this.playStep());
    }

    /** One step, in motion where there is a film of it, as a still picture elsewhere; then the next. */
    playStep() {
      if (this.store.live) return this.playLive();
      const film = this.film();
      const next = () => {
        const { store } = this;
        if (!store.playing) return;
        if (store.index >= store.run.steps - 1) this.pause();
        else {
          store.goTo(store.index + 1);
          this.whenDrawn(() => this.playStep());
        }
      };
      if (film?.possible) film.play(this.store.speed, next);
      else this.timer = setTimeout(next, STILL_MS / this.store.speed);
      return undefined;
    }

    /** The live view again: the newest step at the pace of the run's own clock, as often as a run is drawn. */
    playLive() {
      const { store } = this;
      const { run } = store;
      if (run.busy) return this.jump(Infinity);
      const clocks = RD.stepClocks(run.strip, run.replay?.redrafter ?? []);
      const begun = performance.now() - clocks[store.index];
      const tick = () => {
        if (!store.playing) return;
        if (!store.live || store.run !== run) this.whenDrawn(() => this.playStep());
        else {
          const at = RD.stepAt(clocks, performance.now() - begun);
          if (at !== store.index) store.goTo(at);
          if (at >= run.steps - 1) this.pause();
          else this.timer = setTimeout(tick, LIVE_MS);
        }
      };
      return tick();
    }

    /** A step may still be on its way from the server, and is drawn before the next paint. */
    whenDrawn(then) {
      this.timer = setTimeout(
        () => this.store.playing && (this.store.step ? then() : this.whenDrawn(then)),
        40,
      );
    }

    pause() {
      clearTimeout(this.timer);
      const was = this.store.playing;
      this.store.playing = false;
      this.film()?.end();
      this.face();
      if (was) this.store.emit("step");
    }

    face() {
      RD.put(this.play, RD.icon(this.store.playing ? "pause" : "play"));
      this.play.setAttribute("aria-label", this.store.playing ? "Pause" : "Play");
      this.play.title = this.store.playing ? "Pause" : "Play";
    }

    draw() {
      const { run, index, following } = this.store;
      const steps = run?.steps ?? 0;
      this.map.draw();
      const { from, to } = this.map.window;
      this.range.min = from;
      this.range.max = Math.max(from, to - 1);
      this.range.value = Math.max(0, index);
      this.range.disabled = steps < 2;
      this.range.setAttribute("aria-valuetext", `Step ${index + 1} of ${steps}`);
      RD.say(this.where, steps ? `Step ${index + 1} of ${steps}` : "No step yet");
      this.follow.hidden = !run?.busy || following;
    }
  }

  function mapLegend() {
    const key = (name, words) => h("li", {}, h("span", { class: `rp-swatch is-${name}` }), words);
    return h(
      "ul",
      { class: "rp-maplegend", "aria-label": "Columns of the map" },
      key("acceptedtoken", "accepted"),
      key("pickedtoken", "picked"),
      key("wasted", "wasted nodes"),
    );
  }

  RD.Scrubber = Scrubber;
})();
