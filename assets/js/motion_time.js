// When what happens in a step's film: five phases on a clock from 0 to 1. Pure.
(() => {
  const RD = window.ReDrafter;
  /** @type {[string, number][]} name and share of the whole */
  const PHASES = [
    ["draft", 0.32],
    ["merge", 0.18],
    ["verify", 0.16],
    ["accept", 0.2],
    ["commit", 0.14],
  ];
  RD.FILM_MS = 3200; // of one step at normal speed

  /** The phase at a time, and how far it is. */
  RD.phaseAt = (time) => {
    const name = PHASES.find(([phase]) => RD.shareOf(phase, time) < 1)?.[0] ?? PHASES.at(-1)[0];
    return { name, share: RD.shareOf(name, time) };
  };

  /** How far a phase is at a time: 0 before it, 1 after it. */
  RD.shareOf = (name, time) => {
    let start = 0;
    for (const [phase, length] of PHASES) {
      if (phase === name) return time >= 1 ? 1 : Math.max(0, Math.min(1, (time - start) / length));
      start += length;
    }
    throw new Error(`${name} is no phase of a step.`);
  };

  /**
   * When each step of a run was done, in ms of its lane's clock.
   * @param {[number, number, number][]} strip accepted drafted tokens, drafted nodes, new tokens of every step
   * @param {[number | null, number][]} events the clock and the tokens written by then; the first comes with the prompt
   */
  RD.stepClocks = (strip, events) => {
    let at = 0;
    let written = events[0]?.[1] ?? 0;
    return strip.map(([, , fresh]) => {
      written += fresh;
      while (at < events.length - 1 && events[at][1] < written) at += 1;
      return events[at]?.[0] ?? 0;
    });
  };

  /** The newest step at a time of the clock. */
  RD.stepAt = (clocks, ms) => {
    const later = clocks.findIndex((clock) => clock > ms);
    return later < 0 ? clocks.length - 1 : Math.max(0, later - 1);
  };

  RD.ease = (share) => (share < 0.5 ? 4 * share ** 3 : 1 - (2 - 2 * share) ** 3 / 2);

  /** How visible the `at`-th of `count` things is that come one after another: each fades in over its own span. */
  RD.arriving = (share, at, count) => Math.max(0, Math.min(1, share * count - at));

  /**
   * From which share of the accept phase on each node's fate is known: the children of the k-th node of the path at
   * (k + 1) / (path + 1), whatever lies behind a rejected node at the end.
   */
  RD.decided = ({ parent, status }, path) => {
    const place = new Map(path.map((node, at) => [node, at]));
    return parent.map((above, node) => {
      if (node === 0) return 0;
      return place.has(above) && status[node] !== "u"
        ? (place.get(above) + 0.5) / (path.length + 0.5)
        : 1;
    });
  };
})();
