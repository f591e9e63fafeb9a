// Through the steps of a run: buttons, a slider under the map of the run, play. Keys are the app's.
(() => {
  const RD = window.ReDrafter;
  const { h } = RD;
  const PLAY_MS = 650;

  class Scrubber {
    constructor(box, store) {
      this.store = store;
      this.playing = null;
      const button = (name, act) => h("button", { type: "button", class: "rp-icon", "aria-label": name, title: name, "data-act": act, onclick: () => this.act(act) }, RD.icon(act));
      this.play = button("Play", "play");
      this.range = h("input", { type: "range", min: 0, max: 0, value: 0, step: 1, "aria-label": "Step", class: "rp-range", oninput: () => this.jump(Number(this.range.value)) });
      this.map = new RD.RunMap(store);
      this.where = h("output", { class: "rp-where" });
      this.follow = h("button", { type: "button", class: "rp-chip is-small rp-followlive", hidden: true, onclick: () => this.jump(Infinity) }, "Follow live");
      RD.put(
        box,
        h("div", { class: "rp-buttons" }, button("First step", "first"), button("Previous step", "previous"), this.play, button("Next step", "next"), button("Last step", "last")),
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
      if (this.playing) return this.pause();
      const { store } = this;
      if (!store.run?.steps) return undefined;
      if (store.index >= store.run.steps - 1) store.goTo(0);
      this.playing = setInterval(() => {
        if (store.index >= store.run.steps - 1) this.pause();
        else if (store.step) store.goTo(store.index + 1);
      }, PLAY_MS);
      return this.face();
    }

    pause() {
      clearInterval(this.playing);
      this.playing = null;
      this.face();
    }

    face() {
      RD.put(this.play, RD.icon(this.playing ? "pause" : "play"));
      this.play.setAttribute("aria-label", this.playing ? "Pause" : "Play");
      this.play.title = this.playing ? "Pause" : "Play";
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
    return h("ul", { class: "rp-maplegend", "aria-label": "Columns of the map" }, key("acceptedtoken", "accepted"), key("pickedtoken", "picked"), key("wasted", "wasted nodes"));
  }

  RD.Scrubber = Scrubber;
})();
