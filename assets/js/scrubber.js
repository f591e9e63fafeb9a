// Through the steps of a run: buttons, a slider over a strip of acceptance bars, play. Keys are the app's.
(() => {
  const RD = window.ReDrafter;
  const { h, s } = RD;
  const PLAY_MS = 650;

  class Scrubber {
    constructor(box, store) {
      this.store = store;
      this.playing = null;
      const button = (name, act) => h("button", { type: "button", class: "rp-icon", "aria-label": name, title: name, "data-act": act, onclick: () => this.act(act) }, RD.icon(act));
      this.play = button("Play", "play");
      this.range = h("input", { type: "range", min: 0, max: 0, value: 0, step: 1, "aria-label": "Step", class: "rp-range", oninput: () => this.jump(Number(this.range.value)) });
      this.strip = s("svg", { class: "rp-strip", preserveAspectRatio: "none", "aria-hidden": "true" });
      this.where = h("output", { class: "rp-where" });
      this.follow = h("button", { type: "button", class: "rp-chip rp-followlive", hidden: true, onclick: () => this.jump(Infinity) }, "Follow live");
      RD.put(
        box,
        h("div", { class: "rp-buttons" }, button("First step", "first"), button("Previous step", "previous"), this.play, button("Next step", "next"), button("Last step", "last")),
        h("div", { class: "rp-track" }, this.strip, this.range),
        this.where,
        this.follow,
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
      this.range.max = Math.max(0, steps - 1);
      this.range.value = Math.max(0, index);
      this.range.disabled = steps < 2;
      this.range.setAttribute("aria-valuetext", `Step ${index + 1} of ${steps}`);
      RD.say(this.where, steps ? `Step ${index + 1} of ${steps}` : "No step yet");
      this.follow.hidden = !run?.busy || following;
      this.drawStrip(run, index);
    }

    /** A bar a step: how many drafted tokens it accepted. */
    drawStrip(run, index) {
      const items = run?.strip ?? [];
      const length = run?.head?.length ?? 1;
      const shown = items.length > 600 ? [] : items;
      this.strip.setAttribute("viewBox", `0 0 ${Math.max(shown.length, 1)} ${length + 1}`);
      this.strip.replaceChildren(
        ...shown.map(([accepted], at) => s("rect", { class: at === index ? "is-now" : null, x: at + 0.12, width: 0.76, y: length - accepted, height: accepted + 1 })),
      );
    }
  }

  RD.Scrubber = Scrubber;
})();
