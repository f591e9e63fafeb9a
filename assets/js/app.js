// The app: frames arrive as one JSON string, everything is drawn from the store; views, keyboard, tour.
(() => {
  /** @typedef {import("./types").Message} Message */
  /** @typedef {import("./types").Hello} Hello */
  const RD = window.ReDrafter;
  const { h, VIEWS } = RD;
  const SCRUBBED = ["live", "steps", "mask"];
  const HEROIC = ["live", "race"];
  class App {
    constructor(element, server, trigger) {
      this.root = element;
      this.trigger = trigger;
      this.store = RD.store = new RD.Store(server);
      this.status = new RD.StatusView(this.store);
      this.views = {
        live: new RD.LiveView(this.store),
        steps: new RD.StepsView(this.store),
        mask: new RD.MaskPage(this.store),
        race: new RD.RaceView(this.store),
        shapes: new RD.ShapesView(this.store, {
          start: (shapes) => trigger("submit", shapes),
          stop: () => press("rp-stop"),
          takeShape: (width, length) => this.takeShape(width, length),
        }),
        traces: new RD.TracesView(
          this.store,
          (key) => trigger("upload", { key }),
          (key) => trigger("retry", { key }),
        ),
        learn: new RD.LearnView(() => this.tour.start()),
      };
      this.rail = new RD.Rail(this.store, (settings) => trigger("select", settings));
      this.hero = new RD.EquationView(
        (advice) => this.rail.runWith(advice, () => press("rp-run")),
        () => this.runExactly(),
      );
      const stage = RD.buildStage(this);
      this.app = stage.app;
      this.scrubBox = stage.scrubBox;
      this.scrubber = stage.scrubber;
      this.notice = stage.notice;
      this.waiting = stage.waiting;
      this.caption = stage.caption;
      this.tabs = stage.tabs;
      this.help = stage.help;
      this.listen();
      this.tip = new RD.SourceTip(this.app, this.store);
    }

    listen() {
      const { store } = this;
      store.on("run", () => this.later("run"));
      store.on("runs", () => this.later("runs"));
      store.on("step", () => this.later("step"));
      store.on("light", () => this.later("light"));
      store.on("sweep", () => this.views.shapes.draw());
      store.on("notice", () => this.drawNotice());
      store.on("view", () => this.drawView());
      this.tabs.buttons.forEach((tab, at) =>
        tab.addEventListener("keydown", (event) => this.tabKey(event, at)),
      );
      document.addEventListener("keydown", (event) => this.key(event));
      window.addEventListener("resize", () => this.later("step"));
      new ResizeObserver(() => this.later("step")).observe(this.app);
    }

    /** Draw once before the next paint, however many frames came. */
    later(what) {
      this.pending ??= new Set();
      this.pending.add(what);
      if (this.asked) return;
      this.asked = true;
      const draw = () => {
        if (!this.asked) return;
        this.asked = false;
        const { pending } = this;
        this.pending = new Set();
        this.draw(pending);
      };
      requestAnimationFrame(draw);
      setTimeout(draw, 120); // hidden tabs paint nothing, but their state goes on
    }

    draw(what) {
      const view = this.views[this.store.view];
      if (what.has("run")) {
        this.drawShared();
        view.draw();
      } else if (what.has("step")) {
        this.drawShared();
        (view.drawStep ?? view.draw).call(view);
      } else if (what.has("light")) view.drawLight?.();
      if (what.has("runs") && this.store.view === "traces") view.draw();
    }

    drawShared() {
      const { run, index, view, waiting } = this.store;
      const { dataset } = this.app;
      dataset.state = waiting?.state ?? run?.state ?? "empty";
      dataset.step = index;
      dataset.steps = run?.steps ?? 0;
      dataset.run = run?.key ?? "";
      dataset.shape = run?.head ? `${run.head.width}x${run.head.length}` : "";
      dataset.drawn = Number(dataset.drawn ?? 0) + 1;
      document.body.classList.toggle("rp-busy", Boolean(waiting || run?.busy));
      this.waiting.hidden = !waiting;
      if (waiting)
        RD.say(
          this.waiting,
          waiting.position > 0
            ? `Waiting for the device: ${RD.plural(waiting.position, "run")} before yours.`
            : "Reading the prompt…",
        );
      RD.say(this.caption, RD.runCaption(run, this.store.status.pair));
      this.caption.title = this.caption.textContent; // cut short where the window is narrow
      this.hero.element.hidden = !HEROIC.includes(view);
      const { pair } = this.store.status;
      const mine = run?.head?.base === pair?.base && run?.head?.drafter === pair?.drafter;
      this.hero.draw(run, pair?.drafterCard && mine ? pair : null);
      this.rail.draw();
      this.scrubBox.hidden = !SCRUBBED.includes(view);
      this.caption.hidden = ["shapes", "traces", "learn"].includes(view);
      this.scrubber.draw();
    }

    drawView() {
      const { view } = this.store;
      this.app.dataset.shown = view;
      this.tabs.select(view);
      for (const tab of this.tabs.buttons) tab.tabIndex = tab.dataset.view === view ? 0 : -1;
      RD.settings.keepView(view);
      this.drawShared();
      this.views[view].draw();
      this.views[view].drawLight?.();
    }

    drawNotice() {
      const { notice } = this.store;
      this.notice.hidden = !notice;
      this.notice.className = `rp-notice is-${notice?.tone}`;
      if (notice)
        RD.put(
          this.notice,
          h("span", {}, notice.message),
          h(
            "button",
            {
              type: "button",
              class: "rp-icon",
              "aria-label": "Dismiss",
              onclick: () => this.store.tell(null, null),
            },
            RD.icon("close"),
          ),
        );
      else RD.put(this.notice);
    }

    /** One message of the server. */
    take(text) {
      if (!text) return;
      /** @type {Message} */
      const frame = JSON.parse(text);
      if (frame.kind === "hello") this.greet(frame);
      else if (frame.kind === "said") this.store.tell(frame.tone, frame.message);
      else if (frame.kind === "loading") this.status.takeAsked(frame.status);
      else if (frame.kind === "sweep") {
        this.store.sweep =
          frame.state === "failed" && !("surface" in frame && frame.surface)
            ? { ...this.store.sweep, ...frame, surface: this.store.sweep?.surface }
            : frame;
        if (frame.state === "failed") this.store.tell("error", frame.message);
        this.store.emit("sweep");
      } else {
        if (frame.state === "queued" || frame.state === "prompt") this.store.tell(null, null);
        if (
          frame.state === "queued" ||
          (frame.state === "prompt" && !("head" in frame && frame.head))
        )
          this.comeIntoView();
        this.store.takeFrame(frame);
        this.status.expect(frame);
      }
    }

    /** In a narrow window the stage lies below the rail: a run that begins brings it up. */
    comeIntoView() {
      if (this.app.getBoundingClientRect().top > innerHeight / 2)
        this.app.scrollIntoView({ behavior: RD.calm() ? "auto" : "smooth" });
    }

    /** @param {Hello} frame */
    greet(frame) {
      this.views.learn.setGlossary(frame.glossary);
      this.views.traces.setExamples(frame.examples);
      const openExample = () =>
        frame.examples.length ? this.views.traces.openExample(frame.examples[0][0]) : undefined;
      this.tour = new RD.Tour(this.app, this.store, frame.tour, openExample);
      this.status.take(frame.status);
      if (frame.example) {
        this.store.takeFrame(frame.example);
        this.store.goTo(this.store.bestStep());
      }
      this.status.watch();
      const view = RD.settings.view();
      this.store.view = "";
      this.store.setView(VIEWS.some(([key]) => key === view) ? view : "live");
    }

    /** Where the lanes differed: the same run in a format in which they agree. */
    async runExactly() {
      const { run, status, server } = this.store;
      const answer = await server
        .load_exactly([])
        .catch(() => ({ error: "The server does not answer. Is it still running?" }));
      if (!("state" in answer)) return this.store.tell("error", answer.error);
      this.store.tell(
        "info",
        "Loading the model in a number format in which both lanes agree. The same run starts when it is ready.",
      );
      this.status.takeAsked(answer);
      if (await this.status.next(status.revision))
        this.rail.runWith(run.head, () => press("rp-run"));
      return undefined;
    }

    takeShape(width, length) {
      this.trigger("select", { width, length });
      this.store.tell("info", `Sliders set to ${width} × ${length}.`);
    }

    tabKey(event, at) {
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: VIEWS.length - 1 }[
        event.key
      ];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      const tab = this.tabs.buttons[(to + VIEWS.length) % VIEWS.length];
      this.store.setView(tab.dataset.view);
      tab.focus();
    }

    key(event) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        press("rp-run");
        return;
      }
      if (event.key === "Escape") {
        if (this.tour?.running) this.tour.end();
        else if (
          document.body.classList.contains("rp-busy") ||
          ["queued", "running"].includes(this.store.sweep?.state)
        )
          press("rp-stop");
        else this.store.tell(null, null);
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || this.help.open) return;
      if (
        event.target.closest?.(
          "input, textarea, select, [contenteditable], [role=slider], [role=listbox]",
        )
      )
        return;
      if (this.tour?.key(event.key)) event.preventDefault();
      else if (event.key === "?") this.help.showModal();
      else if (/^[1-7]$/.test(event.key)) this.store.setView(VIEWS[Number(event.key) - 1][0]);
      else if (!this.tour?.running && SCRUBBED.includes(this.store.view)) this.scrubKey(event);
    }

    scrubKey(event) {
      const act = {
        ArrowLeft: "previous",
        ArrowRight: "next",
        Home: "first",
        End: "last",
        p: "play",
      }[event.key];
      if (!act) return;
      event.preventDefault();
      this.scrubber.act(act);
    }
  }

  /** Press a Gradio button by its id (the id may sit on a wrapper). */
  function press(id) {
    const found = document.getElementById(id);
    (found?.matches("button") ? found : found?.querySelector("button"))?.click();
  }

  RD.shownKey = () => RD.store?.run?.key ?? "";

  RD.boot = (element, props, server, trigger, watch) => {
    const chosen = localStorage.getItem("redrafter-theme");
    if (chosen) document.body.classList.toggle("dark", chosen === "dark");
    const app = new App(element, server, trigger);
    watch("value", () => app.take(props.value));
    app.take(props.value);
  };
})();
