// Names that a person gave to runs, by the run's id: kept in this browser, so a trace loaded again has its name.
(() => {
  const RD = window.ReDrafter;
  const KEPT = "redrafter-names";
  const LONGEST = 60; // letters
  const MOST = 200; // names; the oldest go first

  /** What was kept, if it is names: somebody may have edited it. */
  RD.readNames = (text) => {
    try {
      const found = JSON.parse(text ?? "[]");
      const pairs = Array.isArray(found) ? found : [];
      return new Map(
        pairs
          .filter(
            (pair) =>
              Array.isArray(pair) &&
              pair.length === 2 &&
              pair.every((part) => typeof part === "string"),
          )
          .slice(-MOST),
      );
    } catch {
      return new Map();
    }
  };

  /** A name on one line, without what surrounds it. */
  RD.tidyName = (text) => Array.from(text.replace(/\s+/g, " ").trim()).slice(0, LONGEST).join("");

  /** A file's name from a run's: letters and digits of any script, dashes between. */
  RD.fileName = (name, run) => {
    const words = name.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
    return words.length ? words.join("-") : `redrafter-${run.slice(0, 12)}`;
  };

  RD.names = {
    /** The name of a run, empty without one. */
    of(run) {
      return RD.readNames(localStorage.getItem(KEPT)).get(run.head?.run) ?? "";
    },

    /** The name, or the last thing the person said in it. */
    told(run) {
      return (
        RD.names.of(run) ||
        (run.head?.messages.filter(([role]) => role === "user").at(-1)?.[1] ?? "")
      );
    },

    /** An empty name takes the old one away. */
    give(run, text) {
      const names = RD.readNames(localStorage.getItem(KEPT));
      const name = RD.tidyName(text);
      names.delete(run.head.run);
      if (name) names.set(run.head.run, name);
      localStorage.setItem(KEPT, JSON.stringify([...names].slice(-MOST)));
    },
  };
})();
