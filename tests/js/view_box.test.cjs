const assert = require("node:assert/strict");
const test = require("node:test");
const { load } = require("./page.cjs");

const RD = load("view_box");
const ROOM = { width: 600, height: 300 };
const inside = (view, box) =>
  box.left >= view.x - 0.01 &&
  box.right <= view.x + ROOM.width / view.scale + 0.01 &&
  box.top >= view.y - 0.01 &&
  box.bottom <= view.y + ROOM.height / view.scale + 0.01;

test("a small drawing is not enlarged and stands in the middle", () => {
  const view = RD.fitView({ width: 200, height: 100 }, ROOM, {
    left: 0,
    right: 200,
    top: 0,
    bottom: 100,
  });
  assert.deepEqual([view.scale, view.x, view.y], [1, -200, -100]);
});

test("a large drawing shows the whole path, however long", () => {
  for (const keep of [
    { left: 0, right: 500, top: 1900, bottom: 1960 },
    { left: 0, right: 2000, top: 0, bottom: 900 },
  ]) {
    const drawing = { width: 2000, height: 2000 };
    const view = RD.fitView(drawing, ROOM, keep);
    assert.ok(inside(view, keep), JSON.stringify(view));
    assert.ok(view.scale <= 0.6 && !RD.seesAll(view, drawing, ROOM));
  }
});

test("zooming keeps the point, panning stops at the edge", () => {
  const drawing = { width: 2000, height: 2000 };
  const view = { x: 700, y: 700, scale: 0.5 };
  const point = { x: 300, y: 120 };
  const closer = RD.zoomView(view, 2, point, drawing, ROOM);
  assert.equal(closer.scale, 1);
  assert.equal(closer.x + point.x / closer.scale, view.x + point.x / view.scale);
  assert.equal(closer.y + point.y / closer.scale, view.y + point.y / view.scale);
  assert.equal(RD.panView(view, 1e6, 0, drawing, ROOM).x, 0);
  assert.equal(RD.panView(view, -1e6, 0, drawing, ROOM).x, 2000 - 600 / 0.5);
  assert.ok(RD.zoomView(view, 1e9, point, drawing, ROOM).scale <= 4);
  assert.ok(RD.seesAll(RD.zoomView(view, 1e-9, point, drawing, ROOM), drawing, ROOM));
});
