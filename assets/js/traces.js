// Traces: the runs made since the page was opened, files loaded, bundled examples; switch and download.
(() => {
  /** @typedef {import("./types").RunFrame} RunFrame */
  /** @typedef {import("./types").Failure} Failure */
  /** @typedef {import("./types").Hello} Hello */
  const RD = window.ReDrafter;
  const { h } = RD;
  const LARGEST = 64 * 2 ** 20; // bytes of a file; the server takes no more

  const HEADS = [
    [""],
    ["Prompt"],
    ["When", "made"],
    ["Settings", "setting"],
    ["Steps", "steps"],
    ["Tokens per step", "perstep"],
    ["Speed-up", "speedup"],
    ["Same text", "parity"],
    [""],
  ]; // and where each comes from

  class TracesView {
    /**
     * @param {(key: string) => void} adopt makes a loaded trace this page's, to go when it closes
     * @param {(key: string) => void} again runs a trace again
     */
    constructor(store, adopt, again) {
      this.store = store;
      this.adopt = adopt;
      this.compare = new RD.CompareView(store, again);
      this.input = h("input", {
        type: "file",
        accept: ".jsonl,.json,application/jsonl",
        class: "rp-hidden",
        id: "rp-tracefile",
        onchange: () => this.read(this.input.files[0]),
      });
      this.list = h("tbody");
      this.renamed = null; // the run whose name is being typed
      this.field = h("input", {
        class: "rp-input",
        maxlength: 60,
        "aria-label": "Name of this run",
        onkeydown: (event) => this.typed(event),
        onblur: () => this.rename(true),
      });
      const drop = h(
        "div",
        {
          class: "rp-drop",
          ondragover: (event) => event.preventDefault(),
          ondrop: (event) => (event.preventDefault(), this.read(event.dataTransfer.files[0])),
        },
        h("label", { class: "rp-chip is-strong", for: "rp-tracefile" }, "Load a trace file"),
        this.input,
        h(
          "span",
          { class: "rp-quiet" },
          "or drop a .jsonl file here. It opens in the same views; no model is needed.",
        ),
      );
      this.examples = h("div", { class: "rp-row" });
      this.element = h(
        "div",
        { class: "rp-traces" },
        h(
          "section",
          { class: "rp-panel", "aria-label": "Load" },
          drop,
          h("h2", {}, "Examples"),
          this.examples,
        ),
        h(
          "section",
          { class: "rp-panel", "aria-label": "Runs", "data-tour": "traces" },
          h("h2", {}, "Runs of this page"),
          h(
            "div",
            { class: "rp-scroll", tabindex: 0, role: "region", "aria-label": "List of runs" },
            h(
              "table",
              { class: "rp-table rp-runs" },
              h(
                "thead",
                {},
                h(
                  "tr",
                  {},
                  HEADS.map(([name, figure]) =>
                    h(
                      "th",
                      { scope: "col", "data-figure": figure },
                      name || h("span", { class: "rp-hidden" }, "Action"),
                    ),
                  ),
                ),
              ),
              this.list,
            ),
          ),
        ),
        this.compare.element,
      );
    }

    /** @param {Hello["examples"]} examples */
    setExamples(examples) {
      RD.put(
        this.examples,
        examples.map(([key, name]) =>
          h(
            "button",
            {
              type: "button",
              class: "rp-chip",
              "data-example": key,
              onclick: () => this.openExample(key),
            },
            name,
          ),
        ),
      );
    }

    async openExample(key) {
      const known = this.store.runs.find((run) => run.key === key);
      if (known) return this.store.show(known);
      return this.take(await this.store.server.open_trace(key));
    }

    async read(file) {
      if (!file) return;
      if (file.size > LARGEST)
        return this.take({
          error: `${file.name} has ${file.size.toLocaleString("en")} bytes; the page takes traces up to ${LARGEST.toLocaleString("en")}. Record a shorter run.`,
        });
      const answer = await this.store.server
        .load_trace([file.name, await file.text()])
        .catch(() => ({
          error: `${file.name} could not be sent to the server. Is it still running?`,
        }));
      this.input.value = "";
      if (answer.error) return this.take(answer);
      this.adopt(answer.key);
      this.take(answer);
      const [loaded] = this.store.runs.filter((run) => run.key === answer.key);
      loaded.loaded = true;
      // One row a trace: the same run, loaded before or made here and taken in again, gives way to the newest.
      for (const run of [...this.store.runs])
        if (run !== loaded && run.head?.run === loaded.head.run && run.loaded) this.forget(run);
      return this.store.emit("runs");
    }

    /** @param {RunFrame | Failure} answer */
    take(answer) {
      if ("error" in answer) return this.store.tell("error", answer.error);
      this.store.takeFrame({ ...answer, message: "" });
      return this.store.tell("info", answer.message);
    }

    async download(run) {
      const answer = await this.store.server.download(run.key);
      if (answer.error) return this.store.tell("error", answer.error);
      const url = URL.createObjectURL(new Blob([answer.text], { type: "application/jsonl" }));
      const link = h("a", {
        href: url,
        download: `${RD.fileName(RD.names.of(run), run.head.run)}.jsonl`,
      });
      link.click();
      return setTimeout(() => URL.revokeObjectURL(url), 10_000);
    }

    /** Off the list and off the server; where it was shown, the newest other run is shown. */
    async delete(run) {
      const other = this.store.runs.filter((item) => item !== run && item.head).at(-1);
      if (run === this.store.run && other) this.store.show(other);
      await this.forget(run);
    }

    async forget(run) {
      this.store.remove(run);
      if (run.key.startsWith("example-")) return;
      const answer = await this.store.server
        .forget_trace(run.key)
        .catch(() => ({ error: "The server does not answer. Is it still running?" }));
      if (answer.error) this.store.tell("error", answer.error);
    }

    startRenaming(run) {
      this.renamed = null;
      this.draw();
      this.renamed = run;
      this.field.value = RD.names.of(run);
      this.field.placeholder = RD.clip(RD.names.told(run), 60);
      RD.put(this.list.querySelector(`tr[data-key="${CSS.escape(run.key)}"] th`), this.field);
      this.field.focus();
    }

    typed(event) {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      this.rename(event.key === "Enter");
    }

    rename(keep) {
      const run = this.renamed;
      if (!run) return;
      this.renamed = null; // first: taking the field away blurs it
      if (keep) RD.names.give(run, this.field.value);
      this.draw();
      this.list.querySelector(`tr[data-key="${CSS.escape(run.key)}"] [data-act=rename]`)?.focus();
    }

    draw() {
      if (this.renamed && this.store.runs.includes(this.renamed)) return; // drawn again once the name is typed
      this.renamed = null;
      const { runs, run: shown } = this.store;
      const told = [...runs].reverse().filter((run) => run.head);
      RD.putRows(
        this.list,
        told.map((run) => this.row(run, run === shown)),
      );
      this.compare.draw();
    }

    row(run, current) {
      const { head, figures } = run;
      const { run: shown } = this.store;
      const told = RD.names.told(run);
      const short = RD.clip(told, 40);
      const alone = current && this.store.runs.filter((item) => item.head).length < 2;
      const sampling =
        head.temperature > 0 ? `temperature ${head.temperature}, seed ${head.seed}` : "greedy";
      const nodes = head.nodes === "beams" ? "" : `, ${head.nodes} nodes`;
      const same = figures?.identical;
      return h(
        "tr",
        { class: current ? "is-current" : null, "data-key": run.key },
        h(
          "td",
          {},
          h(
            "button",
            {
              type: "button",
              class: "rp-chip",
              "data-act": "show",
              "aria-pressed": String(current),
              "aria-label": `Show ${short}`,
              onclick: () => this.store.show(run),
            },
            current ? "● Shown" : "Show",
          ),
        ),
        h("th", { scope: "row", dir: "auto" }, RD.clip(told, 60), origin(run)),
        h("td", { "data-figure": "made" }, when(head.created)),
        h(
          "td",
          { "data-figure": "setting" },
          `${head.width} × ${head.length}${nodes}`,
          h("br", { class: "rp-wide" }),
          h("span", { class: "rp-narrow" }, ", "),
          sampling,
        ),
        h("td", { "data-figure": "steps" }, run.steps),
        h("td", { "data-figure": "perstep" }, RD.number(figures?.tokensPerStep, 2)),
        h(
          "td",
          { class: `is-${figures?.equation?.verdict ?? "none"}`, "data-figure": "speedup" },
          RD.times(figures?.speedup),
        ),
        h(
          "td",
          { "data-figure": "parity" },
          same === true ? "✓ yes" : same === false ? "≠ no" : "–",
        ),
        h(
          "td",
          {},
          h(
            "div",
            { class: "rp-rowtools" },
            !current &&
              !run.busy &&
              shown?.head &&
              !shown.busy &&
              tool("compare", "Compare", `Compare the run shown with ${short}`, () =>
                this.compare.show(this.store.run, run),
              ),
            !run.busy &&
              tool(
                "again",
                "Run again",
                `Run again and verify ${short}`,
                () => this.compare.verify(run),
                "Run it again here with its settings, and say what agrees",
              ),
            tool("download", "Download", `Download ${short}`, () => this.download(run)),
            tool("rename", "Rename", `Rename ${short}`, () => this.startRenaming(run)),
            !run.busy &&
              !alone &&
              tool("remove", "Delete", `Delete ${short}`, () => this.delete(run)),
          ),
        ),
      );
    }
  }

  function tool(act, does, label, onclick, title = null) {
    return h(
      "button",
      {
        type: "button",
        class: "rp-chip is-small",
        "data-act": act,
        title,
        "aria-label": label,
        onclick,
      },
      does,
    );
  }

  /** Where a run came from, when it was not made on this page. */
  function origin(run) {
    const name = run.key.startsWith("example-") ? "example" : run.loaded ? "loaded" : "";
    return name && h("span", { class: "rp-origin" }, name);
  }

  /** Hour and minute today, the date otherwise. */
  function when(created) {
    const made = new Date(created);
    if (Number.isNaN(made.getTime())) return created;
    const today = made.toDateString() === new Date().toDateString();
    const clock = made.toTimeString().slice(0, 5);
    return h(
      "time",
      { datetime: created, title: made.toString() },
      today
        ? clock
        : `${made.getFullYear()}-${String(made.getMonth() + 1).padStart(2, "0")}-${String(made.getDate()).padStart(2, "0")} ${clock}`,
    );
  }

  RD.TracesView = TracesView;
})();
