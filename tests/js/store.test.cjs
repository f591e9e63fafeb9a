const assert = require("node:assert/strict");
const test = require("node:test");
const { load } = require("./page.cjs");

const { bestStep, tellingStep } = load("store");

test("a finished run rests on its last step with a tree and something accepted", () => {
  assert.equal(
    tellingStep([
      [0, 8, 1],
      [3, 8, 4],
      [2, 8, 3],
      [0, 0, 1],
    ]),
    2,
  );
  assert.equal(
    tellingStep([
      [2, 8, 3],
      [1, 2, 2],
    ]),
    0,
    "two drafted tokens are no tree",
  );
});

test("it stays at the end where nothing near it tells more", () => {
  const none = Array.from({ length: 20 }, () => [0, 8, 1]);
  assert.equal(tellingStep(none), 19);
  assert.equal(
    tellingStep([[4, 8, 5], ...none]),
    20,
    "too far back: the text's end would leave the view",
  );
  assert.equal(tellingStep([]), -1);
});

test("the best step accepted most, and of several drafted most", () => {
  assert.equal(
    bestStep([
      [2, 12, 3],
      [4, 4, 5],
      [4, 9, 5],
      [4, 9, 5],
      [3, 20, 4],
    ]),
    2,
  );
  assert.equal(bestStep([[0, 0, 1]]), 0);
  assert.equal(bestStep([]), 0);
});
