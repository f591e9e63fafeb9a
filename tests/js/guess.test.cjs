// What a guess hides, how it is judged, what a kept score may be; words explained in a text.
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { load } = require("./page.cjs");

const RD = load("format", "terms", "guess");
const plain = (value) => JSON.parse(JSON.stringify(value));

//        0
//      1   2
//     3 4   5     accepted: 0, 1, 4
const step = () => ({
  index: 3,
  path: [0, 1, 4],
  pick: { node: 4, label: "secret" },
  verdict: "secret",
  beams: [{ b: 0, logp: -1, nodes: [1, 4], accepted: 2 }],
  nodes: {
    parent: [-1, 0, 0, 1, 1, 2],
    status: "raxxau",
    base: [null, 0.9, 0.1, 0.2, 0.8, 0.5],
    draft: [null, 0.7, 0.3, 0.4, 0.5, 0.6],
    rank: [0, 1, 2, 2, 1, 1],
    reason: ["Root: certain", "secret", "secret", "secret", "secret", "secret"],
    label: ["a", "b", "c", "d", "e", "f"],
  },
});

test("nothing that the base model said is left before the guess", () => {
  const whole = step();
  const blind = RD.withoutVerdict(whole);
  assert.equal(blind.nodes.status, "rggggg");
  assert.ok(!JSON.stringify(blind).includes("secret"));
  assert.deepEqual(plain(blind.nodes.base), [null, null, null, null, null, null]);
  assert.deepEqual(plain([blind.path, blind.pick, blind.beams[0].accepted]), [[0], null, 0]);
  assert.equal(blind.nodes.draft, whole.nodes.draft, "the drafter's own is what one guesses by");
  assert.equal(whole.nodes.status, "raxxau", "the step itself stays whole");
  assert.equal(RD.withoutVerdict(whole), blind, "one picture a step, or it would be drawn anew");
});

test("a guess is exact, partly right or wrong", () => {
  const told = (guess) => Object.values(RD.judgeGuess(step(), guess));
  assert.deepEqual(told(4), ["exact", 2]);
  assert.deepEqual(told(1), ["partly", 1]);
  assert.deepEqual(told(3), ["partly", 1]);
  assert.deepEqual(told(5), ["wrong", 0]);
  assert.deepEqual(told(0), ["wrong", 0]);
  assert.deepEqual(Object.values(RD.judgeGuess({ ...step(), path: [0] }, 0)), ["exact", 0]);
});

test("a kept score that is none counts as none", () => {
  const none = { exact: 0, partly: 0, wrong: 0 };
  for (const text of [
    null,
    "",
    "{",
    "null",
    "[]",
    '"x"',
    '{"exact":1}',
    '{"exact":-1,"partly":0,"wrong":0}',
    '{"exact":1.5,"partly":0,"wrong":0}',
  ]) {
    assert.deepEqual(plain(RD.readScore(text)), none, String(text));
  }
  assert.deepEqual(plain(RD.readScore('{"exact":3,"partly":1,"wrong":2,"more":9}')), {
    exact: 3,
    partly: 1,
    wrong: 2,
  });
});

test("words of the glossary are found whole, once, the longest first, and not in a model's text", () => {
  assert.deepEqual(
    plain(RD.termParts("A root.")),
    [{ text: "A root." }],
    "there is no glossary yet",
  );
  RD.setTerms([
    ["Node", "n"],
    ["Root", "r"],
    ["Next root", "x"],
    ["Beam width (W)", "w"],
    ["Base model", "b"],
  ]);
  const words = (text) =>
    plain(RD.termParts(text))
      .filter((part) => part.meaning)
      .map((part) => [part.text, part.meaning]);
  assert.deepEqual(words("The next root, 3 nodes, a node; rooted."), [
    ["next root", "x"],
    ["nodes", "n"],
  ]);
  assert.deepEqual(words("Beam width of the base model's own ' root' (3%)"), [
    ["Beam width", "w"],
    ["base model", "b"],
  ]);
  assert.deepEqual(
    plain(RD.termParts("A node above a root.", "Root"))
      .filter((part) => part.meaning)
      .map((part) => part.text),
    ["node"],
    "a meaning does not explain its own word",
  );
  const text = "Root and 'node' and nodes, root again.";
  assert.equal(
    plain(RD.termParts(text))
      .map((part) => part.text)
      .join(""),
    text,
    "nothing is lost",
  );
});
