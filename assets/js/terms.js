// Glossary words explained where they stand: the first of each in a text becomes a button that tells what it means.
(() => {
  /** @typedef {import("./types").Hello} Hello */
  const RD = window.ReDrafter;
  const { h } = RD;
  const CLINGS = /^(?:'s)?[.,;:!?)]*/; // to the word before it
  let tip = null;
  let shownFor = null; // the word whose meaning is seen
  let meanings = new Map();
  let pattern = null;

  /**
   * The words that are explained from now on; none of them in a page without a glossary.
   * @param {Hello["glossary"]} glossary
   */
  RD.setTerms = (glossary) => {
    meanings = new Map(glossary.map(([word, meaning]) => [bare(word), meaning]));
    const words = [...meanings.keys()]
      .sort((a, b) => b.length - a.length)
      .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    pattern = words.length
      ? new RegExp(`(?<![\\p{L}\\p{N}])(${words.join("|")})(s?)(?![\\p{L}\\p{N}])`, "giu")
      : null;
  };

  /** "Beam width (W)" stands in a text as "beam width". */
  function bare(word) {
    return word.replace(/\s*\(.*\)$/, "").toLowerCase();
  }

  /**
   * A text in parts: what is plain, and words with their meaning. Quoted text is a model's and stays plain. Pure.
   * @param {string} text
   * @param {string} own the word whose meaning the text is
   * @returns {{ text: string, meaning?: string }[]}
   */
  RD.termParts = (text, own = "") => {
    if (!pattern) return [{ text }];
    const quotes = [...text.matchAll(/(?<!\p{L})'[^']*'/gu)].map((found) => [
      found.index,
      found.index + found[0].length,
    ]);
    const parts = [];
    const seen = new Set([bare(own)]);
    let from = 0;
    for (const found of text.matchAll(pattern)) {
      const word = found[1].toLowerCase();
      if (
        seen.has(word) ||
        quotes.some(([start, end]) => found.index >= start && found.index < end)
      )
        continue;
      seen.add(word);
      if (found.index > from) parts.push({ text: text.slice(from, found.index) });
      parts.push({ text: found[0], meaning: meanings.get(word) });
      from = found.index + found[0].length;
    }
    if (from < text.length) parts.push({ text: text.slice(from) });
    return parts;
  };

  /** The same as elements. */
  RD.explained = (text, own = "") => {
    if (shownFor && !shownFor.isConnected) hide();
    const parts = RD.termParts(String(text), own);
    return parts.map((part, at) => {
      if (!part.meaning) return at ? part.text.replace(CLINGS, "") : part.text;
      // A button is no word to the browser: without this a line could begin with the full stop behind it.
      const [held] = parts[at + 1]?.text.match(CLINGS) ?? [""];
      const button = wordButton(part.text, part.meaning);
      return held ? h("span", { class: "rp-held" }, button, held) : button;
    });
  };

  /** Set explained text only where it changed: an open explanation stays open. */
  RD.sayExplained = (element, text) => {
    if (element.textContent !== String(text)) RD.put(element, RD.explained(text));
  };

  function wordButton(text, meaning) {
    const button = h(
      "button",
      { type: "button", class: "rp-word", "aria-expanded": "false" },
      text,
    );
    button.addEventListener("click", () => (shownFor === button ? hide() : show(button, meaning)));
    button.addEventListener(
      "pointerenter",
      (event) => event.pointerType === "mouse" && show(button, meaning),
    );
    button.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());
    button.addEventListener("blur", hide);
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || shownFor !== button) return;
      event.stopPropagation();
      hide();
    });
    return button;
  }

  function show(button, meaning) {
    hide();
    tip ??= h("div", { class: "rp-wordtip", id: "rp-wordtip", role: "status" });
    (button.closest("dialog, .rp-app") ?? document.body).append(tip);
    RD.say(tip, meaning);
    tip.hidden = false;
    shownFor = button;
    button.setAttribute("aria-expanded", "true");
    const box = button.getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8));
    const below = box.bottom + 6 + tip.offsetHeight < innerHeight;
    Object.assign(tip.style, {
      left: `${left}px`,
      top: `${below ? box.bottom + 6 : box.top - tip.offsetHeight - 6}px`,
    });
  }

  function hide() {
    if (!shownFor) return;
    shownFor.setAttribute("aria-expanded", "false");
    shownFor = null;
    tip.hidden = true;
  }

  globalThis.addEventListener?.("scroll", hide, { passive: true, capture: true });
})();
