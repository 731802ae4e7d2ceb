/** A server that knows several hypervisors over SSH, with a home folder of its own. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer, type TestServer } from "../server.ts";

export interface HostsServer extends TestServer {
  /** Its HOME, with an empty `.ssh` until a test writes there. */
  home: string;
  config: string;
}

/** `settings`: lines of its `hypersdk.toml`; `files`: what is in its `.ssh`. */
export async function serveHosts(
  hosts: Record<string, string>,
  settings = "",
  { env = {}, files = {} }: { env?: Record<string, string>; files?: Record<string, string> } = {},
): Promise<HostsServer> {
  const home = await mkdtemp(join(tmpdir(), "home-"));
  await mkdir(join(home, ".ssh"), { mode: 0o700 });
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(home, ".ssh", name), text, { mode: 0o600 });
  }
  const config = join(home, "hypersdk.toml");
  const sections = Object.entries(hosts).map(
    ([alias, uri]) => `[hosts.${alias}]\nuri = ${JSON.stringify(uri)}\n`,
  );
  await writeFile(config, [settings, ...sections].join("\n"));
  const server = await startServer({
    HYPERSDK_CONFIG: config,
    HOME: home,
    SSH_AUTH_SOCK: "",
    LOG_LEVEL: "debug",
    ...env,
  });
  const stop = async () => {
    await server.stop();
    await rm(home, { recursive: true });
  };
  return { ...server, home, config, stop };
}
