// The hero: tokens per step / cost of a step in plain steps = speed-up, drawn as two bars with the break-even line.
(() => {
  /** @typedef {import("./types").EquationPicture} EquationPicture */
  /** @typedef {import("./types").AdvicePicture} AdvicePicture */
  /** @typedef {import("./types").Figures} Figures */
  /** @typedef {import("./types").HeadPicture} HeadPicture */
  /** @typedef {import("./types").PairPicture} PairPicture */
  const RD = window.ReDrafter;
  const { h } = RD;

  class EquationView {
    /**
     * @param {((advice: AdvicePicture) => void) | null} take runs again as advised; null offers nothing
     * @param {(() => void) | null} exactly runs again so that both lanes agree; null offers nothing
     */
    constructor(take, exactly = null) {
      this.take = take;
      this.values = {};
      const value = (name, tag = "b") => (this.values[name] = h(tag, { "data-figure": name }, "–"));
      const term = (name, words, kind = "") =>
        h("div", { class: `rp-term ${kind}` }, value(name), h("span", {}, words));
      const sign = (text, words) =>
        h("span", { class: "rp-sign", role: "img", "aria-label": words }, text);
      this.costBar = h("div", { class: "rp-bar" });
      this.gainBar = h("div", { class: "rp-bar" });
      this.costKey = h("div", { class: "rp-costkey" });
      this.even = h("div", { class: "rp-even", hidden: true }, h("span", {}, "break-even"));
      this.balance = h(
        "div",
        { class: "rp-balance", role: "img" },
        h("span", { class: "rp-barlabel" }, "A step costs"),
        this.costBar,
        h("span", { class: "rp-barlabel" }, "and writes"),
        h("div", { class: "rp-barwrap" }, this.gainBar),
        this.costKey,
        this.even,
      );
      this.verdict = h("span", { class: "rp-tag" });
      this.words = value("sentence", "span");
      this.advice = h("button", {
        type: "button",
        class: "rp-chip is-strong is-small",
        "data-act": "advice",
        hidden: true,
      });
      this.exactly = h(
        "button",
        {
          type: "button",
          class: "rp-chip is-small",
          "data-act": "exactly",
          title:
            "Loads this model in the number format in which both lanes agree, and runs the same prompt and settings again",
          hidden: true,
          onclick: exactly,
        },
        "Run again exactly",
      );
      this.parity = h("p", { class: "rp-parity", "data-figure": "parity" });
      this.equation = h(
        "div",
        { class: "rp-equation" },
        term("perstep", "tokens per step"),
        sign("÷", "divided by"),
        term("cost", "cost of a step, in plain steps"),
        sign("=", "equals"),
        term("speedup", "speed-up", "is-result"),
      );
      const fact = (name, title, hint) =>
        h("div", { title: hint }, h("dt", {}, title), value(name, "dd"));
      this.element = h(
        "section",
        { class: "rp-panel rp-hero", "aria-label": "Speed", "data-tour": "equation" },
        this.equation,
        this.balance,
        h("p", { class: "rp-herowords" }, this.verdict, this.words, this.advice),
        h(
          "div",
          { class: "rp-herofacts" },
          h(
            "dl",
            { class: "rp-inline" },
            fact("redrafter", "ReDrafter", "New tokens by this lane's own time, prompt excluded"),
            fact("plain", "Plain", "Plain decoding of the same model, by its own time"),
            fact("overhead", "Drafter's share", "Of the drafting lane's time"),
            fact("memory", "Peak memory", "Highest memory use of this run"),
          ),
          this.parity,
          this.exactly,
        ),
      );
    }

    /**
     * @param {{ figures: Figures | null, busy: boolean, head: HeadPicture } | null} run
     * @param {PairPicture | null} pair the pair loaded, if it is the run's
     */
    draw(run, pair = null) {
      const figures = run?.figures;
      const equation = figures?.equation ?? null;
      const { values } = this;
      const verdict = equation?.settled || !run?.busy ? equation?.verdict : null;
      this.element.dataset.verdict = verdict ?? "none";
      this.element.classList.toggle("is-unsettled", Boolean(equation && !equation.settled));
      RD.say(values.perstep, RD.number(equation?.tokensPerStep, 2));
      RD.say(values.cost, equation && equation.cost === null ? "?" : RD.number(equation?.cost, 2));
      RD.say(values.speedup, RD.times(equation?.speedup));
      RD.say(this.verdict, verdict ? RD.VERDICTS[verdict] : "");
      this.verdict.hidden = !verdict;
      RD.say(
        values.sentence,
        equation
          ? equation.words
          : "Run a prompt: the equation says whether drafting paid, and why.",
      );
      RD.say(values.redrafter, rate(figures?.redrafter));
      RD.say(values.plain, figures && !figures.plain ? "not run" : rate(figures?.plain));
      RD.say(values.overhead, RD.percent(figures?.drafterShare));
      RD.say(values.memory, RD.bytes(figures?.peakMemory));
      RD.drawParity(this.parity, figures);
      this.exactly.hidden = !pair || run?.busy || !differs(figures);
      const lost = equation?.settled && !run.busy && verdict === "loss";
      this.drawAdvice(equation?.advice ?? (lost && pair ? measuredShape(run.head, pair) : null));
      this.drawBars(equation);
    }

    drawAdvice(advice) {
      this.advice.hidden = !advice || !this.take;
      if (!advice) return;
      RD.say(this.advice, `Try ${advice.words}`);
      this.advice.onclick = () => this.take(advice);
    }

    /** @param {EquationPicture | null} equation */
    drawBars(equation) {
      const { tokensPerStep: tokens, cost } = equation ?? {};
      const most = Math.max(2, tokens ?? 0, cost ?? 0) * 1.04;
      const room = this.costBar.clientWidth || 400;
      const part = (name, size, texts, title) => {
        const fits = texts.find((text) => text.length * 6.4 + 16 < (size / most) * room) ?? "";
        return (
          size > 0.004 &&
          h(
            "span",
            {
              class: `rp-part is-${name}`,
              style: `width:${((size / most) * 100).toFixed(2)}%`,
              title: `${title}: ${RD.number(size, 2)}`,
            },
            fits && h("span", {}, fits),
          )
        );
      };
      this.balance.setAttribute("aria-label", spoken(equation));
      if (!equation) {
        for (const box of [this.costBar, this.gainBar, this.costKey]) RD.put(box);
      } else {
        const draft = Math.min(equation.draft ?? 0, cost ?? 0);
        const plain = Math.min(1, (cost ?? 0) - draft);
        const nodes = Math.max(0, (cost ?? 0) - draft - plain);
        RD.put(
          this.costBar,
          cost === null &&
            h("span", { class: "rp-quiet" }, "not measured: plain decoding did not run"),
          part(
            "plainstep",
            plain,
            ["a plain step"],
            "The forward over one token that plain decoding needs too",
          ),
          part(
            "drafting",
            draft,
            [`drafting +${RD.number(draft, 2)}`, "drafting"],
            "What the drafter adds",
          ),
          part(
            "nodes",
            nodes,
            [`more nodes +${RD.number(nodes, 2)}`, "nodes"],
            "What verifying a tree instead of one token adds",
          ),
        );
        const key = (name, words, size) =>
          h(
            "span",
            {},
            h("span", { class: `rp-swatch is-${name}` }),
            `${words} ${RD.number(size, 2)}`,
          );
        RD.put(
          this.costKey,
          cost !== null && [
            key("plainstep", "a plain step", 1),
            key("drafting", "drafting", draft),
            key("nodes", "more nodes", equation.nodes),
          ],
        );
        const short = cost === null ? 0 : Math.max(0, cost - tokens);
        const gained = cost === null ? 0 : Math.max(0, tokens - cost);
        RD.put(
          this.gainBar,
          part(
            "tokens",
            tokens - gained,
            [`${RD.number(tokens, 2)} tokens`],
            "New tokens of a step, up to what it cost",
          ),
          part(
            "gained",
            gained,
            [`gained ${RD.number(gained, 2)}`, `+${RD.number(gained, 2)}`],
            "Tokens beyond what the step cost",
          ),
          part(
            "short",
            short,
            [`short by ${RD.number(short, 2)}`, `−${RD.number(short, 2)}`],
            "Tokens that a step is short of paying for itself",
          ),
        );
      }
      this.even.hidden = !cost;
      if (cost) this.even.style.setProperty("--at", (cost / most).toFixed(4));
    }
  }

  /**
   * Where no smaller shape of the run itself would win: the one measured to pay best here, if it is another.
   * @param {HeadPicture} head
   * @param {PairPicture} pair
   */
  function measuredShape({ width, length, nodes }, pair) {
    if (width === pair.width && length === pair.length && nodes === "auto") return null;
    const shape = `${pair.width} × ${pair.length}, auto nodes`;
    return {
      width: pair.width,
      length: pair.length,
      nodes: "auto",
      words: `${shape}: measured to pay best on this machine`,
    };
  }

  /** @param {EquationPicture | null} equation */
  function spoken(equation) {
    if (!equation) return "No step yet";
    const cost =
      equation.cost === null
        ? "an unknown number of plain steps"
        : `${RD.number(equation.cost, 2)} plain steps`;
    return `A step costs ${cost} and writes ${RD.number(equation.tokensPerStep, 2)} tokens`;
  }

  /** @param {Figures | null | undefined} figures */
  function differs(figures) {
    return figures?.identical === false || (figures?.firstDifference ?? null) !== null;
  }

  function rate(lane) {
    return lane?.rate ? `${RD.number(lane.rate)} tok/s` : "–";
  }

  /**
   * Whether both lanes wrote the same text, once.
   * @param {Figures | null | undefined} figures
   */
  RD.drawParity = (box, figures) => {
    const same = figures?.identical;
    const other = differs(figures);
    box.className = `rp-parity ${same ? "is-same" : other ? "is-different" : ""}`;
    RD.say(box, figures?.parity ? `${same ? "✓ " : other ? "≠ " : ""}${figures.parity}` : "");
  };

  RD.EquationView = EquationView;
})();
