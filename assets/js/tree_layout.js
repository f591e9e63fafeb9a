// Where the nodes of a prefix tree stand: left to right, a column a depth, parents midway between their children.
// What decoding never reached folds into "+23" where the whole would not be taken in at a glance. Pure: no drawing.
(() => {
  /** @typedef {import("./types").StepPicture} StepPicture */
  const RD = window.ReDrafter;

  // What is folded, least first: nothing; what lies behind a rejected node; besides, all but the likeliest rejected.
  const LEVELS = [
    { behind: false, siblings: Infinity },
    { behind: true, siblings: Infinity },
    { behind: true, siblings: 4 },
    { behind: true, siblings: 2 },
    { behind: true, siblings: 1 },
  ];

  /**
   * Lay out a step's tree in at most `rows` rows and `most` items if folding can do it.
   * Items stand in the order of their node; the pick counts as node N; a fold has no node, but a key and a count.
   * @param {StepPicture} step
   * @param {{ rows?: number, most?: number, whole?: boolean, opened?: Set<string> }} [how] `whole` folds nothing
   */
  RD.layoutTree = (
    step,
    { rows = Infinity, most = Infinity, whole = false, opened = new Set() } = {},
  ) => {
    const tree = branches(step);
    let made = null;
    for (const level of whole ? LEVELS.slice(0, 1) : LEVELS) {
      made = place(step, tree, level, opened);
      if (made.rows <= rows && made.items.length <= most) break;
    }
    return made;
  };

  /** Children of every node in order, and how many nodes each subtree holds. */
  function branches({ nodes: { parent } }) {
    const children = parent.map(() => []);
    const size = parent.map(() => 1);
    for (let node = parent.length - 1; node > 0; node -= 1) {
      children[parent[node]].unshift(node);
      size[parent[node]] += size[node];
    }
    return { children, size };
  }

  /** @param {StepPicture} step */
  function place(step, { children, size }, level, opened) {
    const { nodes, pick } = step;
    const items = [];
    let rows = 0;
    let columns = 0;

    const put = (item, depth, below) => {
      columns = Math.max(columns, depth + 1);
      items.push(item);
      const ends = below.length ? below : [rows++];
      item.depth = depth;
      item.row = (ends[0] + ends.at(-1)) / 2;
      return item.row;
    };

    const fold = (key, at, hidden, depth) => {
      const count = hidden.reduce((sum, node) => sum + size[node], 0);
      return put({ node: null, key, parent: at, count, status: "fold" }, depth, []);
    };

    const walk = (node, depth) => {
      const status = nodes.status[node];
      const onPath = status === "r" || status === "a";
      let shown = children[node];
      const folds = [];
      if (!onPath && level.behind && size[node] > 2 && !opened.has(`behind ${node}`)) {
        folds.push([`behind ${node}`, shown]);
        shown = [];
      } else if (onPath && !opened.has(`beside ${node}`)) {
        const others = shown.filter((child) => nodes.status[child] !== "a");
        if (others.length > level.siblings + 1) {
          const kept = [...others]
            .sort((a, b) => nodes.rank[a] - nodes.rank[b])
            .slice(0, level.siblings);
          const hidden = others.filter((child) => !kept.includes(child));
          folds.push([`beside ${node}`, hidden]);
          shown = shown.filter((child) => !hidden.includes(child));
        }
      }
      const below = shown.map((child) => walk(child, depth + 1));
      for (const [key, hidden] of folds) below.push(fold(key, node, hidden, depth + 1));
      if (pick?.node === node) {
        below.push(
          put(
            { node: nodes.parent.length, key: "pick", parent: node, count: 0, status: "k" },
            depth + 1,
            [],
          ),
        );
      }
      return put(
        { node, key: String(node), parent: nodes.parent[node], count: 0, status },
        depth,
        below,
      );
    };

    walk(0, 0);
    const order = (item) => item.node ?? Infinity;
    items.sort((a, b) => order(a) - order(b));
    return { items, rows, columns, folded: items.reduce((sum, item) => sum + item.count, 0) };
  }

  /**
   * The item that an arrow key leads to from one: along a beam with left and right, between neighbours up and down.
   * @param {{ node: number | null, parent: number, depth: number, row: number, key: string }[]} items
   */
  RD.neighbour = (items, from, key) => {
    if (key === "ArrowLeft") return items.find((item) => item.node === from.parent) ?? null;
    if (key === "ArrowRight") {
      return from.node === null
        ? null
        : (items.find((item) => item !== from && item.parent === from.node) ?? null);
    }
    if (key !== "ArrowUp" && key !== "ArrowDown") return null;
    const sign = key === "ArrowDown" ? 1 : -1;
    const ahead = items.filter(
      (item) => item.depth === from.depth && (item.row - from.row) * sign > 0,
    );
    return ahead.reduce(
      (best, item) => (!best || (item.row - best.row) * sign < 0 ? item : best),
      null,
    );
  };
})();
