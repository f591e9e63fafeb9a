// What the rail tells about the run shown: which settings differ from it, and one click to take them back.
(() => {
  /** @typedef {import("./types").HeadPicture} HeadPicture */
  /** @typedef {import("./types").AdvicePicture} AdvicePicture */
  const RD = window.ReDrafter;
  const { h } = RD;
  const NAMES = {
    width: "beam width",
    length: "beam length",
    nodes: "nodes",
    maxNewTokens: "new tokens",
    temperature: "temperature",
    topP: "top-p",
    topK: "top-k",
    seed: "seed",
    race: "race",
    chatTemplate: "chat template",
  };

  class Rail {
    /** @param {(settings: object) => void} take sets widgets by the names of ui/settings.py */
    constructor(store, take) {
      this.store = store;
      this.take = take;
      this.words = h("span", {});
      const back = h(
        "button",
        {
          type: "button",
          class: "rp-chip is-small",
          "data-act": "take-back",
          onclick: () => this.takeBack(),
        },
        "Use this run's settings",
      );
      this.note = h(
        "div",
        { class: "rp-railnote", role: "status", hidden: true },
        this.words,
        back,
      );
      this.fold = h(
        "button",
        {
          type: "button",
          class: "rp-chip rp-settingsfold",
          "aria-expanded": "false",
          onclick: () => this.flip(),
        },
        "Settings",
      );
      document.addEventListener(
        "input",
        (event) =>
          event.target instanceof Element && event.target.closest("#rp-prompt") && this.draw(),
      );
      store.on("settings", () => this.draw());
    }

    get prompt() {
      const box = document.querySelector("#rp-prompt textarea");
      return box instanceof HTMLTextAreaElement ? box.value : "";
    }

    draw() {
      this.mount();
      const { run } = this.store;
      const greeted = this.store.runs.length === 1 && run?.key.startsWith("example-"); // nobody asked for that one
      const changed =
        run?.head && !run.busy && !greeted
          ? RD.settingsChanged(run.head, RD.settings.now(), this.prompt)
          : [];
      this.note.hidden = !changed.length;
      RD.say(
        this.words,
        changed.length ? `Changed since the run shown: ${changed.join(", ")}` : "",
      );
    }

    /** Into the rail, once it is there. */
    mount() {
      if (this.note.isConnected) return;
      const go = document.querySelector("#rp-rail .rp-go");
      document.getElementById("rp-settings")?.before(this.fold);
      go?.after(this.note);
    }

    flip() {
      const open = document.body.classList.toggle("rp-settings-open");
      this.fold.setAttribute("aria-expanded", String(open));
    }

    takeBack() {
      this.take(RD.settingsOf(this.store.run.head));
    }

    /**
     * The run shown again with a shape: another, or its own.
     * @param {AdvicePicture | HeadPicture} shape
     */
    runWith({ width, length, nodes }, press) {
      const { head } = this.store.run;
      this.take({ ...RD.settingsOf(head), width, length, nodes });
      RD.settings.once({ ...head, width, length, nodes }, () => setTimeout(press, 60)); // Gradio sends what widgets hold
    }
  }

  /**
   * Names of the settings that differ from a run's, the prompt among them.
   * @param {HeadPicture} head
   */
  RD.settingsChanged = (head, now, prompt) => {
    const own = ["width", "length", "nodes"].filter(
      (name) => now[name] === 0 || now[name] === "auto",
    ); // the pair's own
    const changed = Object.keys(NAMES).filter(
      (name) =>
        now[name] !== undefined && !own.includes(name) && !RD.sameSetting(now[name], head[name]),
    );
    const asked = promptOf(head);
    const names = changed.map((name) =>
      typeof now[name] === "boolean" ? NAMES[name] : `${NAMES[name]} ${head[name]} → ${now[name]}`,
    );
    return prompt.trim() === asked.trim() ? names : ["prompt", ...names];
  };

  /**
   * A run's settings by the names of ui/settings.py.
   * @param {HeadPicture} head
   */
  RD.settingsOf = (head) => ({
    prompt: promptOf(head),
    width: head.width,
    length: head.length,
    nodes: head.nodes,
    new_tokens: head.maxNewTokens,
    temperature: head.temperature,
    top_p: head.topP,
    top_k: head.topK,
    seed: head.seed,
    race: head.race,
    chat_template: head.chatTemplate,
    system: head.messages.find(([role]) => role === "system")?.[1] ?? "",
  });

  function promptOf(head) {
    return head.messages.filter(([role]) => role === "user").at(-1)?.[1] ?? "";
  }

  RD.Rail = Rail;
})();
