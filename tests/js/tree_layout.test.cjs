const assert = require("node:assert/strict");
const test = require("node:test");
const { load, stepOf } = require("./page.cjs");

const RD = load("tree_layout");
const spots = (layout) => layout.items.map((item) => [item.key, item.depth, item.row]);
const plain = (value) => JSON.parse(JSON.stringify(value)); // arrays of another realm

/** Random trees, parents before children, from a seed. */
function* trees(count) {
  let seed = 7;
  const dice = (below) => ((seed = (seed * 1103515245 + 12345) % 2 ** 31), seed % below);
  for (let made = 0; made < count; made += 1) {
    const parent = [-1];
    for (let node = 1; node < 1 + dice(70); node += 1) parent.push(dice(node));
    let at = 0;
    const status = parent.map(() => "u");
    status[0] = "r";
    const path = [0];
    for (
      let child = parent.indexOf(at, 1);
      child > 0 && dice(4);
      child = parent.indexOf(at, child + 1)
    ) {
      status[child] = "a";
      path.push((at = child));
    }
    parent.forEach((above, node) => {
      if (path.includes(above) && status[node] === "u") status[node] = "x";
    });
    yield stepOf(parent, status.join(""), { pick: at });
  }
}

test("a small tree by hand, its pick the last child", () => {
  const layout = RD.layoutTree(stepOf([-1, 0, 1, 1, 0], "raxxx", { pick: 1 }));
  assert.deepEqual(plain(spots(layout)), [
    ["0", 0, 2],
    ["1", 1, 1],
    ["2", 2, 0],
    ["3", 2, 1],
    ["4", 1, 3],
    ["pick", 2, 2],
  ]);
  assert.deepEqual([layout.columns, layout.rows, layout.folded], [3, 4, 0]);
});

test("no two items on one spot, parents midway, no edges cross, every node shown or counted", () => {
  for (const step of trees(120)) {
    for (const rows of [Infinity, 20, 8, 3]) {
      const { items, folded } = RD.layoutTree(step, { rows });
      assert.equal(new Set(items.map(({ depth, row }) => `${depth} ${row}`)).size, items.length);
      assert.equal(
        items.filter(({ status }) => "raxu".includes(status)).length + folded,
        step.nodes.parent.length,
      );
      const at = new Map(
        items.filter(({ node }) => node !== null).map((item) => [item.node, item]),
      );
      for (const item of at.values()) {
        const below = items.filter(({ parent }) => parent === item.node).map(({ row }) => row);
        if (below.length && item.status !== "k")
          assert.equal(item.row, (Math.min(...below) + Math.max(...below)) / 2);
      }
      const edges = items
        .filter(({ parent }) => parent >= 0)
        .map((item) => [item.depth, at.get(item.parent).row, item.row]);
      for (const [depth, top, end] of edges) {
        for (const [other, otherTop, otherEnd] of edges)
          if (other === depth && otherTop > top) assert.ok(otherEnd > end);
      }
    }
  }
});

test("what was never reached folds first, the accepted path never", () => {
  //        0 ─ 1a ─ 2a     3x with 4u, 5u, 6u behind it
  const step = stepOf([-1, 0, 1, 0, 3, 3, 3], "raaxuuu", { pick: 2 });
  assert.equal(RD.layoutTree(step, { rows: 4 }).folded, 0);
  const tight = RD.layoutTree(step, { rows: 2 });
  assert.deepEqual(plain(tight.items.map(({ key }) => key)), [
    "0",
    "1",
    "2",
    "3",
    "pick",
    "behind 3",
  ]);
  assert.deepEqual([tight.rows, tight.folded], [2, 3]);
  assert.equal(RD.layoutTree(step, { rows: 2, whole: true }).folded, 0);
  assert.equal(RD.layoutTree(step, { rows: 2, opened: new Set(["behind 3"]) }).folded, 0);
});

test("of many rejected siblings the likeliest stay", () => {
  const count = 30;
  const parent = [-1, ...new Array(count).fill(0)];
  const rank = [0, ...Array.from({ length: count }, (_, at) => count - at)];
  const layout = RD.layoutTree(stepOf(parent, `r${"x".repeat(count)}`, { rank, pick: 0 }), {
    rows: 8,
  });
  assert.deepEqual(plain(layout.items.map(({ key }) => key)), [
    "0",
    "27",
    "28",
    "29",
    "30",
    "pick",
    "beside 0",
  ]);
  assert.equal(layout.folded, count - 4);
});

test("arrows walk to parents, children and neighbours", () => {
  const { items } = RD.layoutTree(stepOf([-1, 0, 1, 1, 0], "raxxx", { pick: 1 }));
  const go = (key, arrow) =>
    RD.neighbour(
      items,
      items.find((item) => item.key === key),
      arrow,
    )?.key ?? null;
  assert.deepEqual(
    [
      go("0", "ArrowRight"),
      go("2", "ArrowLeft"),
      go("2", "ArrowDown"),
      go("pick", "ArrowUp"),
      go("0", "ArrowLeft"),
      go("4", "ArrowDown"),
    ],
    ["1", "1", "3", "3", null, null],
  );
});
