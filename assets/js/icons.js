// The few icons of the page, drawn: fonts differ.
(() => {
  const RD = window.ReDrafter;
  const { s } = RD;
  const SHAPES = {
    first: "M4 3v10M13 3.5 6.5 8l6.5 4.5z",
    previous: "M10 3.5 5.5 8l4.5 4.5",
    play: "M5 3l8 5-8 5z",
    pause: "M5.5 3.5v9M10.5 3.5v9",
    next: "M6 3.5 10.5 8 6 12.5",
    last: "M12 3v10M3 3.5 9.5 8 3 12.5z",
    theme: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 3.6v8.8a4.4 4.4 0 0 1 0-8.8z",
    close: "M4 4l8 8M12 4l-8 8",
  };
  const OPEN = new Set(["previous", "next", "close", "pause"]);

  RD.icon = (name) =>
    s(
      "svg",
      {
        class: `rp-svgicon${OPEN.has(name) ? " is-open" : ""}`,
        viewBox: "0 0 16 16",
        "aria-hidden": "true",
      },
      s("path", { d: SHAPES[name], "fill-rule": "evenodd" }),
    );
})();
