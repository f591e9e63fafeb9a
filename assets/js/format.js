// Numbers and the visual vocabulary, in one place. Numbers read as playground/figures/format.py writes them.
(() => {
  /** @typedef {import("./types").StatusCode} StatusCode */
  /** @typedef {import("./types").Verdict} Verdict */
  const RD = window.ReDrafter;

  /** @type {Record<StatusCode | "k" | "g", { name: string, title: string, glyph: string }>} */
  RD.STATUS = {
    r: { name: "root", title: "Root", glyph: "◆" },
    a: { name: "accepted", title: "Accepted", glyph: "✓" },
    x: { name: "rejected", title: "Rejected", glyph: "✕" },
    u: { name: "unreached", title: "Never reached", glyph: "○" },
    k: { name: "picked", title: "Base model's pick", glyph: "★" },
    g: { name: "open", title: "Not told yet", glyph: "?" },
  };
  RD.TOLD = ["r", "a", "x", "u", "k"]; // what a legend explains
  RD.STAGES = ["draft", "tree", "verify", "accept", "commit"];
  /** @type {Record<Verdict, string>} */
  RD.VERDICTS = { win: "faster", even: "about even", loss: "slower" };

  /** `1,234.5`; toFixed rounds the exact value, halves up, as the server's words do. */
  RD.number = (value, places = 1) => {
    if (value === null || value === undefined) return "–";
    const [whole, part] = value.toFixed(places).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    return part ? `${grouped}.${part}` : grouped;
  };

  /** A ratio of rates. */
  RD.times = (value) => (value === null || value === undefined ? "–" : `${RD.number(value, 2)}×`);

  RD.percent = (share) => {
    if (share === null || share === undefined) return "–";
    if (share >= 0.0995) return `${RD.number(share * 100, 0)}%`;
    if (share >= 0.001) return `${RD.number(share * 100, 1)}%`;
    return share > 0 ? "<0.1%" : "0%";
  };

  RD.ms = (value) => {
    if (value === null || value === undefined) return "–";
    return `${RD.number(value, value >= 100 ? 0 : value >= 10 ? 1 : 2)} ms`;
  };

  RD.seconds = (ms) => (ms === null || ms === undefined ? "–" : `${RD.number(ms / 1000, 2)} s`);

  RD.bytes = (count) => {
    if (!count) return "–";
    const units = ["B", "kB", "MB", "GB"];
    let value = count;
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
    return `${RD.number(value, value >= 100 || unit === 0 ? 0 : 1)} ${units[unit]}`;
  };

  RD.plural = (count, word) => `${RD.number(count, 0)} ${word}${count === 1 ? "" : "s"}`;

  RD.ordinal = (rank) => {
    const tail =
      rank % 100 > 10 && rank % 100 < 14
        ? "th"
        : ({ 1: "st", 2: "nd", 3: "rd" }[rank % 10] ?? "th");
    return `${RD.number(rank, 0)}${tail}`;
  };

  /** Cut to so many characters, whole code points kept. */
  RD.clip = (text, limit) => {
    const letters = Array.from(text);
    return letters.length <= limit ? text : `${letters.slice(0, limit - 1).join("")}…`;
  };

  const WIDE =
    /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;

  /** Cells a text takes in a monospaced face: wide scripts count double, marks nothing. */
  RD.cells = (text) => {
    let cells = 0;
    for (const letter of text) if (!/\p{M}/u.test(letter)) cells += WIDE.test(letter) ? 2 : 1;
    return cells;
  };
})();
