// Everything about one node: token, both models' probabilities, the reason in words; bytes and ids folded away.
(() => {
  /** @typedef {import("./types").StepPicture & { blind?: boolean }} SeenStep blind: before its verdict may be seen */
  const RD = window.ReDrafter;
  const { h } = RD;
  let open = false; // the folded part, for every card of the page

  /** @param {SeenStep | null} step */
  RD.drawNodeCard = (box, step, light) => {
    if (!step) {
      RD.put(
        box,
        h(
          "p",
          { class: "rp-quiet" },
          "Once there is a step, this card says why each token was accepted or not.",
        ),
      );
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
    const facts = [];
    if (node && !step.blind)
      facts.push(
        ["Base model's p", RD.percent(value("base"))],
        ["Its rank there", RD.ordinal(value("rank"))],
      );
    const copied = !isPick && step.nodes.origin[node] === "c";
    if (copied) facts.push(["Origin", "copied from earlier in the text"]);
    if (!isPick && node)
      facts.push([copied ? "Its chance" : "Drafter's p", RD.percent(step.nodes.draft[node])]);
    if (!isPick && node && step.nodes.beams[node].length)
      facts.push(["In beams", beamNames(step.nodes.beams[node])]);
    const folded = [
      ["Token id", value("token")],
      ["Bytes", value("hex") || "–"],
    ];
    const details = h(
      "details",
      { class: "rp-rawfacts", open },
      h("summary", {}, "Id and bytes"),
      list(folded),
    );
    details.addEventListener("toggle", () => (open = details.open));
    RD.put(
      box,
      h(
        "div",
        { class: `rp-cardhead is-${status.name}` },
        h("span", { class: "rp-badge" }, `${status.glyph} ${status.title}`),
        h("bdi", { class: "rp-cardtoken rp-mono" }, value("label")),
      ),
      h(
        "p",
        { class: "rp-reason" },
        RD.explained(value("reason")),
        !pointed &&
          h(
            "span",
            { class: "rp-quiet" },
            " Point at any node, or walk the tree with Tab and the arrow keys.",
          ),
      ),
      h("div", { class: "rp-cardfacts" }, facts.length > 0 && list(facts), details),
    );
  };

  function list(facts) {
    return h(
      "dl",
      { class: "rp-facts" },
      facts.map(([name, text]) =>
        h(
          "div",
          {},
          h("dt", {}, name),
          h("dd", { class: name === "Bytes" ? "rp-mono" : null }, text),
        ),
      ),
    );
  }

  function beamNames(beams) {
    const names = beams.map((beam) => beam + 1);
    return names.length > 8
      ? `${names.slice(0, 7).join(", ")} and ${names.length - 7} more`
      : names.join(", ");
  }
})();
