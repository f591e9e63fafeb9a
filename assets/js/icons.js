// The few icons of the page, drawn: fonts differ.
(() => {
  const RD = window.ReDrafter;
  const { s } = RD;
  const SHAPES = {
    first: "M4 3v10M13 3.5 6.5 8l6.5 4.5z",
    previous: "M11.5 3.5 5 8l6.5 4.5z",
    play: "M5 3l8 5-8 5z",
    pause: "M5.5 3.5v9M10.5 3.5v9",
    next: "M4.5 3.5 11 8l-6.5 4.5z",
    last: "M12 3v10M3 3.5 9.5 8 3 12.5z",
    theme: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 1 1 0 11",
    close: "M4 4l8 8M12 4l-8 8",
  };

  RD.icon = (name) => s("svg", { class: "rp-svgicon", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: SHAPES[name] }));
})();
