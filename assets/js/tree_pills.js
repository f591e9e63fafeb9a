// One pill of the prefix tree, one edge: what they say and how they look. Knows no layout.
(() => {
  /** @typedef {import("./types").StepPicture & { blind?: boolean }} SeenStep blind: before its verdict may be seen */
  const RD = window.ReDrafter;
  const { s } = RD;

  /** @param {SeenStep} step */
  RD.labelOf = (step, item) => {
    if (item.node === null) return `+${item.count}`;
    return item.status === "k" ? step.pick.label : step.nodes.label[item.node];
  };

  RD.treeEdge = (items, place, item, to) => {
    const from = items.findIndex((other) => other.node === item.parent);
    const name = item.status === "fold" ? "unreached" : RD.STATUS[item.status].name;
    const x0 = place.x[from] + place.widths[from];
    const x1 = place.x[to];
    const [y0, y1] = [place.y[from], place.y[to]];
    const bend = (x1 - x0) * 0.5;
    return s("path", {
      class: `rp-edge is-${name}`,
      "data-to": item.node,
      d: `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`,
    });
  };

  /** @param {SeenStep} step */
  RD.treePill = (step, item, place, at, size) => {
    if (item.node === null) return foldPill(item, place, at, size, step.blind);
    const picked = item.status === "k";
    const status = RD.STATUS[item.status];
    const label = RD.labelOf(step, item);
    const base = picked ? step.pick.base : item.node ? step.nodes.base[item.node] : null;
    const drafted = picked ? null : step.nodes.draft[item.node];
    const share = step.blind ? drafted : base;
    const copied = !picked && step.nodes.origin[item.node] === "c";
    const own = step.blind ? "" : `, base model ${RD.percent(base)}`;
    const told = item.node
      ? `${own}${drafted === null ? "" : `, ${copied ? "chance of the copy" : "drafter"} ${RD.percent(drafted)}`}`
      : "";
    const group = frame(place, at, size, {
      class: `rp-node is-${status.name}${copied ? " is-copied" : ""}`,
      "data-node": item.node,
      tabindex: item.node ? -1 : 0,
      role: "img",
      "aria-label": `${status.title}: ${label}${copied ? ", copied from earlier in the text" : ""}${told}${picked ? ". Next root." : ""}`,
    });
    const start = size.name === "slim" ? 20 : 24; // of the token
    const under = size.name === "slim" && share !== null; // the chance stands under the token
    const middle = under ? size.pill / 2 - 6.5 : size.pill / 2 - (share === null ? 0 : 2); // the bars are below
    group.append(
      s("text", { class: "rp-glyph", x: start - 10, y: middle }, status.glyph),
      s("text", { class: "rp-label", x: start, y: middle }, RD.clip(label, size.letters)),
    );
    if (share === null) return group;
    const width = place.widths[at];
    const spot = under ? { x: start, y: middle + 11 } : { x: width - 9, y: middle };
    group.append(
      s("text", { class: `rp-share${under ? " is-under" : ""}`, ...spot }, RD.percent(share)),
    );
    if (base !== null) bar(group, "rp-level is-base", width, base, size.pill - 4.6);
    if (drafted !== null) bar(group, "rp-level is-drafter", width, drafted, size.pill - 2);
    return group;
  };

  function bar(group, name, width, share, y) {
    const room = width - 26;
    if (name.endsWith("is-base"))
      group.append(s("line", { class: "rp-leveltrack", x1: 13, x2: 13 + room, y1: y, y2: y }));
    group.append(
      s("line", { class: name, x1: 13, x2: 13 + Math.max(1, room * share), y1: y, y2: y }),
    );
  }

  function foldPill(item, place, at, size, blind) {
    const behind = item.key.startsWith("behind");
    const words = blind
      ? RD.plural(item.count, "folded node")
      : behind
        ? `${RD.plural(item.count, "node")} never reached`
        : `${RD.plural(item.count, "node")} on rejected branches`;
    const group = frame(place, at, size, {
      class: "rp-node is-fold",
      "data-fold": item.key,
      tabindex: -1,
      role: "button",
      "aria-label": `${words}. Unfold.`,
    });
    group.append(
      s("title", {}, `${words}. Click to unfold.`),
      s(
        "text",
        { class: "rp-label", x: place.widths[at] / 2, y: size.pill / 2, "text-anchor": "middle" },
        `+${item.count}`,
      ),
    );
    return group;
  }

  function frame(place, at, size, attributes) {
    const group = s("g", {
      ...attributes,
      transform: `translate(${place.x[at].toFixed(1)} ${(place.y[at] - size.pill / 2).toFixed(1)})`,
    });
    group.append(
      s("rect", {
        class: "rp-pill",
        width: place.widths[at],
        height: size.pill,
        rx: size.pill / 2,
      }),
    );
    return group;
  }
})();
