// Traces: the runs made since the page was opened, files loaded, bundled examples; switch and download.
(() => {
  /** @typedef {import("./types").RunFrame} RunFrame */
  /** @typedef {import("./types").Failure} Failure */
  /** @typedef {import("./types").Hello} Hello */
  const RD = window.ReDrafter;
  const { h } = RD;
  const LARGEST = 64 * 2 ** 20; // bytes of a file; the server takes no more

  const HEADS = [[""], ["Prompt"], ["When", "made"], ["Settings", "setting"], ["Steps", "steps"], ["Tokens per step", "perstep"], ["Speed-up", "speedup"], ["Same text", "parity"], [""]]; // and where each comes from

  class TracesView {
    /**
     * @param {(key: string) => void} adopt makes a loaded trace this page's, to go when it closes
     * @param {(key: string) => void} again runs a trace again
     */
    constructor(store, adopt, again) {
      this.store = store;
      this.adopt = adopt;
      this.compare = new RD.CompareView(store, again);
      this.input = h("input", { type: "file", accept: ".jsonl,.json,application/jsonl", class: "rp-hidden", id: "rp-tracefile", onchange: () => this.read(this.input.files[0]) });
      this.list = h("tbody");
      const drop = h(
        "div",
        { class: "rp-drop", ondragover: (event) => event.preventDefault(), ondrop: (event) => (event.preventDefault(), this.read(event.dataTransfer.files[0])) },
        h("label", { class: "rp-chip is-strong", for: "rp-tracefile" }, "Load a trace file"),
        this.input,
        h("span", { class: "rp-quiet" }, "or drop a .jsonl file here. It opens in the same views; no model is needed."),
      );
      this.examples = h("div", { class: "rp-row" });
      this.element = h(
        "div",
        { class: "rp-traces" },
        h("section", { class: "rp-panel", "aria-label": "Load" }, drop, h("h2", {}, "Examples"), this.examples),
        h(
          "section",
          { class: "rp-panel", "aria-label": "Runs", "data-tour": "traces" },
          h("h2", {}, "Runs of this page"),
          h("div", { class: "rp-scroll", tabindex: 0, role: "region", "aria-label": "List of runs" }, h("table", { class: "rp-table rp-runs" }, h("thead", {}, h("tr", {}, HEADS.map(([name, figure]) => h("th", { scope: "col", "data-figure": figure }, name || h("span", { class: "rp-hidden" }, "Action"))))), this.list)),
        ),
        this.compare.element,
      );
    }

    /** @param {Hello["examples"]} examples */
    setExamples(examples) {
      RD.put(this.examples, examples.map(([key, name]) => h("button", { type: "button", class: "rp-chip", "data-example": key, onclick: () => this.openExample(key) }, name)));
    }

    async openExample(key) {
      const known = this.store.runs.find((run) => run.key === key);
      if (known) return this.store.show(known);
      return this.take(await this.store.server.open_trace(key));
    }

    async read(file) {
      if (!file) return;
      if (file.size > LARGEST) return this.take({ error: `${file.name} has ${file.size.toLocaleString("en")} bytes; the page takes traces up to ${LARGEST.toLocaleString("en")}. Record a shorter run.` });
      const answer = await this.store.server.load_trace([file.name, await file.text()]).catch(() => ({ error: `${file.name} could not be sent to the server. Is it still running?` }));
      this.input.value = "";
      if (answer.error) return this.take(answer);
      this.adopt(answer.key);
      this.take(answer);
      const [loaded] = this.store.runs.filter((run) => run.key === answer.key);
      loaded.loaded = true;
      // One row a trace: the same run, loaded before or made here and taken in again, gives way to the newest.
      for (const run of [...this.store.runs]) if (run !== loaded && run.head?.run === loaded.head.run && run.loaded) this.store.remove(run);
      return this.store.emit("runs");
    }

    /** @param {RunFrame | Failure} answer */
    take(answer) {
      if (answer.error) return this.store.tell("error", answer.error);
      this.store.takeFrame({ ...answer, message: "" });
      return this.store.tell("info", answer.message);
    }

    async download(run) {
      const answer = await this.store.server.download(run.key);
      if (answer.error) return this.store.tell("error", answer.error);
      const url = URL.createObjectURL(new Blob([answer.text], { type: "application/jsonl" }));
      const link = h("a", { href: url, download: `redrafter-${run.head.run.slice(0, 12)}.jsonl` });
      link.click();
      return setTimeout(() => URL.revokeObjectURL(url), 10_000);
    }

    draw() {
      const { runs, run: shown } = this.store;
      RD.put(this.list, [...runs].reverse().map((run) => this.row(run, run === shown)));
      this.compare.draw();
    }

    row(run, current) {
      const { head, figures } = run;
      const { run: shown } = this.store;
      if (!head) return null;
      const prompt = head.messages.filter(([role]) => role === "user").at(-1)?.[1] ?? "";
      const sampling = head.temperature > 0 ? `temperature ${head.temperature}, seed ${head.seed}` : "greedy";
      const nodes = head.nodes === "beams" ? "" : `, ${head.nodes} nodes`;
      const same = figures?.identical;
      return h(
        "tr",
        { class: current ? "is-current" : null, "data-key": run.key },
        h("td", {}, h("button", { type: "button", class: "rp-chip", "aria-pressed": String(current), "aria-label": `Show ${RD.clip(prompt, 40)}`, onclick: () => this.store.show(run) }, current ? "● Shown" : "Show")),
        h("th", { scope: "row", dir: "auto" }, RD.clip(prompt, 60), origin(run)),
        h("td", { "data-figure": "made" }, when(head.created)),
        h("td", { "data-figure": "setting" }, `${head.width} × ${head.length}${nodes}`, h("br"), sampling),
        h("td", { "data-figure": "steps" }, run.steps),
        h("td", { "data-figure": "perstep" }, RD.number(figures?.tokensPerStep, 2)),
        h("td", { class: `is-${figures?.equation?.verdict ?? "none"}`, "data-figure": "speedup" }, RD.times(figures?.speedup)),
        h("td", { "data-figure": "parity" }, same === true ? "✓ yes" : same === false ? "≠ no" : "–"),
        h(
          "td",
          { class: "rp-rowtools" },
          !current && !run.busy && shown?.head && !shown.busy && h("button", { type: "button", class: "rp-chip is-small", "data-act": "compare", "aria-label": `Compare the run shown with ${RD.clip(prompt, 40)}`, onclick: () => this.compare.show(shown, run) }, "Compare"),
          !run.busy && h("button", { type: "button", class: "rp-chip is-small", "data-act": "again", title: "Run it again with its settings, here, and say what agrees", "aria-label": `Run again and verify ${RD.clip(prompt, 40)}`, onclick: () => this.compare.verify(run) }, "Run again"),
          h("button", { type: "button", class: "rp-chip is-small", "data-act": "download", "aria-label": `Download ${RD.clip(prompt, 40)}`, onclick: () => this.download(run) }, "Download"),
          !current && h("button", { type: "button", class: "rp-chip is-small", "data-act": "remove", "aria-label": `Take ${RD.clip(prompt, 40)} off this list`, onclick: () => this.store.remove(run) }, "Remove"),
        ),
      );
    }
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
    return h("time", { datetime: created, title: made.toString() }, today ? clock : `${made.getFullYear()}-${String(made.getMonth() + 1).padStart(2, "0")}-${String(made.getDate()).padStart(2, "0")} ${clock}`);
  }

  RD.TracesView = TracesView;
})();
