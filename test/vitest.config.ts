/** Three projects: what is pure, what starts programs, and what needs the lab's libvirtd. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: import.meta.dirname,
    globalSetup: ["fixtures/slowness.ts"],
    setupFiles: ["fixtures/timeouts.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["**/*.test.ts"],
          exclude: ["live/**", "process/**"],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "process",
          include: ["process/**/*.test.ts"],
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "live",
          include: ["live/**/*.test.ts"],
          maxWorkers: 1, // its files share one libvirtd
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
