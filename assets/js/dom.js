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

  /** Replace an element's children. */
  RD.put = (element, ...children) => {
    const fragment = document.createDocumentFragment();
    append(fragment, children);
    element.replaceChildren(fragment);
  };

  /** Set text only where it changed. */
  RD.say = (element, text) => {
    const value = String(text);
    if (element.textContent !== value) element.textContent = value;
  };

  RD.calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
})();
