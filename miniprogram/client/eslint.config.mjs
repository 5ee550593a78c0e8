import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["examples", "dist", "miniprogram_dist", "node_modules", "src/api.gen.ts"] },
  ...tseslint.configs.recommendedTypeChecked,
  { languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } } },
  { files: ["**/*.mjs"], extends: [tseslint.configs.disableTypeChecked] },
  {
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/explicit-function-return-type": ["error", { allowExpressions: true }],
      "@typescript-eslint/prefer-promise-reject-errors": "off",
      "@typescript-eslint/only-throw-error": "off",
      "@typescript-eslint/unbound-method": "off",
      eqeqeq: "error",
    },
  },
  { files: ["**/*.mjs"], rules: { "@typescript-eslint/explicit-function-return-type": "off" } },
  {
    // node:test's `test` returns a promise that its runner awaits; a fake may be async without awaiting.
    files: ["test/**", "sim/**", "dev/**"],
    rules: {
      "@typescript-eslint/no-floating-promises": ["error", { allowForKnownSafeCalls: [{ from: "package", package: "node:test", name: ["test"] }] }],
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/restrict-template-expressions": "off",
      "@typescript-eslint/explicit-function-return-type": "off",
    },
  },
);
