/** Small pictures beside words; never without words. */
const PATHS = {
  hosts: "M3 4h14v5H3zM3 11h14v5H3zM6 6.5h.01M6 13.5h.01",
  domains: "M3 4h14v9H3zM7 17h6M10 13v4",
  networks: "M10 3v5M4 16v-4h12v4M10 8v4M2.5 16h3M8.5 12v4M8.5 16h3M14.5 16h3",
  storage:
    "M4 5.5c0-1.4 2.7-2.5 6-2.5s6 1.1 6 2.5-2.7 2.5-6 2.5-6-1.1-6-2.5zM4 5.5v9C4 15.900 6.700 17 10 17s6-1.100 6-2.500v-9M4 10c0 1.400 2.700 2.500 6 2.500s6-1.100 6-2.500",
  templates: "M5 3h7l3 3v11H5zM12 3v3h3M8 10h4M8 13h4",
  jobs: "M10 3a7 7 0 1 0 7 7M10 6v4l2.500 2.500M14 3.500l3 1-1 3",
  schedules: "M4 5h12v12H4zM4 8.500h12M7 3v3M13 3v3M7 12h2M11 12h2M7 14.500h2",
  start: "M6 4l10 6-10 6z",
  off: "M10 3v7M6 5.500a6 6 0 1 0 8 0",
  pause: "M7 4v12M13 4v12",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
