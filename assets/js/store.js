// One state for the whole stage, and who wants to know when it changes. No drawing here.
(() => {
  /** @typedef {import("./types").RunFrame} RunFrame */
  /** @typedef {import("./types").RunState} RunState */
  /** @typedef {import("./types").FailedFrame} FailedFrame */
  /** @typedef {import("./types").StepPicture} StepPicture */
  /** @typedef {import("./types").StatusPicture} StatusPicture */
  /** @typedef {import("./types").SweepFrame} SweepFrame */
  const RD = window.ReDrafter;
  const BUSY = ["queued", "prompt", "running"];
  const NEAR_THE_END = 8; // steps: the text's end stays in view
  const LEAST_NODES = 3; // drafted: fewer are no tree to look at

  /** A run as the page knows it: frames fill it in, whatever they leave out is asked for. */
  class Run {
    /** @param {string} key */
    constructor(key) {
      this.key = key;
      this.head = null;
      this.state = "done";
      this.message = "";
      this.position = 0;
      this.steps = 0;
      this.text = [];
      this.plainText = [];
      this.strip = [];
      this.figures = null;
      this.rates = null;
      this.positions = [];
      this.replay = null;
      this.cache = new Map();
      this.wanted = new Set();
      this.name = "";
    }

    get busy() {
      return BUSY.includes(this.state);
    }

    /**
     * Take in a frame; false when tokens are missing between what is here and what came.
     * @param {RunState & Partial<RunFrame>} frame
     */
    take(frame) {
      for (const name of [
        "state",
        "message",
        "position",
        "head",
        "steps",
        "figures",
        "rates",
        "positions",
        "replay",
        "histogram",
        "complete",
        "again",
      ]) {
        if (name in frame) this[name] = frame[name];
      }
      if (frame.step) this.cache.set(frame.step.index, frame.step);
      const whole = ["text", "plainText", "strip"].map(
        (name) => !frame[name] || splice(this, name, frame[name]),
      );
      return whole.every(Boolean);
    }
  }

  function splice(run, name, { from, items }) {
    if (from > run[name].length) return false;
    run[name] = run[name].slice(0, from).concat(items);
    return true;
  }

  class Store {
    constructor(server) {
      this.server = server;
      this.runs = [];
      this.run = null;
      this.index = -1;
      this.following = true;
      this.playing = false; // the scrubber plays
      this.speed = 1;
      this.filming = false; // a step is in motion
      this.view = "live";
      this.light = { node: null, beam: null };
      /** @type {SweepFrame | null} */
      this.sweep = null;
      /** @type {StatusPicture} */
      this.status = {
        state: "loading",
        stage: "",
        done: 0,
        message: "",
        error: "",
        revision: 0,
        pair: null,
      };
      this.notice = null;
      this.listeners = new Map();
    }

    on(topic, listener) {
      if (!this.listeners.has(topic)) this.listeners.set(topic, []);
      this.listeners.get(topic).push(listener);
    }

    emit(topic) {
      for (const listener of this.listeners.get(topic) ?? []) listener();
    }

    /** The step being looked at, if it is here. @returns {StepPicture | null} */
    get step() {
      return this.run?.cache.get(this.index) ?? null;
    }

    /** Played at full speed: as the run was seen while it was written. */
    get live() {
      return this.playing && this.speed === Infinity;
    }

    /** @param {(RunState & Partial<RunFrame>) | FailedFrame} frame */
    takeFrame(frame) {
      if (!frame.key) {
        this.waiting = BUSY.includes(frame.state) ? frame : null;
        if (frame.state === "failed") this.tell("error", frame.message);
        this.emit("run");
        return;
      }
      this.waiting = null;
      let run = this.runs.find((item) => item.key === frame.key);
      const fresh = !run;
      if (fresh) {
        run = new Run(frame.key);
        this.runs.push(run);
      }
      const began = run.busy;
      if (!run.take(frame)) this.fetchWhole(run);
      if (began && !run.busy && run === this.run && this.following) this.rest();
      if (frame.state === "failed") this.tell("error", frame.message);
      if (fresh && frame.kind === "run") this.show(run, true);
      else if (run === this.run) this.advance();
      this.emit("runs");
    }

    /** Follow the newest step while asked to, then tell everyone. */
    advance() {
      if (this.following && this.step?.index !== this.run.steps - 1)
        this.index = this.run.steps - 1;
      this.light = { node: null, beam: null };
      this.fetchStep();
      this.emit("run");
    }

    /** A run that ended stays on its last step that tells something: the very last often drafts one token or none. */
    rest() {
      this.index = tellingStep(this.run.strip);
      this.following = this.index === this.run.steps - 1;
    }

    show(run, following = true) {
      this.run = run;
      this.following = following;
      this.index = run.steps - 1;
      if (!run.busy && run.steps) this.rest();
      this.selected = null;
      this.advance();
      this.emit("runs");
    }

    /** Off the page's list; the run shown stays. */
    remove(run) {
      if (run === this.run) return;
      this.runs = this.runs.filter((item) => item !== run);
      this.emit("runs");
    }

    goTo(index) {
      if (!this.run) return;
      const last = this.run.steps - 1;
      this.index = Math.max(0, Math.min(last, index));
      this.following = this.index === last;
      this.light = { node: null, beam: null };
      this.selected = null;
      this.fetchStep();
      this.emit("step");
    }

    /** The step that accepted most: what a newcomer should see first. */
    bestStep() {
      return bestStep(this.run?.strip ?? []);
    }

    setView(view) {
      if (this.view === view) return;
      this.view = view;
      this.emit("view");
    }

    /** Light a node, a beam, or nothing. */
    setLight(node, beam = null) {
      if (this.light.node === node && this.light.beam === beam) return;
      this.light = { node, beam };
      this.emit("light");
    }

    select(node) {
      this.selected = node;
      this.setLight(node);
      this.emit("light");
    }

    tell(tone, message) {
      this.notice = message ? { tone, message } : null;
      this.emit("notice");
    }

    async fetchStep() {
      const { run, index } = this;
      for (const at of [index, index + 1, index - 1]) {
        if (
          at < 0 ||
          at >= run.steps ||
          run.cache.has(at) ||
          run.wanted.has(at) ||
          ((run.busy || this.live) && at !== index)
        )
          continue;
        run.wanted.add(at);
        try {
          const step = await this.server.step([run.key, at]);
          if (step.error) this.tell("error", step.error);
          else run.cache.set(at, step);
        } catch {
          this.tell("error", "The server does not answer. Is it still running?");
        }
        run.wanted.delete(at);
        if (this.run === run && this.index === at) this.emit("step");
      }
    }

    async fetchWhole(run) {
      if (run.fetching) return;
      run.fetching = true;
      const whole = await this.server.open_trace(run.key).catch(() => null);
      run.fetching = false;
      if (!whole || whole.error) return;
      const { state } = run;
      run.take({ ...whole, state });
      if (run === this.run) this.advance();
    }
  }

  /**
   * The last step with a tree to look at and something accepted of it, near the end; the very last where none is there.
   * @param {[number, number, number][]} strip accepted drafted tokens, drafted nodes, new tokens of every step
   */
  function tellingStep(strip) {
    for (let at = strip.length - 1; at >= Math.max(0, strip.length - NEAR_THE_END); at--)
      if (strip[at][0] > 0 && strip[at][1] >= LEAST_NODES) return at;
    return strip.length - 1;
  }

  /**
   * The step that accepted most; of several, the one with most branches left behind: a lone chain shows no choice.
   * @param {[number, number, number][]} strip
   */
  function bestStep(strip) {
    return strip.reduce((best, [accepted, nodes], at) => {
      const [most, others] = strip[best];
      return accepted > most || (accepted === most && nodes > others) ? at : best;
    }, 0);
  }

  RD.bestStep = bestStep;
  RD.tellingStep = tellingStep;
  RD.Store = Store;
  RD.Run = Run;
})();
