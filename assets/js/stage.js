// The stage: header, tabs, panels of the views, help with the keys. Built once; what stands in it is the app's.
(() => {
  const RD = window.ReDrafter;
  const { h } = RD;
  RD.VIEWS = [
    ["live", "Live"],
    ["steps", "Steps"],
    ["mask", "Mask"],
    ["race", "Race"],
    ["shapes", "Beam shapes"],
    ["traces", "Traces"],
    ["learn", "Learn"],
  ];
  const KEYS = [
    ["Ctrl+Enter", "Run"],
    ["Esc", "Stop, or close what is open"],
    ["← →", "Step back and forth"],
    ["Home End", "First and last step"],
    ["P", "Play and pause"],
    ["1 … 7", "Switch the view"],
    ["Tab, then arrows", "Walk the tree"],
    ["?", "This help"],
  ];

  /** What the page consists of, put into `root`; the parts that change by name. */
  RD.buildStage = ({ root, store, views, status, hero }) => {
    const scrubBox = h("div", {
      class: "rp-scrubber",
      "data-tour": "scrubber",
      role: "group",
      "aria-label": "Steps of the run",
    });
    const scrubber = new RD.Scrubber(scrubBox, store, () => views[store.view]?.motion ?? null);
    const notice = h("div", { class: "rp-notice", role: "alert", hidden: true });
    const waiting = h("p", { class: "rp-waiting", role: "status", hidden: true });
    const caption = h("p", { class: "rp-caption" });
    const tabs = new RD.Tabs(
      RD.VIEWS,
      (key) => views[key].element,
      (key) => store.setView(key),
    );
    const help = h(
      "dialog",
      { class: "rp-help", "aria-label": "Keyboard" },
      h("h2", {}, "Keyboard"),
      h(
        "dl",
        {},
        KEYS.map(([keys, does]) =>
          h("div", {}, h("dt", {}, h("kbd", {}, keys)), h("dd", {}, does)),
        ),
      ),
      h(
        "button",
        { type: "button", class: "rp-chip is-strong", onclick: () => help.close() },
        "Close",
      ),
    );
    const app = root.querySelector(".rp-app");
    RD.put(
      app,
      h(
        "header",
        { class: "rp-head" },
        h(
          "div",
          { class: "rp-title" },
          logo(),
          h("div", {}, h("h1", {}, "ReDrafter Playground"), status.element),
        ),
        caption,
        h(
          "div",
          { class: "rp-tools" },
          RD.runTools(store),
          h(
            "button",
            {
              type: "button",
              class: "rp-icon",
              "aria-label": "Light or dark",
              title: "Light or dark",
              "data-act": "theme",
              onclick: flipTheme,
            },
            RD.icon("theme"),
          ),
          h(
            "button",
            {
              type: "button",
              class: "rp-icon",
              "aria-label": "Keyboard help",
              title: "Keyboard help (?)",
              onclick: () => help.showModal(),
            },
            "?",
          ),
        ),
      ),
      tabs.element,
      notice,
      status.lack,
      h("div", { class: "rp-shared" }, waiting, hero.element, scrubBox),
      tabs.panels,
      help,
    );
    return { app, scrubBox, scrubber, notice, waiting, caption, tabs, help };
  };

  /** What made the run shown: the pair only where it is not the one loaded. */
  RD.runCaption = (run, pair) => {
    const { head } = run ?? {};
    if (!head) return "";
    const sampling =
      head.temperature > 0 ? `temperature ${head.temperature}, seed ${head.seed}` : "greedy";
    const example = run.key.startsWith("example-") ? "Recorded: " : "";
    const budget = { auto: ", auto nodes", beams: "" }[head.nodes] ?? `, ${head.nodes} nodes`;
    const cut = run.complete === false && !run.busy ? " · cut off, no summary" : "";
    const own = pair && pair.base === head.base && pair.drafter === head.drafter;
    const names = own ? "" : `${head.base} with ${head.drafter}, `;
    const where =
      own && pair.device === head.device && pair.dtype === head.dtype
        ? ""
        : `, ${head.device}, ${head.dtype}`;
    return `${example}${names}${head.width} × ${head.length} beams${budget}, ${sampling}${where}${cut}`;
  };

  function flipTheme() {
    const dark = document.body.classList.toggle("dark");
    localStorage.setItem("redrafter-theme", dark ? "dark" : "light");
    RD.store.emit("step");
  }

  const logo = () => {
    const { s } = RD;
    return s(
      "svg",
      { class: "rp-logo", viewBox: "0 0 32 32", "aria-hidden": "true" },
      s("rect", { width: 32, height: 32, rx: 8 }),
      s("path", { d: "M8 16h6M14 16c4 0 3-7 8-7M14 16c4 0 3 7 8 7" }),
      s("circle", { cx: 8, cy: 16, r: 2.6 }),
      s("circle", { cx: 23, cy: 9, r: 2.6 }),
      s("circle", { class: "is-accepted", cx: 23, cy: 23, r: 2.6 }),
    );
  };
})();
