// A window onto a drawing: fit, zoom, pan. Pure arithmetic: {x, y} is the drawing's point at the window's top left,
// `scale` is window pixels for each of the drawing's.
(() => {
  const RD = window.ReDrafter;
  const LARGEST = 4;

  /**
   * Fit the whole drawing; where that would be smaller than `least`, show `keep` (a box in the drawing, the accepted
   * path) instead, at `least` or, if it is larger than the window then, as large as it fits.
   */
  RD.fitView = (drawing, room, keep, least = 0.6) => {
    const whole = Math.min(1, room.width / drawing.width, room.height / drawing.height);
    if (whole >= least) return centred(room, whole, drawing.width / 2, drawing.height / 2);
    const path = Math.min(
      room.width / (keep.right - keep.left),
      room.height / (keep.bottom - keep.top),
    );
    const scale = Math.max(whole, Math.min(least, path * 0.97));
    return clamped(
      centred(room, scale, (keep.left + keep.right) / 2, (keep.top + keep.bottom) / 2),
      drawing,
      room,
    );
  };

  /** Zoom by a factor about a point of the window. */
  RD.zoomView = (view, factor, point, drawing, room) => {
    const smallest = Math.min(1, room.width / drawing.width, room.height / drawing.height) * 0.8;
    const scale = Math.min(LARGEST, Math.max(smallest, view.scale * factor));
    const x = view.x + point.x / view.scale - point.x / scale;
    const y = view.y + point.y / view.scale - point.y / scale;
    return clamped({ x, y, scale }, drawing, room);
  };

  /** Move the window over the drawing by window pixels. */
  RD.panView = (view, dx, dy, drawing, room) =>
    clamped({ ...view, x: view.x - dx / view.scale, y: view.y - dy / view.scale }, drawing, room);

  /** Is all of the drawing inside the window? */
  RD.seesAll = (view, drawing, room) =>
    drawing.width * view.scale <= room.width + 1 && drawing.height * view.scale <= room.height + 1;

  function centred(room, scale, x, y) {
    return { x: x - room.width / scale / 2, y: y - room.height / scale / 2, scale };
  }

  /** No emptier than it must be: smaller drawings stay centred, larger ones fill the window. */
  function clamped(view, drawing, room) {
    const axis = (at, size, space) =>
      size <= space ? (size - space) / 2 : Math.max(0, Math.min(size - space, at));
    return {
      scale: view.scale,
      x: axis(view.x, drawing.width, room.width / view.scale),
      y: axis(view.y, drawing.height, room.height / view.scale),
    };
  }
})();
