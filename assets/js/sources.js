// Where a number comes from: whatever shows one says so when the pointer rests on it, or when it has the focus.
(() => {
  /** @typedef {import("./types").SourceItem} SourceItem */
  const RD = window.ReDrafter;
  const { h } = RD;
  const REST_MS = 350; // the pointer rests, it does not pass
  // Which figure an element shows: its own data-figure, else by where it stands. The first that fits counts.
  const PLACES = [
    [".rp-costkey, .rp-balance", "cost-parts"],
    ["[data-act=advice]", "advice"],
    [".rp-clock", "clock"],
    [".rp-lane.is-redrafter .rp-lanerate", "redrafter"],
    [".rp-lane.is-plain .rp-lanerate", "plain"],
    [".rp-race .rp-stages", "stages"],
    [".rp-stages", "stages-step"],
    [".rp-rates", "rates"],
    [".rp-positions", "positions"],
    [".rp-whereabouts .rp-where", "step"],
    [".rp-maplegend", "map"],
    [".rp-verdictpanel .rp-verdict, .rp-treepanel .rp-verdict", "verdict"],
    [".rp-saving", "saving-step"],
    [".rp-cardfacts, .rp-reason, .rp-tablebox", "node"],
    [".rp-share", "base"],
    [".rp-score, .rp-beams", "beam"],
    [".rp-maskbox, .rp-treetools", "tree"],
    [".rp-map td, .rp-shapes .rp-verdict", "shape"],
    [".rp-caption, .rp-railnote", "setting"],
    [".rp-pairdetails summary, .rp-card", "card"],
  ];
  const SELECTOR = ["[data-figure]", "[data-source]", ...PLACES.map(([selector]) => selector)].join(
    ", ",
  );
  // Numbers that stand in something that is no stop of the Tab key become one; the rest are told by what they stand in.
  const STOPS =
    "[data-figure], [data-source], .rp-costkey, .rp-clock, .rp-lanerate, .rp-stages, .rp-rates, .rp-positions, .rp-where, .rp-verdict, .rp-saving, .rp-cardfacts, .rp-caption, .rp-maplegend";
  const KINDS = {
    measured: "Measured here",
    computed: "Computed",
    predicted: "Predicted",
    set: "Set",
  };
  const RECORDED = {
    measured: "From the trace, measured when it was recorded",
    computed: "Computed from the trace",
    predicted: "Predicted from the trace",
    set: "From the trace, set",
  };

  /** The figure that an element shows. */
  function named(element) {
    if (element.dataset.figure) return element.dataset.figure;
    return PLACES.find(([selector]) => element.matches(selector))?.[1] ?? null;
  }

  /** A run that was not made on this page. */
  function recorded(run) {
    return Boolean(run) && (run.loaded || run.key === "file" || run.key.startsWith("example-"));
  }

  /**
   * Where the number that an element shows comes from, in one sentence; empty where it shows none.
   * @param {Element} element
   */
  RD.sourceOf = (store, element) => {
    /** @type {HTMLElement | null} */
    const shown = element.closest(SELECTOR);
    if (!shown) return "";
    if (shown.dataset.source) return shown.dataset.source;
    const name = named(shown);
    /** @type {HTMLElement | null} */
    const line = shown.closest("tr[data-key]");
    const row = line?.dataset.key;
    const run = row ? store.runs.find((item) => item.key === row) : store.run;
    /** @type {SourceItem | undefined} */
    const source = (run?.figures?.sources ?? []).find(([known]) => known === name);
    if (!source) return "";
    const ofRun = !["shape", "card", "pair"].includes(name);
    return `${(ofRun && recorded(run) ? RECORDED : KINDS)[source[1]]}: ${source[2]}`;
  };

  /** Not where Tab stops already, and one a row in tables. */
  function isStop(element) {
    return (
      !element.hasAttribute("tabindex") &&
      !element.closest("button, summary, a") &&
      (!element.closest("tbody") || element.matches("th"))
    );
  }

  class SourceTip {
    constructor(root, store) {
      this.root = root;
      this.store = store;
      this.tip = h("div", { class: "rp-source", role: "tooltip", id: "rp-source", hidden: true });
      root.append(this.tip);
      root.addEventListener("pointerover", (event) => this.rest(event.target));
      root.addEventListener("pointerleave", () => this.hide());
      root.addEventListener(
        "focusin",
        (event) =>
          event.target.matches(":focus-visible") && this.show(event.target.closest(SELECTOR)),
      );
      root.addEventListener("focusout", () => this.hide());
      document.addEventListener("keydown", (event) => event.key === "Escape" && this.hide());
      document.addEventListener(
        "scroll",
        () =>
          this.described && document.activeElement === this.described
            ? this.place(this.described)
            : this.hide(),
        true,
      );
      new MutationObserver(() => this.later(root)).observe(root, {
        childList: true,
        subtree: true,
      });
      this.later(root);
    }

    /** What was drawn lately becomes a stop of the Tab key, a moment after the drawing. */
    later(root) {
      this.timer ??= setTimeout(() => {
        this.timer = null;
        for (const stop of root.querySelectorAll(STOPS)) if (isStop(stop)) stop.tabIndex = 0;
      }, 200);
    }

    rest(target) {
      const element = target.closest?.(SELECTOR);
      if (element === this.over) return;
      this.hide();
      this.over = element;
      if (element) this.wait = setTimeout(() => this.show(element), REST_MS);
    }

    show(element) {
      const words = element?.isConnected ? RD.sourceOf(this.store, element) : "";
      if (!words) return;
      (element.closest("dialog") ?? this.root).append(this.tip);
      clearTimeout(this.wait);
      this.described?.removeAttribute("aria-describedby");
      this.described = element;
      RD.say(this.tip, words);
      this.tip.hidden = false;
      element.setAttribute("aria-describedby", this.tip.id);
      this.place(element);
    }

    place(element) {
      const at = element.getBoundingClientRect();
      const { width, height } = this.tip.getBoundingClientRect();
      const below = at.bottom + 6 + height < innerHeight;
      this.tip.style.left = `${Math.max(8, Math.min(innerWidth - width - 8, at.left))}px`;
      this.tip.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - 6 - height)}px`;
    }

    hide() {
      clearTimeout(this.wait);
      this.over = null;
      this.tip.hidden = true;
      this.described?.removeAttribute("aria-describedby");
      this.described = null;
    }
  }

  RD.SourceTip = SourceTip;
})();
