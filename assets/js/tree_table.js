// The same tree as a table, for those who read better than they see.
(() => {
  /** @typedef {import("./types").StepPicture} StepPicture */
  const RD = window.ReDrafter;
  const { h } = RD;

  /** @param {StepPicture} step */
  RD.treeTable = (step) => {
    const { nodes } = step;
    const rows = nodes.parent.map((parent, node) => {
      const status = RD.STATUS[nodes.status[node]];
      return h(
        "tr",
        { "data-node": node },
        h("td", {}, node),
        h("td", {}, parent < 0 ? "–" : parent),
        h("td", {}, nodes.depth[node]),
        h("th", { scope: "row", class: "rp-mono" }, h("bdi", {}, nodes.label[node])),
        h("td", { class: `is-${status.name}` }, `${status.glyph} ${status.title}`),
        h("td", {}, { r: "–", b: "drafted", c: "copied" }[nodes.origin[node]]),
        h("td", {}, RD.percent(nodes.draft[node])),
        h("td", {}, RD.percent(nodes.base[node])),
        h("td", {}, nodes.rank[node] || "–"),
      );
    });
    const heads = [
      "Node",
      "Parent",
      "Depth",
      "Token",
      "Verdict",
      "Origin",
      "Drafter",
      "Base model",
      "Rank",
    ];
    return h(
      "table",
      { class: "rp-table" },
      h("caption", { class: "rp-hidden" }, "Prefix tree as a table"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h("tbody", {}, rows),
    );
  };
})();
