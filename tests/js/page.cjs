// Loads the page's own scripts, unchanged, into a bare object: what is pure needs no browser.
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const FOLDER = path.join(__dirname, "..", "..", "assets", "js");

/** The page's object after the named scripts ran. */
module.exports.load = (...names) => {
  const window = { ReDrafter: {} };
  const context = vm.createContext({ window, console });
  for (const name of names) {
    vm.runInContext(fs.readFileSync(path.join(FOLDER, `${name}.js`), "utf8"), context, {
      filename: `${name}.js`,
    });
  }
  return window.ReDrafter;
};

/** A step's columns as the layout reads them. */
module.exports.stepOf = (parent, status, { rank = null, pick = null } = {}) => ({
  nodes: { parent, status, rank: rank ?? parent.map((_, node) => node) },
  pick: pick === null ? null : { node: pick },
});
