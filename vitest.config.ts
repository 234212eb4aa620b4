import { defineConfig, type ViteUserConfig } from "vitest/config";

const conditions: string[] = ["@event-driver/source", "module", "node", "development|production"];

const config: ViteUserConfig = defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    isolate: false,
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    setupFiles: ["./test/setup.ts"],
    reporters: ["default", "./tools/closing-line.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts", "extensions/*/test/**/*.test.ts"],
          exclude: ["**/*.int.test.ts", "**/node_modules/**"],
        },
      },
      {
        extends: true,
        test: {
          name: "int",
          include: ["{test,extensions/*/test}/**/*.int.test.ts"],
          isolate: true,
          fileParallelism: false,
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "types",
          include: [],
          typecheck: { enabled: true, only: true, include: ["{test,extensions/*/test}/**/*.test-d.ts"] },
        },
      },
    ],
    coverage: { provider: "v8", include: ["src/**/*.ts", "extensions/*/src/**/*.ts"] },
  },
});

export default config;
