const assert = require("node:assert/strict");
const test = require("node:test");
const { load } = require("./page.cjs");

const RD = load("format");

test("numbers are rounded from their exact value, halves up, and grouped", () => {
  assert.equal(RD.number(1234.5), "1,234.5");
  assert.equal(RD.number(0.125, 2), "0.13");
  assert.equal(RD.number(1.005, 2), "1.00"); // in binary it lies below
  assert.equal(RD.number(1234567, 0), "1,234,567");
  assert.equal(RD.number(null), "–");
  assert.equal(RD.times(1.325), "1.32×");
});

test("shares never read 0% unless they are nothing", () => {
  assert.deepEqual([0.41, 0.0995, 0.025, 0.0004, 0].map(RD.percent), [
    "41%",
    "10%",
    "2.5%",
    "<0.1%",
    "0%",
  ]);
});

test("times, sizes, ranks, counts", () => {
  assert.deepEqual([0.432, 12.84, 1698.3].map(RD.ms), ["0.43 ms", "12.8 ms", "1,698 ms"]);
  assert.deepEqual([999, 16_000_000, 1_164_439_552].map(RD.bytes), ["999 B", "16.0 MB", "1.2 GB"]);
  assert.deepEqual([1, 2, 3, 11, 112, 1021].map(RD.ordinal), [
    "1st",
    "2nd",
    "3rd",
    "11th",
    "112th",
    "1,021st",
  ]);
  assert.deepEqual([RD.plural(1, "node"), RD.plural(2300, "node")], ["1 node", "2,300 nodes"]);
});

test("texts are cut and measured by code points", () => {
  assert.equal(RD.clip("👩‍🚀abc", 4), "👩‍🚀…");
  assert.equal(RD.cells("日本a\u0301"), 5);
});
