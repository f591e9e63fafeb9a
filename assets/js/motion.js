// A step in motion: beams grow, slide together into the tree, the forward sweeps over it, the verdict walks down, the
// accepted tokens fly into the text. Drawn on what the tree view drew, and taken back without a trace.
(() => {
  const RD = window.ReDrafter;
  const { h, s } = RD;
  const FASTEST = 8; // times the usual; what is faster is no longer seen as motion
  const BEAMS = 8; // that are seen growing; the others join when they are merged

  class StepMotion {
    /** @param {HTMLElement} textBox where the accepted tokens land */
    constructor(tree, textBox, store) {
      this.tree = tree;
      this.textBox = textBox;
      this.store = store;
      this.time = 1;
      this.asked = null;
      this.drawn = null;
      this.flyers = [];
      this.range = RD.dial("Moment within the step", () =>
        this.seek(Number(this.range.value) / 1000),
      );
      this.face = h(
        "button",
        {
          type: "button",
          class: "rp-chip is-small rp-filmplay",
          "data-act": "film",
          onclick: () => this.toggle(),
        },
        RD.icon("play"),
      );
      this.words = h("output", { class: "rp-phase" });
      this.element = h(
        "div",
        { class: "rp-film", role: "group", "aria-label": "This step in motion" },
        this.words,
        this.face,
        this.range,
      );
      this.label();
    }

    /** Only with leave to move, and never while the engine works. */
    get possible() {
      const { step, run } = this.store;
      return Boolean(
        step &&
          !run.busy &&
          !this.store.live &&
          !RD.calm() &&
          this.tree.step === step &&
          this.tree.box.clientWidth,
      );
    }

    get playing() {
      return this.asked !== null;
    }

    /** Show or hide the controls, and leave the film of a step that is no longer shown. */
    follow() {
      if (this.drawn && this.drawn !== this.tree.edges) this.end();
      this.element.hidden = !this.possible;
    }

    toggle() {
      if (this.playing) this.pause();
      else this.play(Math.min(this.store.speed, FASTEST));
    }

    /** Play to the end of the step. */
    play(speed, then = () => {}) {
      this.pause();
      if (!this.possible) return then();
      if (this.time >= 1) this.time = 0;
      let before = performance.now();
      const tick = (now) => {
        this.time = Math.min(1, this.time + ((now - before) / RD.FILM_MS) * speed);
        before = now;
        this.show();
        if (this.time < 1) this.asked = requestAnimationFrame(tick);
        else {
          this.end();
          then();
        }
      };
      this.asked = requestAnimationFrame(tick);
      return this.label();
    }

    pause() {
      cancelAnimationFrame(this.asked);
      this.asked = null;
      this.label();
    }

    seek(time) {
      this.pause();
      this.time = time;
      if (time >= 1 || !this.possible) this.end();
      else this.show();
    }

    label() {
      const words = this.playing ? "Pause this step" : "Watch this step";
      RD.put(this.face, RD.icon(this.playing ? "pause" : "play"), words);
    }

    /** What there is to move: the tree's own pills, and a ghost for every further beam through one of them. */
    prepare() {
      this.clear();
      const { items, place, groups, paths, step, size, svg, edges } = this.tree;
      this.drawn = edges;
      const index = new Map(items.map((item, at) => [item.node, at]));
      const beams = step.beams.slice(0, BEAMS);
      const gap = Math.min(size.row, (place.height - size.pill) / Math.max(1, beams.length - 1));
      const top = (place.height - gap * (beams.length - 1)) / 2;
      const starts = new Map();
      this.ghosts = [];
      beams.forEach((beam, row) => {
        for (const node of beam.nodes) {
          const at = index.get(node);
          if (at === undefined) continue;
          const y = top + row * gap;
          if (starts.has(node))
            this.ghosts.push({
              at,
              y,
              element: groups.get(String(node)).cloneNode(true),
              shown: {},
            });
          else starts.set(node, y);
        }
      });
      const decided = RD.decided(step.nodes, step.path);
      this.actors = items.map((item, at) => ({
        at,
        item,
        element: groups.get(item.key),
        path: paths.has(item.key) ? { element: paths.get(item.key), shown: {} } : null,
        shown: {},
        start: starts.get(item.node) ?? null,
        known: item.status === "k" ? 0.96 : item.node === null ? 0 : decided[item.node],
      }));
      this.length = Math.max(1, ...step.nodes.depth);
      this.layer = s(
        "g",
        { class: "rp-ghosts", "aria-hidden": "true" },
        this.ghosts.map(({ element }) => element),
      );
      for (const { element } of this.ghosts) element.classList.add("is-pending", "is-unseen");
      this.sweep = s("rect", {
        class: "rp-sweep",
        width: 26,
        height: place.height,
        y: 0,
        "aria-hidden": "true",
      });
      svg.append(this.layer, this.sweep);
    }

    show() {
      if (this.drawn !== this.tree.edges || !this.layer) this.prepare();
      const { time } = this;
      const share = (name) => RD.shareOf(name, time);
      this.store.filming = true;
      this.showPills(share("draft"), RD.ease(share("merge")), share("verify"), share("accept"));
      this.showSweep(share("verify"));
      this.fly(RD.ease(share("commit")));
      this.range.value = Math.round(time * 1000);
      RD.say(this.words, RD.phaseAt(time).name);
      this.tree.svg.dataset.phase = RD.phaseAt(time).name;
    }

    showPills(draft, merge, verify, accept) {
      const { width, x } = this.tree.place;
      const seen = verify >= 1 ? Infinity : verify * width;
      for (const actor of this.actors) {
        const { at, item, start, known, path } = actor;
        const pick = item.status === "k";
        const late = accept < known;
        const drafted = start === null ? merge : RD.arriving(draft, item.depth - 1, this.length);
        set(actor, "opacity", item.node === 0 ? 1 : pick ? Number(!late) : drafted);
        set(actor, "is-pending", item.node > 0 && late);
        set(actor, "is-unseen", seen < x[at]);
        this.move(actor, start, merge);
        if (!path) continue;
        set(path, "is-pending", item.status !== "r" && late);
        set(path, "opacity", pick ? Number(!late) : merge ** 3);
      }
      for (const ghost of this.ghosts) {
        const { depth } = this.tree.items[ghost.at];
        set(ghost, "opacity", RD.arriving(draft, depth - 1, this.length) * (1 - merge));
        this.move(ghost, ghost.y, merge);
      }
    }

    /** Between its row among the beams, if it has one, and its place in the tree. */
    move(actor, from, merge) {
      const { place, size } = this.tree;
      const to = place.y[actor.at];
      const y = (from === null ? to : from + (to - from) * merge) - size.pill / 2;
      set(actor, "transform", `translate(${place.x[actor.at].toFixed(1)} ${y.toFixed(1)})`);
    }

    showSweep(verify) {
      const { width } = this.tree.place;
      this.sweep.setAttribute("x", (verify * (width + 26) - 26).toFixed(1));
      this.sweep.style.opacity = verify > 0 && verify < 1 ? 1 : 0;
    }

    /** Accepted tokens and the pick on their way into the text. */
    fly(share) {
      const spans = [...this.textBox.querySelectorAll(".is-now")];
      for (const span of spans) span.classList.toggle("is-coming", share < 1);
      if (share <= 0) return this.land();
      if (!this.flyers.length) this.flyers = this.makeFlyers(spans);
      for (const { element, from, to } of this.flyers) {
        const x = from.left + (to.left - from.left) * share;
        const y = from.top + (to.top - from.top) * share - Math.sin(share * Math.PI) * 18;
        element.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
        element.style.opacity = 1 - share ** 6;
      }
      return undefined;
    }

    makeFlyers(spans) {
      const { step, groups } = this.tree;
      const keys = [...step.path.slice(1).map(String), ...(step.pick ? ["pick"] : [])];
      return spans.slice(0, keys.length).map((span, at) => {
        const pill = groups.get(keys[at]);
        const element = h(
          "span",
          {
            class: `rp-flyer rp-mono ${keys[at] === "pick" ? "is-picked" : "is-accepted"}`,
            "aria-hidden": "true",
          },
          pill.querySelector(".rp-label").textContent,
        );
        document.body.append(element);
        return { element, from: pill.getBoundingClientRect(), to: span.getBoundingClientRect() };
      });
    }

    land() {
      for (const { element } of this.flyers.splice(0)) element.remove();
    }

    /** The still picture again. */
    end() {
      cancelAnimationFrame(this.asked);
      this.asked = null;
      this.time = 1;
      this.clear();
      this.range.value = 1000;
      RD.say(this.words, "");
      this.label();
    }

    clear() {
      this.store.filming = false;
      this.land();
      for (const span of this.textBox.querySelectorAll(".is-coming"))
        span.classList.remove("is-coming");
      this.layer?.remove();
      this.sweep?.remove();
      delete this.tree.svg.dataset.phase;
      if (this.layer && this.drawn === this.tree.edges) this.restore();
      this.layer = this.sweep = this.drawn = null;
    }

    restore() {
      const { place, size, edges } = this.tree;
      for (const { at, element } of this.actors) {
        element.removeAttribute("style");
        element.classList.remove("is-pending", "is-unseen");
        element.setAttribute(
          "transform",
          `translate(${place.x[at].toFixed(1)} ${(place.y[at] - size.pill / 2).toFixed(1)})`,
        );
      }
      for (const path of edges.children) {
        path.classList.remove("is-pending");
        path.removeAttribute("style");
      }
    }
  }

  /** Change how something looks, where it is not so already: what stays the same costs the browser nothing. */
  function set({ element, shown }, name, value) {
    if (shown[name] === value) return;
    shown[name] = value;
    if (name === "opacity") element.style.opacity = value;
    else if (name === "transform") element.setAttribute(name, value);
    else element.classList.toggle(name, value);
  }

  RD.StepMotion = StepMotion;
})();
