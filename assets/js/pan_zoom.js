// Moves and scales an SVG's window by mouse, touch and buttons. Plain wheels scroll the page; with Ctrl they zoom.
(() => {
  const RD = window.ReDrafter;
  const DRAG = 4; // pixels before a press becomes a drag

  class PanZoom {
    /**
     * @param {(view: object, room: object) => void} show sets the window
     * @param {(free: boolean) => void} tell whether a part of the drawing is out of sight
     */
    constructor(svg, show, tell) {
      this.svg = svg;
      this.show = show;
      this.tell = tell;
      this.fingers = new Map();
      this.moved = false;
      svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      svg.addEventListener("pointerdown", (event) => this.down(event));
      svg.addEventListener("pointermove", (event) => this.move(event));
      for (const name of ["pointerup", "pointercancel"])
        svg.addEventListener(name, (event) => this.up(event));
    }

    /** A new drawing: fit it. */
    place(drawing, room, keep, least) {
      this.drawing = drawing;
      this.room = room;
      this.keep = keep;
      this.least = least;
      this.fit();
    }

    fit() {
      this.set(RD.fitView(this.drawing, this.room, this.keep, this.least));
    }

    zoom(factor, point = { x: this.room.width / 2, y: this.room.height / 2 }) {
      this.set(RD.zoomView(this.view, factor, point, this.drawing, this.room));
    }

    /** Move as little as brings a box of the drawing into the window. */
    bring(box) {
      const { view, room } = this;
      const wide = room.width / view.scale;
      const high = room.height / view.scale;
      const dx = box.left < view.x ? view.x - box.left : Math.min(0, view.x + wide - box.right);
      const dy = box.top < view.y ? view.y - box.top : Math.min(0, view.y + high - box.bottom);
      this.set(RD.panView(view, dx * view.scale, dy * view.scale, this.drawing, room));
    }

    set(view) {
      this.view = view;
      const free = !RD.seesAll(view, this.drawing, this.room);
      this.svg.style.touchAction = free ? "none" : "pan-y";
      this.show(view, this.room);
      this.tell(free);
    }

    wheel(event) {
      if (!event.ctrlKey || !this.view) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), this.spot(event));
    }

    down(event) {
      this.moved = false;
      this.fingers.set(event.pointerId, this.spot(event));
    }

    move(event) {
      const before = this.fingers.get(event.pointerId);
      if (!before || !this.view) return;
      const now = this.spot(event);
      if (!this.moved && Math.hypot(now.x - before.x, now.y - before.y) < DRAG) return;
      if (!this.moved) this.svg.setPointerCapture(event.pointerId);
      this.moved = true;
      if (this.fingers.size === 2) this.pinch(event.pointerId, before, now);
      else
        this.set(
          RD.panView(this.view, now.x - before.x, now.y - before.y, this.drawing, this.room),
        );
      this.fingers.set(event.pointerId, now);
    }

    pinch(id, before, now) {
      const [other] = [...this.fingers].filter(([key]) => key !== id).map(([, spot]) => spot);
      const apart = (spot) => Math.max(1, Math.hypot(spot.x - other.x, spot.y - other.y));
      this.zoom(apart(now) / apart(before), other);
    }

    up(event) {
      this.fingers.delete(event.pointerId);
      if (!this.fingers.size) setTimeout(() => (this.moved = false)); // the click that follows a drag chooses nothing
    }

    spot(event) {
      const box = this.svg.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    }
  }

  RD.PanZoom = PanZoom;
})();
