import js from "@eslint/js";
import globals from "globals";

const UNUSED = { argsIgnorePattern: "^_", caughtErrors: "none" };
const RULES = {
  "no-unused-vars": ["error", UNUSED],
  "no-var": "error",
  "prefer-const": ["error", { destructuring: "all" }],
  eqeqeq: "error",
  "no-shadow": "error",
  "no-implicit-globals": "error",
  "no-promise-executor-return": "error",
  // Model output is hostile input: text reaches the page as text nodes only.
  "no-restricted-properties": [
    "error",
    ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({
      property,
      message: "Use RD.h and RD.put.",
    })),
    { object: "document", property: "write", message: "Use RD.h and RD.put." },
  ],
};

export default [
  js.configs.recommended,
  {
    files: ["assets/js/*.js"],
    languageOptions: { sourceType: "script", globals: globals.browser },
    rules: RULES,
  },
  {
    files: ["tests/js/*.cjs"],
    languageOptions: { sourceType: "commonjs", globals: globals.node },
    rules: RULES,
  },
];
