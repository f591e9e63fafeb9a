// Guess first: a step without its verdict, a guess of which branch survives, and the score. The score stays in this
// browser; nothing of it is sent.
(() => {
  /** @typedef {import("./types").StepPicture} StepPicture */
  const RD = window.ReDrafter;
  const { h } = RD;
  const KEPT = "redrafter-guesses";
  const NOBODY = { exact: 0, partly: 0, wrong: 0 };

  const hidden = new WeakMap();

  /**
   * The step as it stood before the base model looked: drafted nodes, the drafter's probabilities, and nothing else.
   * @param {StepPicture} step
   * @returns {StepPicture}
   */
  RD.withoutVerdict = (step) => {
    if (!hidden.has(step)) hidden.set(step, blank(step));
    return hidden.get(step);
  };

  function blank(step) {
    const { nodes } = step;
    const secret = "Hidden until you have guessed which branch survives.";
    return {
      ...step,
      blind: true,
      path: [0],
      pick: null,
      verdict: "",
      beams: step.beams.map((beam) => ({ ...beam, accepted: 0 })),
      nodes: {
        ...nodes,
        status: `r${"g".repeat(nodes.parent.length - 1)}`,
        base: nodes.base.map(() => null),
        rank: nodes.rank.map(() => 0),
        reason: nodes.reason.map((reason, node) => (node ? secret : reason)),
      },
    };
  }

  /**
   * How a guess of the last accepted node (0: none survives) fared.
   * @param {StepPicture} step
   * @returns {{ mark: "exact" | "partly" | "wrong", shared: number }} `shared`: accepted tokens it named
   */
  RD.judgeGuess = ({ path, nodes }, guess) => {
    let shared = 0;
    for (let node = guess; node > 0; node = nodes.parent[node])
      if (path.includes(node)) shared += 1;
    if (guess === path.at(-1)) return { mark: "exact", shared };
    return { mark: shared ? "partly" : "wrong", shared };
  };

  /** What was kept, if it is a score: somebody may have edited it. */
  RD.readScore = (text) => {
    try {
      const found = JSON.parse(text ?? "null");
      const whole = Object.keys(NOBODY).every(
        (name) => Number.isSafeInteger(found?.[name]) && found[name] >= 0,
      );
      return whole
        ? { exact: found.exact, partly: found.partly, wrong: found.wrong }
        : { ...NOBODY };
    } catch {
      return { ...NOBODY };
    }
  };

  class GuessPanel {
    /** @param {() => void} changed draws the step again */
    constructor(store, changed) {
      this.store = store;
      this.changed = changed;
      this.on = false;
      this.guesses = new Map(); // what was guessed of a step
      this.score = RD.readScore(localStorage.getItem(KEPT));
      this.switch = h(
        "button",
        {
          type: "button",
          class: "rp-chip is-small",
          "data-act": "guess",
          "aria-pressed": "false",
          onclick: () => this.flip(),
        },
        "Guess first",
      );
      this.words = h("p", { class: "rp-guesswords", role: "status" });
      this.take = h("button", {
        type: "button",
        class: "rp-chip is-strong",
        "data-act": "guess-node",
        onclick: () => this.guess(this.store.selected),
      });
      this.none = h(
        "button",
        {
          type: "button",
          class: "rp-chip",
          "data-act": "guess-none",
          onclick: () => this.guess(0),
        },
        "None survives",
      );
      this.next = h("button", {
        type: "button",
        class: "rp-chip is-strong",
        "data-act": "guess-next",
        onclick: () => this.store.goTo(this.last ? 0 : this.store.index + 1),
      });
      this.tally = h("span", { class: "rp-quiet rp-tally" });
      this.again = h(
        "button",
        {
          type: "button",
          class: "rp-chip is-small",
          "data-act": "guess-again",
          onclick: () => this.keep({ ...NOBODY }),
        },
        "Reset score",
      );
      this.element = h(
        "div",
        { class: "rp-guess", hidden: true },
        this.words,
        h("div", { class: "rp-row" }, this.take, this.none, this.next),
        h("div", { class: "rp-row" }, this.tally, this.again),
      );
    }

    flip() {
      this.on = !this.on;
      this.switch.setAttribute("aria-pressed", String(this.on));
      document.body.classList.toggle("rp-guessing", this.on);
      this.changed();
    }

    /**
     * The step as it may be seen now.
     * @param {StepPicture} step
     */
    seen(step) {
      return this.on && this.open(step) ? RD.withoutVerdict(step) : step;
    }

    /** Still to be guessed: a tree of one node leaves nothing to guess. */
    open(step) {
      return step.nodes.parent.length > 1 && !this.guesses.has(this.key(step));
    }

    get last() {
      return this.store.index >= this.store.run.steps - 1;
    }

    key(step) {
      return `${this.store.run.key} ${step.index}`;
    }

    guess(node) {
      const { step } = this.store;
      if (!step || !this.open(step) || node === null || node === undefined) return;
      this.guesses.set(this.key(step), node);
      const { mark } = RD.judgeGuess(step, node);
      this.store.select(null);
      this.keep({ ...this.score, [mark]: this.score[mark] + 1 });
      if (!this.next.disabled) this.next.focus();
    }

    keep(score) {
      this.score = score;
      localStorage.setItem(KEPT, JSON.stringify(score));
      this.changed();
    }

    /** @param {StepPicture | null} step as it happened */
    draw(step) {
      this.element.hidden = !this.on || !step;
      if (this.element.hidden) return;
      const open = this.open(step);
      this.take.hidden = this.none.hidden = !open;
      this.next.hidden = open;
      this.next.disabled = this.store.run.steps < 2;
      RD.say(this.next, this.last ? "First step" : "Next step");
      this.element.dataset.mark = open ? "open" : this.mark(step);
      RD.sayExplained(
        this.words,
        open
          ? "Which branch survives? Choose, in the tree, the last token that the base model will accept."
          : this.told(step),
      );
      const { exact, partly, wrong } = this.score;
      const all = exact + partly + wrong;
      RD.say(
        this.tally,
        all
          ? `Score: ${exact} of ${all} exact, ${partly} partly`
          : "No guess yet. The score stays in this browser.",
      );
      this.again.hidden = !all;
      this.drawChoice(step);
    }

    /** The button names what is chosen in the tree. */
    drawChoice(step) {
      const { selected } = this.store;
      const some = selected > 0 && selected < step.nodes.parent.length;
      this.take.disabled = !some;
      RD.say(
        this.take,
        some
          ? `Survives to ${RD.clip(step.nodes.label[selected], 14)}`
          : "Choose a token in the tree",
      );
    }

    mark(step) {
      const guess = this.guesses.get(this.key(step));
      return guess === undefined ? "none" : RD.judgeGuess(step, guess).mark;
    }

    told(step) {
      const guess = this.guesses.get(this.key(step));
      if (guess === undefined) return "This tree is only a root: there is nothing to guess.";
      const { mark, shared } = RD.judgeGuess(step, guess);
      const accepted = step.path.length - 1;
      if (mark === "exact")
        return accepted
          ? `Right: ${RD.plural(accepted, "drafted token")} accepted, as you said.`
          : "Right: none survived.";
      if (mark === "partly")
        return `Partly right: you named ${shared} of ${RD.plural(accepted, "accepted token")}.`;
      if (!accepted) return "Not this time: none survived.";
      return guess
        ? "Not this time: another branch survived."
        : `Not this time: ${RD.plural(accepted, "drafted token")} survived.`;
    }
  }

  RD.GuessPanel = GuessPanel;
})();
