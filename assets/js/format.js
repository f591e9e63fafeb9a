// Numbers and the visual vocabulary, in one place.
(() => {
  /** @typedef {import("./types").StatusCode} StatusCode */
  const RD = window.ReDrafter;

  /** @type {Record<StatusCode | "k", { name: string, title: string, glyph: string }>} */
  RD.STATUS = {
    r: { name: "root", title: "Root", glyph: "◆" },
    a: { name: "accepted", title: "Accepted", glyph: "✓" },
    x: { name: "rejected", title: "Rejected", glyph: "✕" },
    u: { name: "unreached", title: "Never reached", glyph: "○" },
    k: { name: "picked", title: "Base model's pick", glyph: "★" },
  };
  RD.STAGES = ["draft", "tree", "verify", "accept", "commit"];

  RD.number = (value, places = 1) =>
    value === null || value === undefined
      ? "–"
      : value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });

  RD.percent = (share) => {
    if (share === null || share === undefined) return "–";
    if (share >= 0.0995) return `${Math.round(share * 100)}%`;
    if (share >= 0.001) return `${(share * 100).toFixed(1)}%`;
    return share > 0 ? "<0.1%" : "0%";
  };

  RD.ms = (value) => (value === null || value === undefined ? "–" : value >= 100 ? `${Math.round(value)} ms` : value >= 10 ? `${value.toFixed(1)} ms` : `${value.toFixed(2)} ms`);

  RD.seconds = (ms) => (ms === null || ms === undefined ? "–" : `${(ms / 1000).toFixed(2)} s`);

  RD.bytes = (count) => {
    if (!count) return "–";
    const units = ["B", "kB", "MB", "GB"];
    let value = count;
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
    return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
  };

  RD.plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

  /** Cut to so many characters, whole code points kept. */
  RD.clip = (text, limit) => {
    const letters = Array.from(text);
    return letters.length <= limit ? text : `${letters.slice(0, limit - 1).join("")}…`;
  };

  /** Cells a text takes in a monospaced face: wide scripts count double, marks nothing. */
  RD.cells = (text) => {
    let cells = 0;
    for (const letter of text) {
      if (/\p{M}/u.test(letter)) continue;
      cells += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(letter) ? 2 : 1;
    }
    return cells;
  };
})();
