// Settings in the page's address, so that a view can be shared and reopened. Prompts never go there.
(() => {
  const RD = window.ReDrafter;
  const KEYS = ["w", "l", "b", "n", "t", "p", "k", "s", "race", "chat"];
  const HEADS = [
    "width",
    "length",
    "nodes",
    "maxNewTokens",
    "temperature",
    "topP",
    "topK",
    "seed",
    "race",
    "chatTemplate",
  ];

  function address() {
    return new URLSearchParams(location.hash.slice(1));
  }

  function write(parameters) {
    history.replaceState(null, "", `#${parameters}`);
  }

  let known = []; // the rail's values as Gradio last told them, in the order of KEYS
  const waiting = [];

  function learn(values) {
    known = values;
    RD.store?.emit("settings");
    for (const wait of [...waiting])
      if (wait.holds(values)) (waiting.splice(waiting.indexOf(wait), 1), wait.then());
  }

  /** Gradio and records write one value as number, text or flag. */
  RD.sameSetting = (one, other) =>
    String(Number(one)) === String(Number(other)) &&
    (!Number.isNaN(Number(one)) || String(one) === String(other));

  RD.settings = {
    /** The rail's values by the names a run's head has for them. */
    now() {
      return Object.fromEntries(HEADS.map((name, at) => [name, known[at]]));
    },

    /** Do something once the rail has these values (names of a run's head). */
    once(wanted, then) {
      const holds = (values) =>
        HEADS.every((name, at) => !(name in wanted) || RD.sameSetting(values[at], wanted[name]));
      if (holds(known)) then();
      else waiting.splice(0, waiting.length, { holds, then });
    },

    /** Values for the rail: those of the address where it has them, the page's own elsewhere. */
    restore(...given) {
      const values = given.flat();
      const parameters = address();
      const restored = values.map((value, at) => {
        const text = parameters.get(KEYS[at]);
        if (text === null) return value;
        if (typeof value === "boolean") return text === "1";
        if (typeof value === "string") return text;
        return Number.isFinite(Number(text)) ? Number(text) : value;
      });
      learn(restored);
      return restored;
    },

    keep(...given) {
      const values = given.flat(); // Gradio hands them over one by one or as one list, by the kind of event
      const parameters = address();
      KEYS.forEach((key, at) => {
        const value = values[at];
        if (value !== null && value !== undefined)
          parameters.set(key, typeof value === "boolean" ? Number(value) : value);
      });
      write(parameters);
      learn(values);
    },

    view() {
      return address().get("view");
    },

    keepView(view) {
      const parameters = address();
      parameters.set("view", view);
      write(parameters);
    },

    async copy(text) {
      try {
        await navigator.clipboard.writeText(text);
        RD.store?.tell("info", "Copied the command line.");
      } catch {
        RD.store?.tell(
          "info",
          "The browser blocked copying. Select the command in the rail instead.",
        );
      }
    },
  };
})();
