// Which steps the map shows and where their columns stand. Pure: pixels in, pixels out.
(() => {
  const RD = window.ReDrafter;
  const THUMB = 16; // a range input's thumb: its middle runs from half of it to half of it before the end
  const WIDEST = 16; // pixels of a column; few steps make no slabs

  /** Columns of the steps `from` up to `to` in so many pixels, under the thumb positions of a slider over them. */
  RD.mapScale = ({ from, to }, width) => {
    const count = Math.max(1, to - from);
    const space = (width - THUMB) / Math.max(1, count - 1);
    const bar = Math.max(1, Math.min(WIDEST, count > 1 ? space * 0.8 : WIDEST));
    const x = (step) => THUMB / 2 + (step - from) * (count > 1 ? space : 0);
    const stepAt = (pixel) =>
      Math.max(
        from,
        Math.min(to - 1, from + (count > 1 ? Math.round((pixel - THUMB / 2) / space) : 0)),
      );
    return { x, bar, stepAt };
  };

  /** The window after a brush from one pixel to another; a brush of less than two steps shows all. */
  RD.brushed = (window, steps, scale, start, end) => {
    const [low, high] = [scale.stepAt(Math.min(start, end)), scale.stepAt(Math.max(start, end))];
    return high - low < 2 ? { from: 0, to: steps } : { from: low, to: high + 1 };
  };

  /** The window that has a step in it: the same one, or the same width moved. */
  RD.windowWith = ({ from, to }, step, steps) => {
    if (step < 0 || (step >= from && step < to)) return { from, to };
    const width = to - from;
    const start = Math.max(0, Math.min(steps - width, step - (width >> 1)));
    return { from: start, to: Math.min(steps, start + width) };
  };

  /** Heights of a step's column: tokens it wrote above the line, nodes that came to nothing below it. */
  RD.columnOf = ([accepted, nodes, emitted], tallest, most, up, down) => ({
    accepted: (Math.min(accepted, emitted) / tallest) * up,
    picked: (Math.max(0, emitted - accepted) / tallest) * up,
    wasted: Math.sqrt(Math.max(0, nodes - accepted) / Math.max(1, most)) * down,
  });
})();
