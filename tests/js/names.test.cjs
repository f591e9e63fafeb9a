// Names of runs: what may be kept, how a name becomes a file's.
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { load } = require("./page.cjs");

const RD = load("names");

test("names that are none are dropped", () => {
  assert.equal(
    JSON.stringify([...RD.readNames('[["a","One"],["b",2],"c",["d"]]')]),
    '[["a","One"]]',
  );
  for (const text of [null, "", "{", "3", "null", "{}"])
    assert.equal(RD.readNames(text).size, 0, String(text));
  const many = JSON.stringify(Array.from({ length: 250 }, (_, at) => [`run ${at}`, "x"]));
  assert.deepEqual(
    [RD.readNames(many).size, RD.readNames(many).has("run 0"), RD.readNames(many).has("run 249")],
    [200, false, true],
  );
});

test("a name is one line and no longer than it should be", () => {
  assert.equal(RD.tidyName("  a \n b\t "), "a b");
  assert.equal(Array.from(RD.tidyName("👩‍🚀".repeat(100))).length, 60);
});

test("a file's name has no path and no dot in it", () => {
  assert.equal(RD.fileName("../Über uns: 3 Läufe.jsonl", "abc"), "über-uns-3-läufe-jsonl");
  assert.equal(RD.fileName("…", "0123456789abcdef"), "redrafter-0123456789ab");
  assert.equal(RD.fileName("", "0123456789abcdef"), "redrafter-0123456789ab");
});
