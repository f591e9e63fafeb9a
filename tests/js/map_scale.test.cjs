const assert = require("node:assert/strict");
const test = require("node:test");
const { load } = require("./page.cjs");

const RD = load("map_scale");
const plain = (value) => JSON.parse(JSON.stringify(value));

test("columns stand over the slider's thumb, and few steps make no slabs", () => {
  const { x, bar } = RD.mapScale({ from: 0, to: 4 }, 316);
  assert.deepEqual([x(0), x(3)], [8, 308]); // a thumb of 16 pixels at both ends
  assert.ok(bar <= 16);
  assert.equal(RD.mapScale({ from: 0, to: 1 }, 316).x(0), 8);
  assert.ok(RD.mapScale({ from: 0, to: 5000 }, 316).bar >= 1);
});

test("a pixel finds its step", () => {
  const { x, stepAt } = RD.mapScale({ from: 10, to: 30 }, 500);
  for (const step of [10, 17, 29]) assert.equal(stepAt(x(step)), step);
  assert.deepEqual([stepAt(-50), stepAt(900)], [10, 29]);
});

test("a brush zooms, a short one shows all", () => {
  const all = { from: 0, to: 100 };
  const scale = RD.mapScale(all, 1000);
  assert.deepEqual(plain(RD.brushed(all, 100, scale, scale.x(40), scale.x(20))), {
    from: 20,
    to: 41,
  });
  assert.deepEqual(plain(RD.brushed(all, 100, scale, 500, 505)), all);
});

test("the window follows the step", () => {
  assert.deepEqual(plain(RD.windowWith({ from: 20, to: 40 }, 25, 100)), { from: 20, to: 40 });
  assert.deepEqual(plain(RD.windowWith({ from: 20, to: 40 }, 99, 100)), { from: 80, to: 100 });
  assert.deepEqual(plain(RD.windowWith({ from: 20, to: 40 }, 2, 100)), { from: 0, to: 20 });
});

test("a column holds what the step wrote and what it wasted", () => {
  const { accepted, picked, wasted } = RD.columnOf([3, 16, 4], 6, 13, 36, 14);
  assert.deepEqual([accepted, picked, wasted], [18, 6, 14]);
  assert.equal(RD.columnOf([3, 3, 3], 6, 13, 36, 14).picked, 0); // the text ended with an accepted token
});
