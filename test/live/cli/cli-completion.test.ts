/** Completion in real shells on a terminal: what stands in the line after a tab, and what is on the screen. */
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { LAUNCHER, onTerminal, type Terminal } from "../../cli.ts";
import {
  clean,
  defineDomain,
  defineNetwork,
  freeze,
  processes,
  thaw,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { startServer } from "../../server.ts";

let folder: string;
const env: Record<string, string> = {};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "completion-"));
  await symlink(LAUNCHER, join(folder, "hypersdk"));
  env.PATH = `${folder}${delimiter}${process.env.PATH}`;
  env.HYPERSDK_CONFIG = join(folder, "hypersdk.toml");
  await writeFile(env.HYPERSDK_CONFIG, '[hosts.kvm-far]\nuri = "test:///default"\n');
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(clean);

const SHELLS: Record<string, { argv: string[]; setup: string }> = {
  bash: {
    argv: ["bash", "--norc", "--noprofile", "-i"],
    setup: `PS1='>'; eval "$(hypersdk completion bash)"`,
  },
  zsh: {
    argv: ["zsh", "-f", "-i"],
    // npm sets EDITOR=vi, and zsh then has vi's keys
    setup: `bindkey -e; PS1='>'; autoload -U compinit; compinit -u -D; eval "$(hypersdk completion zsh)"`,
  },
  fish: {
    argv: ["fish", "--no-config", "-i"],
    setup: "function fish_prompt; echo '>'; end; hypersdk completion fish | source",
  },
};

describe.each(Object.entries(SHELLS))("%s", (_shell, { argv, setup }) => {
  let shell: Terminal;
  beforeAll(async () => {
    shell = onTerminal(argv, { env, cwd: folder }, 200);
    shell.type(`${setup}; echo re"ad"y\n`);
    await shell.shows("ready", 20);
  });
  afterAll(() => shell.close());

  /** Type a line and a tab, run it with `echo` before it, and see which words the shell makes of it. */
  async function completed(line: string): Promise<string> {
    shell.type(`${line}\t`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await settled(shell);
    shell.type("\x01printf '<%s>' \x05; echo; echo do\"n\"e\n"); // Home, End
    await shell.shows("done");
    const [said = ""] = /<hypersdk>.*/.exec(shell.screen().replaceAll("\r", "")) ?? [];
    return said;
  }

  test("commands, functions, fields and their values", async () => {
    expect(await completed("hypersdk cal")).toBe("<hypersdk><call>");
    expect(await completed("hypersdk call libvirt/network/cre")).toBe(
      "<hypersdk><call><libvirt/network/create>",
    );
    expect(await completed("hypersdk call libvirt/network/create subn")).toBe(
      "<hypersdk><call><libvirt/network/create><subnet=>",
    );
    expect(await completed("hypersdk call libvirt/volume/wipe algorithm=gut")).toBe(
      "<hypersdk><call><libvirt/volume/wipe><algorithm=gutmann>",
    );
    expect(await completed("hypersdk call libvirt/networks --host kvm")).toBe(
      "<hypersdk><call><libvirt/networks><--host><kvm-far>",
    );
  });

  test("names from the hypervisor, whatever they are", async () => {
    await defineNetwork("net one");
    await defineNetwork(`it's $HOME; "x"`);
    await defineDomain("dömain");
    await virsh("vol-create-as", "default", "disk 1.qcow2", "1M");
    try {
      const start = "<hypersdk><call><libvirt/network/start>";
      expect(await completed("hypersdk call libvirt/network/start name=n")).toBe(
        `${start}<name=net one>`,
      );
      expect(await completed("hypersdk call libvirt/network/start name=net\\ o")).toBe(
        `${start}<name=net one>`,
      );
      expect(await completed("hypersdk call libvirt/network/start name=i")).toBe(
        `${start}<name=it's $HOME; "x">`,
      );
      expect(await completed("hypersdk call libvirt/batch/start domains=d")).toBe(
        "<hypersdk><call><libvirt/batch/start><domains=dömain>",
      );
      expect(await completed("hypersdk call libvirt/volume/info pool=def")).toBe(
        "<hypersdk><call><libvirt/volume/info><pool=default>",
      );
      expect(await completed("hypersdk call libvirt/volume/info pool=default volume=d")).toBe(
        "<hypersdk><call><libvirt/volume/info><pool=default><volume=disk 1.qcow2>",
      );
      expect(await completed("hypersdk call libvirt/network --host kvm-far name=d")).toBe(
        "<hypersdk><call><libvirt/network><--host><kvm-far><name=default>",
      );
    } finally {
      await virsh("vol-delete", "disk 1.qcow2", "--pool", "default");
    }
  });

  test("names from a server", async () => {
    await defineNetwork("of-the-server");
    const server = await startServer();
    try {
      await server.get("/libvirt/networks"); // over SSH the first question takes longer
      expect(await completed(`hypersdk call libvirt/network --server ${server.url} name=of`)).toBe(
        `<hypersdk><call><libvirt/network><--server><${server.url}><name=of-the-server>`,
      );
    } finally {
      await server.stop();
    }
  });

  test("a libvirtd that does not answer: nothing, soon, and no word of it", async () => {
    freeze();
    try {
      const line = "hypersdk call libvirt/network name=";
      shell.type(`${line}\t`);
      await until("it asks", () => processes("virsh").length > 0);
      await until("it gives up", () => processes("virsh").length === 0, 5);
      await settled(shell);
      expect(shell.screen().replace(/\p{Cc}/gu, "")).not.toMatch(/error|fail|Terminated|Killed/i);
    } finally {
      thaw();
      shell.type("\x15"); // clears the line
    }
    expect(await completed("hypersdk cal")).toBe("<hypersdk><call>");
  });
});

test("bash: two tabs list what there is", async () => {
  const shell = onTerminal(["bash", "--norc", "--noprofile", "-i"], { env, cwd: folder });
  try {
    shell.type(`${SHELLS.bash?.setup}; echo re"ad"y\n`);
    await shell.shows("ready");
    shell.type("hypersdk call libvirt/network/create \t");
    await shell.shows("\x07");
    shell.type("\t");
    await shell.shows(
      /name=\s+bridge=\s+forward=\s+subnet=\s+ip_start=\s+ip_end=\s+start=\s+autostart=/,
    );
  } finally {
    await shell.close();
  }
});

/** Nothing new on the screen for a while. */
async function settled({ screen }: Terminal) {
  for (let before = ""; screen() !== before || processes("bun").length > 1; ) {
    before = screen();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
