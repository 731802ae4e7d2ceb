/** Which view is shown, from the address behind `#`: `#/domain/kvm1/web-1`. */
import { signal } from "@preact/signals";

export interface Route {
  view: string;
  parts: string[];
}

function read(): Route {
  const [view = "", ...parts] = location.hash.replace(/^#\//, "").split("/").map(decode);
  return { view: view || "domains", parts };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = signal(read());

addEventListener("hashchange", () => {
  route.value = read();
});

export const href = (view: string, ...parts: string[]) =>
  `#/${[view, ...parts].map(encodeURIComponent).join("/")}`;

export const go = (view: string, ...parts: string[]) => {
  location.hash = href(view, ...parts);
};
