// Elements made from data. Text only ever arrives as text nodes: model output is hostile input.
(() => {
  const RD = (window.ReDrafter ??= {});
  const SVG = "http://www.w3.org/2000/svg";

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    append(element, children);
    return element;
  }

  function append(element, children) {
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      element.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
  }

  /** An HTML element: h("p", {class: "x"}, "text", other). */
  RD.h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

  /** An SVG element. */
  RD.s = (tag, attributes, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

  /** A slider over thousandths of a whole, at its end to begin with. */
  RD.dial = (label, moved) =>
    RD.h("input", {
      type: "range",
      min: 0,
      max: 1000,
      value: 1000,
      step: 1,
      class: "rp-range",
      "aria-label": label,
      oninput: moved,
    });

  /** Replace an element's children. */
  RD.put = (element, ...children) => {
    const fragment = document.createDocumentFragment();
    append(fragment, children);
    element.replaceChildren(fragment);
  };

  /**
   * Rows named by data-key, cell by cell only where something changed: what has the focus keeps it while others grow.
   * @param {HTMLElement} list
   * @param {HTMLElement[]} fresh
   */
  RD.putRows = (list, fresh) => {
    const held = /** @type {HTMLElement} */ (
      list.contains(document.activeElement) && document.activeElement
    );
    const row = held && /** @type {HTMLElement | null} */ (held.closest("[data-key]"));
    const known = new Map([...list.children].map((old) => [old.getAttribute("data-key"), old]));
    fresh.forEach((made, at) => {
      const old = known.get(made.getAttribute("data-key"));
      const kept = old ? takeOver(old, made) : made;
      if (list.children[at] !== kept) list.insertBefore(kept, list.children[at] ?? null);
    });
    while (list.children.length > fresh.length) list.lastElementChild.remove();
    if (!row || document.activeElement === held) return;
    const now = list.querySelector(
      `[data-key="${CSS.escape(row.dataset.key)}"] [data-act="${CSS.escape(held.dataset.act ?? "")}"]`,
    );
    if (now instanceof HTMLElement) now.focus({ preventScroll: true });
  };

  /** A row as another says it. */
  function takeOver(row, made) {
    row.className = made.className;
    [...made.children].forEach((cell, at) => {
      const old = row.children[at];
      if (!old.isEqualNode(cell)) old.replaceWith(cell);
    });
    return row;
  }

  /** Set text only where it changed. */
  RD.say = (element, text) => {
    const value = String(text);
    if (element.textContent !== value) element.textContent = value;
  };

  RD.calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
})();
