// Makes sure that there is a hypervisor to talk to, unless one was configured.

import { configuration } from "./configuration.mjs";
import { startDaemon } from "./daemon.mjs";
import { findTool } from "./find.mjs";
import { makeFirstObjects } from "./first-objects.mjs";
import { installTools } from "./install.mjs";
import { HELPER_TOOLS, HYPERVISOR_TOOLS, STORAGE_TOOLS, toolNames } from "./packages.mjs";

const TEST_URI = "test:///default";

/** @returns {Promise<Record<string, string>>} what the server's environment needs in addition */
export async function prepareHypervisor() {
  if (isConfigured()) return {};
  const missing = installTools([...HYPERVISOR_TOOLS, ...HELPER_TOOLS]);
  if (!findTool("virsh")) {
    throw new Error("Nothing works without virsh, libvirt's client. Install it, then try again.");
  }
  const vital = HYPERVISOR_TOOLS.filter((tool) => missing.includes(tool));
  if (vital.length > 0) {
    console.error(
      `There is no hypervisor on this machine (without ${toolNames(vital)}).\n` +
        `Using libvirt's built-in test hypervisor instead: nothing in it is real, and it forgets\n` +
        `everything when it ends. The same by hand: LIBVIRT_DEFAULT_URI=${TEST_URI} npm start`,
    );
    return { LIBVIRT_DEFAULT_URI: TEST_URI };
  }
  // Pools of other types work without them.
  installTools(STORAGE_TOOLS);
  await startDaemon();
  makeFirstObjects();
  return {};
}

function isConfigured() {
  return process.env.LIBVIRT_DEFAULT_URI ? true : namesHosts(configuration());
}

/**
 * Whether a configuration has a table of hosts: `[hosts.kvm1]`, `hosts.kvm1.uri =`, `hosts = {`.
 * @param {string} toml
 */
export function namesHosts(toml) {
  return /^\s*(\[\s*hosts\s*[.\]]|hosts\s*[.=])/m.test(toml);
}
