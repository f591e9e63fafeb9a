// One run in a file of its own: the page's views over what the file carries, without a server and without a request.
(() => {
  /** @typedef {import("./types").RunFrame} RunFrame */
  /** @typedef {import("./types").StepPicture} StepPicture */
  const RD = window.ReDrafter;
  const { h } = RD;
  const VIEWS = [
    ["live", "Live", "LiveView"],
    ["steps", "Steps", "StepsView"],
    ["mask", "Mask", "MaskPage"],
    ["race", "Race", "RaceView"],
  ];
  const ACTS = { ArrowLeft: "previous", ArrowRight: "next", Home: "first", End: "last", p: "play" };

  class OfflinePage {
    /** @param {{ frame: RunFrame, steps: StepPicture[] }} run */
    constructor(root, run) {
      this.store = RD.store = new RD.Store({
        step: async ([, index]) => run.steps[index],
        open_trace: async () => run.frame,
      });
      this.store.takeFrame(run.frame);
      for (const step of run.steps) this.store.run.cache.set(step.index, step);
      this.views = Object.fromEntries(
        VIEWS.map(([key, , name]) => [key, new RD[name](this.store)]),
      );
      this.build(root, run.frame.head);
      this.tip = new RD.SourceTip(root, this.store);
      for (const topic of ["run", "step"]) this.store.on(topic, () => this.draw());
      this.store.on("light", () => this.views[this.store.view].drawLight?.());
      this.store.on("view", () => this.show());
      document.addEventListener("keydown", (event) => this.key(event));
      addEventListener("resize", () => this.draw());
      this.store.goTo(this.store.bestStep());
      this.show();
    }

    build(root, head) {
      this.root = root;
      this.tabs = new RD.Tabs(
        VIEWS,
        (key) => this.views[key].element,
        (key) => this.store.setView(key),
      );
      this.scrubBox = h("div", {
        class: "rp-scrubber",
        role: "group",
        "aria-label": "Steps of the run",
      });
      this.scrubber = new RD.Scrubber(
        this.scrubBox,
        this.store,
        () => this.views[this.store.view].motion ?? null,
      );
      this.hero = new RD.EquationView(null);
      const sampling =
        head.temperature > 0 ? `temperature ${head.temperature}, seed ${head.seed}` : "greedy";
      const about = `${head.base} with ${head.drafter}, ${head.width} × ${head.length} beams, ${sampling}, ${head.device}, ${head.dtype}, ${head.created}`;
      RD.put(
        root,
        h(
          "header",
          { class: "rp-head" },
          h(
            "div",
            {},
            h("h1", { class: "rp-filetitle" }, "ReDrafter Playground: a recorded run"),
            h("p", { class: "rp-caption" }, about),
          ),
          h(
            "div",
            { class: "rp-tools" },
            h(
              "button",
              { type: "button", class: "rp-chip", "data-act": "save-trace", onclick: save },
              "Save the trace",
            ),
            h(
              "button",
              {
                type: "button",
                class: "rp-chip",
                "data-act": "theme",
                onclick: () => this.flipTheme(),
              },
              "Light or dark",
            ),
          ),
        ),
        this.tabs.element,
        this.hero.element,
        this.scrubBox,
        this.tabs.panels,
      );
    }

    show() {
      const { view } = this.store;
      this.root.dataset.shown = view;
      this.tabs.select(view);
      this.scrubBox.hidden = view === "race";
      this.hero.element.hidden = !["live", "race"].includes(view);
      this.draw();
    }

    draw() {
      const { run, index, view } = this.store;
      Object.assign(this.root.dataset, {
        state: "done",
        step: index,
        steps: run.steps,
        shape: `${run.head.width}x${run.head.length}`,
      });
      this.hero.draw(run);
      this.scrubber.draw();
      this.views[view].draw();
      this.views[view].drawLight?.();
    }

    key(event) {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        event.target.closest?.("input, select, [role=slider]")
      )
        return;
      const at = Number(event.key) - 1;
      if (VIEWS[at]) this.store.setView(VIEWS[at][0]);
      else if (ACTS[event.key] && this.store.view !== "race") {
        event.preventDefault();
        this.scrubber.act(ACTS[event.key]);
      }
    }

    flipTheme() {
      document.body.classList.toggle("dark");
      this.draw();
    }
  }

  /** What the file carries under an id: gzip in base64. */
  async function unpacked(id) {
    const packed = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (letter) =>
      letter.charCodeAt(0),
    );
    return new Response(
      new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")),
    ).text();
  }

  async function save() {
    const url = URL.createObjectURL(
      new Blob([await unpacked("rp-trace")], { type: "application/jsonl" }),
    );
    h("a", {
      href: url,
      download: `redrafter-${RD.store.run.head.run.slice(0, 12)}.jsonl`,
    }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  RD.openFile = async (root) => {
    document.body.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
    return new OfflinePage(root, JSON.parse(await unpacked("rp-run")));
  };
})();
