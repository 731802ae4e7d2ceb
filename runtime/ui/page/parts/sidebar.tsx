/** Where one can go, who one is, and how it looks. */

import { act } from "../state/act.ts";
import { openJobs } from "../state/jobs.ts";
import { href, route } from "../state/route.ts";
import { choose, THEMES, type Theme, theme } from "../state/theme.ts";
import { can, signOut, who } from "../state/who.ts";
import { Icon, type IconName } from "./icon.tsx";

/** Each with the function without which it shows nothing. */
const PLACES: [view: IconName, title: string, needs: string][] = [
  ["domains", "Domains", "/libvirt/domains/watch"],
  ["hosts", "Hypervisors", "/hosts/watch"],
  ["networks", "Networks", "/libvirt/network/watch"],
  ["storage", "Storage", "/libvirt/pool/watch"],
  ["templates", "Templates", "/libvirt/template/list"],
  ["jobs", "Jobs", "/jobs/query"],
  ["schedules", "Schedules", "/schedules/list"],
];

/** Views of one object stand under that of all. */
const under = (view: string) => (view === "domain" ? "domains" : view);

const NAMES: Record<Theme, string> = { system: "System", light: "Light", dark: "Dark" };

export function Sidebar() {
  const present = under(route.value.view);
  return (
    <div class="sidebar">
      <p class="brand">
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <rect width="16" height="16" rx="4" />
          <path d="M4 5h8M4 8h8M4 11h5" />
        </svg>
        HyperSDK
      </p>
      <nav aria-label="Views">
        <ul>
          {PLACES.filter(([, , needs]) => can(needs)).map(([view, title]) => (
            <li key={view}>
              <a href={href(view)} aria-current={view === present ? "page" : undefined}>
                <Icon name={view} />
                <span>{title}</span>
                {view === "jobs" && openJobs.value.length > 0 && (
                  <span class="count">{openJobs.value.length}</span>
                )}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="sidebar-foot">
        <label class="theme">
          <span>Theme</span>
          <select
            value={theme.value}
            onChange={({ currentTarget }) => choose(currentTarget.value as Theme)}
          >
            {THEMES.map((one) => (
              <option key={one} value={one} selected={one === theme.value}>
                {NAMES[one]}
              </option>
            ))}
          </select>
        </label>
        <Caller />
      </div>
    </div>
  );
}

function Caller() {
  if (!who.value) return null;
  const { kind, name, access, session } = who.value;
  return (
    <div class="caller">
      <p>
        <strong>{name}</strong>
        <span>
          {kind}, {access ?? "listed functions"}
        </span>
      </p>
      {session && (
        <button type="button" onClick={() => void act("session", signOut, "Signed out")}>
          Sign out
        </button>
      )}
    </div>
  );
}
