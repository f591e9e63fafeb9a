// Everything about one node: token, bytes, both models' probabilities, and the reason in words.
(() => {
  /** @typedef {import("./types").StepPicture} StepPicture */
  const RD = window.ReDrafter;
  const { h } = RD;

  /** @param {StepPicture | null} step */
  RD.drawNodeCard = (box, step, light) => {
    if (!step) {
      RD.put(box, h("p", { class: "rp-quiet" }, "Why each token lived or died is told here, once there is a step."));
      return;
    }
    const pointed = light.node !== null && light.node !== undefined;
    const count = step.nodes.parent.length;
    const node = pointed ? light.node : step.pick ? count : step.path.at(-1);
    const isPick = node === count;
    const item = isPick ? step.pick : null;
    if (isPick && !item) return;
    const status = isPick ? RD.STATUS.k : RD.STATUS[step.nodes.status[node]];
    const value = (name) => (isPick ? item[name] : step.nodes[name][node]);
    const facts = [["Bytes", value("hex") || "–"], ["Token id", value("token")]];
    const copied = !isPick && step.nodes.origin[node] === "c";
    if (copied) facts.push(["Origin", "copied from earlier in the text"]);
    if (!isPick && node) facts.push([copied ? "Chance" : "Drafter", `${RD.percent(step.nodes.draft[node])}`]);
    if (node) facts.push(["Base model", `${RD.percent(value("base"))}, choice ${value("rank").toLocaleString("en")}`]);
    if (!isPick && node && step.nodes.beams[node].length) facts.push(["Beams", step.nodes.beams[node].map((beam) => beam + 1).join(", ")]);
    RD.put(
      box,
      h("div", { class: `rp-cardhead is-${status.name}` }, h("span", { class: "rp-badge" }, `${status.glyph} ${status.title}`), h("bdi", { class: "rp-cardtoken rp-mono" }, value("label"))),
      h("p", { class: "rp-reason" }, value("reason"), !pointed && h("span", { class: "rp-quiet" }, " Point at any node, or walk the tree with Tab and the arrow keys.")),
      h("dl", { class: "rp-facts" }, facts.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", { class: name === "Bytes" ? "rp-mono" : null }, text)))),
    );
  };
})();
