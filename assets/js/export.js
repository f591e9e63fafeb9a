// Export: the shown run in every format, saved as a file. The server makes the bytes; PNG is drawn here from the SVG.
(() => {
  /** @typedef {import("./types").Exported} Exported */
  /** @typedef {import("./types").Failure} Failure */
  const RD = window.ReDrafter;
  const { h } = RD;
  const PNG_SCALE = 3;
  const FORMATS = [
    ["html", "HTML", "the run in one file that opens anywhere"],
    ["svg", "SVG", "the tree of this step as a picture"],
    ["png", "PNG", "the same, in pixels"],
    ["jsonl", "JSON Lines", "the trace itself, to load again; full, or light without beams"],
    ["jsonl.gz", "JSON Lines, packed", "the same, small"],
    ["csv", "CSV", "a table, for spreadsheets"],
    ["parquet", "Parquet", "the same table, for pyarrow"],
    ["json", "Summary", "figures, and where they come from"],
    ["perfetto", "Perfetto", "a timeline for ui.perfetto.dev"],
    ["graphml", "GraphML", "all trees as one graph"],
  ];
  const TABLES = ["steps", "nodes", "beams", "plain", "columns"];

  class ExportDialog {
    constructor(store) {
      this.store = store;
      this.table = h(
        "select",
        { class: "rp-select", "aria-label": "Table of CSV and Parquet" },
        TABLES.map((name) => h("option", { value: name }, name)),
      );
      this.detail = h(
        "select",
        { class: "rp-select", "aria-label": "Detail of the trace" },
        ["full", "light"].map((name) => h("option", { value: name }, name)),
      );
      this.said = h("p", { class: "rp-quiet", role: "status" });
      this.where = h("p", { class: "rp-quiet", "data-figure": "step" });
      this.items = FORMATS.map(([format, title, words]) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              class: "rp-chip",
              "data-export": format,
              onclick: () => this.save(format),
            },
            title,
          ),
          h(
            "span",
            {},
            words,
            format === "csv" && [": ", this.table],
            format === "jsonl" && [": ", this.detail],
          ),
        ),
      );
      this.element = RD.toolDialog(
        "Export this run",
        this.where,
        h("ul", { class: "rp-exports" }, this.items),
        this.said,
      );
    }

    open() {
      const { run, index } = this.store;
      RD.say(this.where, run?.steps ? `SVG and PNG show step ${index + 1} of ${run.steps}.` : "");
      RD.say(this.said, "");
      this.element.showModal();
    }

    async save(format) {
      const { run, index, server } = this.store;
      if (!run?.head)
        return RD.say(
          this.said,
          "There is no run yet. Run a prompt, or open an example under Traces.",
        );
      RD.say(this.said, "Writing…");
      const wanted = format === "png" ? "svg" : format;
      /** @type {Exported | Failure} */
      const answer = await server
        .export_run([run.key, wanted, index, this.table.value, this.detail.value])
        .catch(() => ({ error: "The server does not answer. Is it still running?" }));
      if ("error" in answer) return RD.say(this.said, answer.error);
      const made = format === "png" ? await pngOf(answer) : answer;
      await RD.saveBlob(made.name, blobOf(made));
      return RD.say(this.said, `Saved ${made.name}.`);
    }
  }

  /** @param {Exported} made */
  function blobOf({ base64, mediaType }) {
    return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], {
      type: mediaType,
    });
  }

  /** @param {Exported} svg */
  async function pngOf(svg) {
    const image = new Image();
    image.src = `data:image/svg+xml;base64,${svg.base64}`;
    await image.decode();
    const canvas = h("canvas", {
      width: image.width * PNG_SCALE,
      height: image.height * PNG_SCALE,
    });
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return {
      name: svg.name.replace(/svg$/, "png"),
      mediaType: "image/png",
      base64: canvas.toDataURL("image/png").split(",")[1],
    };
  }

  RD.saveBlob = async (name, blob) => {
    const url = URL.createObjectURL(blob);
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };

  /** A dialog whose keys are its own: the page's shortcuts stay out. */
  RD.toolDialog = (title, ...children) => {
    const element = h(
      "dialog",
      {
        class: "rp-help rp-tool",
        "aria-label": title,
        onkeydown: (event) => event.stopPropagation(),
      },
      h(
        "header",
        { class: "rp-panelhead" },
        h("h2", {}, title),
        h(
          "button",
          {
            type: "button",
            class: "rp-icon",
            "aria-label": "Close",
            onclick: () => element.close(),
          },
          RD.icon("close"),
        ),
      ),
      children,
    );
    return element;
  };

  /** What the page's header offers for the shown run: two buttons and what they open. */
  RD.runTools = (store) => {
    const exports = new ExportDialog(store);
    const charts = new RD.ChartsDialog(store);
    return [
      h(
        "button",
        { type: "button", class: "rp-chip", "data-act": "charts", onclick: () => charts.open() },
        "Charts",
      ),
      h(
        "button",
        { type: "button", class: "rp-chip", "data-act": "export", onclick: () => exports.open() },
        "Export",
      ),
      charts.element,
      exports.element,
    ];
  };
})();
