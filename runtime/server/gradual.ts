/**
 * The host's router, which answers before all functions have loaded: a start takes as long with a hundred functions as
 * with ten.
 */
import { functionPaths, loadFunction, loadFunctions } from "../function/load.ts";
import { createRouter, type Router } from "./router.ts";

/** The rest loads once the first call has its answer, or after so long without one. */
const PATIENCE_MS = 200;

export interface GradualRouter extends Router {
  paths: string[];
}

export async function createGradualRouter(): Promise<GradualRouter> {
  const paths = await functionPaths();
  let whole: Router | undefined;
  let loading: Promise<Router> | undefined;
  const load = () => {
    loading ??= loadFunctions().then((functions) => {
      whole = createRouter(functions);
      return whole;
    });
    return loading;
  };
  const loadSoon = () => void load().catch(() => {}); // whoever waits for it is told
  setTimeout(loadSoon, PATIENCE_MS).unref();
  return {
    paths,
    async fetch(request, env) {
      if (whole) return whole.fetch(request, env);
      const path = paths.find((one) => one === new URL(request.url).pathname);
      if (path === undefined) return (await load()).fetch(request, env); // aliases, and what is not there
      try {
        const only = await loadFunction(path).then(
          (loaded) => ({ path, function: loaded }),
          (error) => ({ path, error }),
        );
        return await createRouter([only]).fetch(request, env);
      } finally {
        loadSoon();
      }
    },
  };
}
