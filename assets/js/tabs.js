// Tabs and the panels they show. Knows keys and titles; nothing of what stands in a panel.
(() => {
  const RD = window.ReDrafter;
  const { h } = RD;

  RD.Tabs = class {
    /**
     * @param {[string, string][]} titles key and title of each tab
     * @param {(key: string) => HTMLElement} content what its panel holds
     * @param {(key: string) => void} choose
     */
    constructor(titles, content, choose) {
      this.buttons = titles.map(([key, title]) =>
        h(
          "button",
          {
            type: "button",
            role: "tab",
            id: `rp-tab-${key}`,
            "aria-controls": `rp-view-${key}`,
            "data-view": key,
            onclick: () => choose(key),
          },
          title,
        ),
      );
      this.panels = titles.map(([key]) =>
        h(
          "div",
          {
            class: "rp-view",
            role: "tabpanel",
            id: `rp-view-${key}`,
            "aria-labelledby": `rp-tab-${key}`,
            hidden: true,
          },
          content(key),
        ),
      );
      const about = { class: "rp-tabs", role: "tablist", "aria-label": "Views" };
      this.element = h("div", about, this.buttons);
    }

    /** Show the panel of `key`, and no other. */
    select(key) {
      for (const button of this.buttons)
        button.setAttribute("aria-selected", String(button.dataset.view === key));
      for (const panel of this.panels) panel.hidden = panel.id !== `rp-view-${key}`;
    }
  };
})();
