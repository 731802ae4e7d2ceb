/** Dark or light: as the system has it, or as was chosen here. */
import { effect, signal } from "@preact/signals";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "hypersdk-theme";
const stored = localStorage.getItem(KEY);
const system = matchMedia("(prefers-color-scheme: dark)");

export const theme = signal<Theme>(THEMES.find((one) => one === stored) ?? "system");
/** What is shown; plots are drawn anew with it. */
export const isDark = signal(false);

export function followTheme() {
  const apply = () => {
    isDark.value = theme.value === "system" ? system.matches : theme.value === "dark";
    document.documentElement.dataset.theme = isDark.value ? "dark" : "light";
  };
  system.addEventListener("change", apply);
  effect(apply);
}

export function choose(next: Theme) {
  theme.value = next;
  localStorage.setItem(KEY, next);
}
