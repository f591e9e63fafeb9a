// What two runs side by side have in common and where they differ, as words and tables.
(() => {
  /** @typedef {import("./types").SidesPicture} SidesPicture */
  /** @typedef {import("./types").ClaimPicture} ClaimPicture */
  const RD = window.ReDrafter;
  const { h } = RD;

  /** `stage_ms.draft` as words; what follows a dot is a part. */
  function readable(name) {
    return name.replaceAll("_", " ").replace(".", ": ");
  }

  /**
   * A run made again: what came out otherwise.
   * @param {SidesPicture} found
   */
  function verifiedWords({ claims, expectation }) {
    const differ = claims.filter((claim) => claim.agrees === false).map((claim) => claim.what);
    const verdict = differ.length
      ? `Run again here: ${differ.join(", ")} came out otherwise.`
      : "Run again here: everything that was recorded came out the same.";
    return `${verdict} ${expectation}`;
  }

  /**
   * What two runs were set to.
   * @param {SidesPicture} found
   */
  function apartWords({ samePrompt, differences }) {
    const names = differences.map(([name]) => readable(name.replace("settings.", "")));
    const prompt = samePrompt ? "The same prompt" : "Two prompts";
    return `${prompt}, ${names.length ? `set or loaded differently: ${names.slice(0, 6).join(", ")}${names.length > 6 ? ` and ${names.length - 6} more` : ""}.` : "the same settings and models."}`;
  }

  /**
   * What a recorded run claimed, and whether it came out again.
   * @param {ClaimPicture} claim
   */
  function claimItem({ what, agrees, words }) {
    const [sign, said, kind] =
      agrees === null
        ? ["–", "not compared", "none"]
        : agrees
          ? ["✓", "the same", "same"]
          : ["≠", "different", "different"];
    return h(
      "li",
      { class: `is-${kind}`, "data-claim": what, "data-agrees": String(agrees) },
      h("b", {}, `${sign} ${what}: ${said}`),
      h("span", { class: "rp-quiet" }, words),
    );
  }

  /**
   * Which steps wrote the token at a place, and whether they start at the same place of the same text.
   * @param {SidesPicture} found
   * @param {number} place
   * @param {number} left the first run's step
   * @param {number} right the second run's
   */
  function meetingWords({ meetings, firstDifference }, place, left, right) {
    const where = `New token ${place + 1}: written by step ${left + 1} of the first run and step ${right + 1} of the second. `;
    const met = meetings.find((one) => one.left === left && one.right === right);
    if (met)
      return `${where}Both steps start at the same place: ${met.sameTree ? "the same tree" : "another tree"}, ${met.samePicks ? "the same picks" : "other picks"}.`;
    const parted = firstDifference !== null && place >= firstDifference;
    return where + (parted ? "The texts have parted." : "The steps start at different places.");
  }

  /** A table with a heading for each row; `source(name)` says where a row's figures come from. */
  function table(columns, rows, source) {
    const heading = (name) => h("th", { scope: "col" }, name);
    const row = ([name, ...cells]) =>
      h(
        "tr",
        source(name),
        h("th", { scope: "row", ...source(name) }, readable(name)),
        cells.map((cell) => h("td", {}, h("bdi", {}, cell))),
      );
    return h(
      "table",
      { class: "rp-table" },
      h("thead", {}, h("tr", {}, columns.map(heading))),
      h("tbody", {}, rows.map(row)),
    );
  }

  /** @param {SidesPicture} found */
  function figuresBeside({ columns, rows, sources }) {
    const said = new Map(
      sources.map(([name, left, right]) => [name, `First run, ${left}. Second run, ${right}.`]),
    );
    return table(columns, rows, (name) => ({ "data-source": said.get(name.split(".")[0]) }));
  }

  /**
   * @param {SidesPicture} found
   * @param {string[]} names of the two
   */
  function settingsApart({ differences }, names) {
    if (!differences.length) return h("p", { class: "rp-quiet" }, "Nothing.");
    const source = () => ({ "data-source": "As the headers of both traces say" });
    return table(["What", ...names], differences, source);
  }

  Object.assign(RD, {
    verifiedWords,
    apartWords,
    claimItem,
    meetingWords,
    figuresBeside,
    settingsApart,
  });
})();
