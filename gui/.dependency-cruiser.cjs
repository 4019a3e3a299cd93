// Which part may import which: lib < api < components < features < app.
const lower = (name, from, to) => ({ name, severity: "error", from: { path: from }, to: { path: to } });

module.exports = {
  forbidden: [
    { name: "no-circles", severity: "error", from: {}, to: { circular: true } },
    lower("lib-stands-alone", "^src/lib", "^src/(api|components|features|app)"),
    lower("api-knows-lib-only", "^src/api", "^src/(components|features|app)"),
    lower("components-know-no-feature", "^src/components", "^src/(features|app)"),
    lower("features-know-no-app", "^src/features", "^src/app"),
    {
      name: "features-are-strangers",
      comment: "What several of them do stands in features/actions.",
      severity: "error",
      from: { path: "^src/features/([^/]+)/" },
      to: { path: "^src/features/", pathNot: ["^src/features/$1/", "^src/features/actions/"] },
    },
  ],
  options: { tsConfig: { fileName: "tsconfig.json" }, doNotFollow: { path: "node_modules" }, tsPreCompilationDeps: true },
};
