/** Three projects: what is pure, what starts programs, and what needs the lab's libvirtd. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, ".."), // what is watched: functions and rooms too
    globalSetup: ["test/fixtures/slowness.ts"],
    bail: process.env.HYPERSDK_INSPECT === "1" ? 1 : 0, // no test after it touches what it has left
    experimental: { fsModuleCache: true }, // each file of the live tests has a process of its own
    setupFiles: ["test/fixtures/timeouts.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/live/**", "test/process/**"],
          maxWorkers: 3, // vitest's own choice is one less than there are cores: one, on two
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "process",
          include: ["test/process/**/*.test.ts"],
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "live",
          include: ["test/live/**/*.test.ts"],
          maxWorkers: 1, // its files share one libvirtd
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
