const assert = require("node:assert/strict");
const test = require("node:test");
const { load, stepOf } = require("./page.cjs");

const RD = load("motion_time");
const plain = (value) => JSON.parse(JSON.stringify(value));

test("phases follow one another and fill the clock", () => {
  const names = [];
  for (let at = 0; at <= 1000; at += 1) {
    const { name, share } = RD.phaseAt(at / 1000);
    assert.ok(share >= 0 && share <= 1);
    if (names.at(-1) !== name) names.push(name);
  }
  assert.deepEqual(names, ["draft", "merge", "verify", "accept", "commit"]);
  assert.deepEqual(
    [RD.shareOf("draft", 0), RD.shareOf("commit", 1), RD.shareOf("accept", 0.1)],
    [0, 1, 0],
  );
  assert.throws(() => RD.shareOf("dream", 0.5), /no phase/);
});

test("things arrive one after another, and easing keeps its ends", () => {
  assert.deepEqual(
    [0, 0.5, 1].map((share) => RD.arriving(share, 1, 4)),
    [0, 1, 1],
  );
  assert.equal(RD.arriving(0.375, 1, 4), 0.5);
  assert.deepEqual([0, 0.5, 1].map(RD.ease), [0, 0.5, 1]);
});

test("fates are known along the path, those of the never reached last", () => {
  //  0 ─ 1a ─ 2a ─ 3x, 0 ─ 4x ─ 5u
  const { nodes } = stepOf([-1, 0, 1, 2, 0, 4], "raaxxu");
  const known = plain(RD.decided(nodes, [0, 1, 2]));
  assert.ok(
    known[0] === 0 &&
      known[1] === known[4] &&
      known[1] < known[2] &&
      known[2] < known[3] &&
      known[3] < known[5],
  );
  assert.equal(known[5], 1);
});

test("a run is played at the pace of its own clock", () => {
  const strip = [
    [2, 5, 3],
    [0, 5, 1],
    [1, 4, 2],
  ];
  const events = [
    [0, 1],
    [20, 4],
    [31, 5],
    [50, 7],
  ];
  assert.deepEqual(plain(RD.stepClocks(strip, events)), [20, 31, 50]);
  assert.deepEqual(plain(RD.stepClocks(strip, [])), [0, 0, 0]);
  assert.deepEqual(plain(RD.stepClocks(strip, events.slice(0, 3))), [20, 31, 31]);
  const at = (ms) => RD.stepAt([20, 31, 50], ms);
  assert.deepEqual([0, 20, 30.9, 31, 50, 900].map(at), [0, 0, 0, 1, 2, 2]);
});
