// Small charts in SVG: rate over time, acceptance by position, time by stage. Data in, picture out.
(() => {
  /** @typedef {import("./types").Rates} Rates */
  /** @typedef {import("./types").PositionItem} PositionItem */
  /** @typedef {import("./types").StageTimes} StageTimes */
  const RD = window.ReDrafter;
  const { h, s } = RD;

  /**
   * Tokens per second of both lanes over their own clocks.
   * @param {Rates | null | undefined} rates
   */
  RD.drawRates = (box, rates) => {
    /** @type {[string, string, [number, number][]][]} */
    const known = [
      ["redrafter", "ReDrafter", rates?.redrafter ?? []],
      ["plain", "Plain", rates?.plain ?? []],
    ];
    const lanes = known.filter(([, , points]) => points.length > 1);
    if (!lanes.length)
      return RD.put(box, h("p", { class: "rp-quiet" }, "The rate appears after a few steps."));
    // As wide as its box: letters keep their size.
    const width = Math.max(240, Math.min(380, box.clientWidth || 340));
    const [height, left, right, bottom] = [128, 34, 62, 20];
    const all = lanes.flatMap(([, , points]) => points);
    const end = Math.max(...all.map(([ms]) => ms));
    const top = niceTop(Math.max(...all.map(([, rate]) => rate)));
    const x = (ms) => left + (ms / end) * (width - left - right);
    const y = (rate) => 8 + (1 - rate / top) * (height - 8 - bottom);
    const svg = s("svg", {
      viewBox: `0 0 ${width} ${height}`,
      class: "rp-chart",
      role: "img",
      "aria-label": lanes
        .map(([, name, points]) => `${name} ${RD.number(points.at(-1)[1])} tokens per second`)
        .join(", "),
    });
    for (const level of [0, top / 2, top]) {
      svg.append(
        s("line", {
          class: "rp-gridline",
          x1: left,
          x2: width - right,
          y1: y(level),
          y2: y(level),
        }),
      );
      svg.append(
        s(
          "text",
          { class: "rp-axis", x: left - 6, y: y(level) + 4, "text-anchor": "end" },
          String(Number(level.toFixed(1))),
        ),
      );
    }
    svg.append(
      s(
        "text",
        { class: "rp-axis", x: width - right, y: height - 4, "text-anchor": "end" },
        `${(end / 1000).toFixed(1)} s`,
      ),
    );
    svg.append(
      s(
        "text",
        { class: "rp-axis", x: left, y: height - 4 },
        width < 320 ? "tokens/s, lane's time" : "tokens/s over the lane's own time",
      ),
    );
    const tips = spread(
      lanes.map(([, , points]) => y(points.at(-1)[1])),
      14,
    );
    lanes.forEach(([lane, name, points], at) => {
      svg.append(
        s("polyline", {
          class: `rp-line is-${lane}`,
          points: points.map(([ms, rate]) => `${x(ms).toFixed(1)},${y(rate).toFixed(1)}`).join(" "),
        }),
      );
      const [ms, rate] = points.at(-1);
      svg.append(s("circle", { class: `rp-dot is-${lane}`, cx: x(ms), cy: y(rate), r: 3 }));
      svg.append(
        s("text", { class: `rp-tip is-${lane}`, x: width - right + 6, y: tips[at] + 4 }, name),
      );
    });
    return RD.put(box, svg);
  };

  /**
   * How often each drafted depth was accepted.
   * @param {PositionItem[] | undefined} positions
   */
  RD.drawPositions = (box, positions) => {
    if (!positions?.length) return RD.put(box, h("p", { class: "rp-quiet" }, "No step yet."));
    return RD.put(
      box,
      h(
        "ol",
        { class: "rp-bars" },
        positions.map(([depth, accepted, drafted]) => {
          const share = drafted ? accepted / drafted : 0;
          return h(
            "li",
            { title: `${accepted} of ${drafted} steps` },
            h("span", { class: "rp-barname" }, depth),
            h(
              "span",
              { class: "rp-bartrack" },
              h("span", { class: "rp-barfill", style: `width:${(share * 100).toFixed(1)}%` }),
            ),
            h("span", { class: "rp-barvalue" }, RD.percent(share)),
          );
        }),
      ),
    );
  };

  /**
   * Milliseconds by stage as one bar with its legend.
   * @param {StageTimes | undefined} values
   */
  RD.drawStages = (box, values, { note = "" } = {}) => {
    const total = values?.reduce((sum, value) => sum + value, 0) ?? 0;
    if (!total) return RD.put(box, h("p", { class: "rp-quiet" }, "No times yet."));
    const parts = RD.STAGES.map((name, at) => [name, values[at]]);
    return RD.put(
      box,
      h(
        "div",
        {
          class: "rp-stagebar",
          role: "img",
          "aria-label": parts.map(([name, value]) => `${name} ${RD.ms(value)}`).join(", "),
        },
        parts.map(([name, value]) =>
          h("span", { class: `is-${name}`, style: `flex-grow:${(value / total).toFixed(5)}` }),
        ),
      ),
      h(
        "ul",
        { class: "rp-stagelegend" },
        parts.map(([name, value]) =>
          h(
            "li",
            {},
            h("span", { class: `rp-swatch is-${name}` }),
            `${name} `,
            h("b", {}, RD.ms(value)),
            ` ${RD.percent(value / total)}`,
          ),
        ),
        note && h("li", { class: "rp-quiet" }, note),
      ),
    );
  };

  function niceTop(value) {
    const size = 10 ** Math.floor(Math.log10(value || 1));
    return [1, 2, 2.5, 5, 10].map((step) => step * size).find((step) => step >= value) ?? 10 * size;
  }

  /** Keep labels at least `gap` apart. */
  function spread(heights, gap) {
    if (heights.length < 2 || Math.abs(heights[0] - heights[1]) >= gap) return heights;
    const middle = (heights[0] + heights[1]) / 2;
    return heights[0] < heights[1]
      ? [middle - gap / 2, middle + gap / 2]
      : [middle + gap / 2, middle - gap / 2];
  }
})();
