/** The ways to log in: key files, passphrases from the environment, and a real ssh-agent. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2, { type AnyAuthMethod } from "ssh2";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { HyperError } from "../../../../runtime/core/errors.ts";
import { authMethods } from "../../../../runtime/hypervisor/ssh/keys.ts";
import type { SshTarget } from "../../../../runtime/hypervisor/ssh/target.ts";
import { until } from "../../../fixtures/fake.ts";

const folder = mkdtempSync(join(tmpdir(), "hypersdk-keys-"));
const SECRET = "open sesame ü'\"$";
const path = (name: string) => join(folder, name);
const make = (name: string, passphrase: string, ...args: string[]) =>
  execFileSync("ssh-keygen", [
    "-q",
    "-a",
    "1",
    "-N",
    passphrase,
    "-C",
    "",
    "-f",
    path(name),
    ...args,
  ]);

beforeAll(() => {
  make("plain", "", "-t", "ed25519");
  make("encrypted", SECRET, "-t", "ed25519");
  make("ecdsa", SECRET, "-t", "ecdsa");
  make("rsa", SECRET, "-t", "rsa", "-b", "2048");
  make("gcm", SECRET, "-t", "ed25519", "-Z", "aes256-gcm@openssh.com");
  make("slow", SECRET, "-t", "ed25519", "-a", "40");
  make("pem", SECRET, "-t", "rsa", "-b", "2048", "-m", "PEM");
  writeFileSync(path("text"), "this is no key\n");
  writeFileSync(path("empty"), "");
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(() => rmSync(folder, { recursive: true }));

const target = (names: string[], given: Partial<SshTarget> = {}, required = false): SshTarget => ({
  host: "kvm1",
  port: 22,
  user: "root",
  keys: names.map((name) => ({ path: path(name), required })),
  certificates: [],
  agent: undefined,
  identitiesOnly: false,
  knownHosts: [],
  hostKeyAlias: undefined,
  jump: undefined,
  notRead: undefined,
  ...given,
});

const refused = async (names: string[], alias = "kvm1"): Promise<HyperError> => {
  try {
    await authMethods(target(names, {}, true), alias);
  } catch (error) {
    return error as HyperError;
  }
  throw new Error(`${names} was not refused`);
};

/** The private key that a method logs in with can sign. */
function opens(method: AnyAuthMethod | undefined) {
  if (method?.type !== "publickey") return false;
  const key = method.key as ssh2.ParsedKey;
  return key.isPrivateKey() && Buffer.isBuffer(key.sign("text"));
}

describe("key files", () => {
  test("in order, those that are there", async () => {
    const { methods, tried, unusable } = await authMethods(target(["absent", "plain"]), "kvm1");
    expect(methods).toMatchObject([{ type: "publickey", username: "root" }]);
    expect(opens(methods[0])).toBe(true);
    expect(tried).toEqual([path("plain")]);
    expect(unusable).toEqual([]);
  });

  test.each(["encrypted", "ecdsa", "rsa", "pem", "gcm"])(
    "%s, with its passphrase in the environment",
    async (name) => {
      vi.stubEnv("HYPERSDK_SSH_PASSPHRASE", SECRET);
      const { methods, unusable } = await authMethods(target([name], {}, true), "kvm1");
      expect(unusable).toEqual([]);
      expect(methods.map(opens)).toEqual([true]);
    },
  );

  test.each(["encrypted", "ecdsa", "rsa", "pem"])(
    "%s, without or with a wrong one",
    async (name) => {
      const without = await refused([name]);
      expect(without).toMatchObject({
        code: "unreachable",
        message: `hypervisor kvm1: ${path(name)} is encrypted; put its passphrase into the environment as HYPERSDK_SSH_PASSPHRASE_KVM1`,
      });
      vi.stubEnv("HYPERSDK_SSH_PASSPHRASE", "wrong secret");
      const wrong = await refused([name]);
      expect(wrong).toMatchObject({
        code: "unreachable",
        message: `hypervisor kvm1: the passphrase in the environment does not open ${path(name)}`,
      });
      expect(Bun.inspect(wrong)).not.toMatch(/wrong secret|PRIVATE KEY/);
    },
  );

  test("the process goes on while a key of many rounds is opened", async () => {
    vi.stubEnv("HYPERSDK_SSH_PASSPHRASE_TURNS", SECRET);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const { methods } = await authMethods(target(["slow"], {}, true), "turns").finally(() =>
      clearInterval(timer),
    );
    expect(methods.map(opens)).toEqual([true]);
    expect(turns).toBeGreaterThan(20);
  });

  test("an empty passphrase is none", async () => {
    vi.stubEnv("HYPERSDK_SSH_PASSPHRASE", "");
    expect((await refused(["encrypted"])).message).toMatch(/is encrypted; put its passphrase/);
  });

  test("a host's own passphrase wins over the one for all", async () => {
    vi.stubEnv("HYPERSDK_SSH_PASSPHRASE", "another");
    vi.stubEnv("HYPERSDK_SSH_PASSPHRASE_KVM_1_EXAMPLE", SECRET);
    const { methods } = await authMethods(target(["encrypted"], {}, true), "kvm-1.example");
    expect(methods.map(opens)).toEqual([true]);
    expect((await refused(["encrypted"], "kvm2")).message).toMatch(/does not open/);
  });

  test("a key, a passphrase that has changed", async () => {
    make("changing", SECRET, "-t", "ed25519");
    vi.stubEnv("HYPERSDK_SSH_PASSPHRASE", "wrong");
    expect((await refused(["changing"])).message).toMatch(/does not open/);
    vi.stubEnv("HYPERSDK_SSH_PASSPHRASE", SECRET);
    expect((await authMethods(target(["changing"]), "kvm1")).methods.map(opens)).toEqual([true]);
    writeFileSync(path("changing"), readFileSync(path("text")));
    expect((await refused(["changing"])).message).toMatch(/is not a private key/);
  });

  test("a passphrase hurts no key that has none", async () => {
    vi.stubEnv("HYPERSDK_SSH_PASSPHRASE", SECRET);
    expect((await authMethods(target(["plain"]), "kvm1")).methods.map(opens)).toEqual([true]);
  });

  test.each<[string, RegExp]>([
    ["absent", /^hypervisor kvm1: keyfile .*\/absent does not exist$/],
    ["text", /^hypervisor kvm1: .*\/text is not a private key that can be read \(/],
    ["empty", /^hypervisor kvm1: .*\/empty is not a private key that can be read \(/],
    ["plain.pub", /^hypervisor kvm1: .*\/plain.pub is a public key; /],
    [".", /^hypervisor kvm1: .* cannot be read$/],
  ])("%s, asked for", async (name, message) => {
    expect(await refused([name])).toMatchObject({ code: "unreachable" });
    expect((await refused([name])).message).toMatch(message);
  });

  test("of keys that nobody asked for, those that cannot be read are only told of", async () => {
    const { methods, tried, unusable } = await authMethods(
      target(["text", "encrypted", "plain"]),
      "kvm1",
    );
    expect(methods).toHaveLength(1);
    expect(tried).toEqual([path("plain")]);
    expect(unusable).toEqual([
      expect.stringMatching(/text is not a private key/),
      expect.stringMatching(/encrypted is encrypted; put its passphrase/),
    ]);
  });

  test("a key that its user may not read", async () => {
    make("locked", "", "-t", "ed25519");
    chmodSync(path("locked"), 0);
    const child = `import { authMethods } from "${import.meta.dirname}/../../../../runtime/hypervisor/ssh/keys.ts";
      if (process.getuid() === 0) process.setuid(65534);
      const keys = [{ path: "${path("locked")}", required: true }];
      try { await authMethods({ user: "root", keys }, "kvm1") } catch ({ message }) { console.log(message) }`;
    chmodSync(folder, 0o755);
    const said = execFileSync(process.execPath, ["-e", child], { encoding: "utf8" });
    expect(said.trim()).toBe(`hypervisor kvm1: ${path("locked")} cannot be read`);
  });
});

describe("ssh-agent", () => {
  let agent: { socket: string; pid: number };
  beforeAll(() => {
    const socket = path("agent");
    const said = execFileSync("ssh-agent", ["-a", socket], { encoding: "utf8" });
    agent = { socket, pid: Number(/SSH_AGENT_PID=(\d+)/.exec(said)?.[1]) };
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    execFileSync("ssh-add", ["-q", path("plain")], { env });
  });
  afterAll(async () => {
    process.kill(agent.pid);
    // it removes its socket, in the folder that goes next
    await until(() => !existsSync(agent.socket), "the agent has ended");
  });

  /** The key that a method of the agent offers, in base64, and whether the agent signs for it. */
  const offered = (method: AnyAuthMethod | undefined) =>
    new Promise<{ key: string; signs: boolean }>((resolve, reject) => {
      if (method?.type !== "agent") return reject(new Error("no method of an agent"));
      const agent = method.agent as ssh2.BaseAgent<ssh2.ParsedKey>;
      agent.getIdentities((error, keys = []) => {
        const [key] = keys as ssh2.ParsedKey[];
        if (error || !key || keys.length !== 1) return reject(error ?? new Error(`${keys}`));
        agent.sign(key, Buffer.from("text"), {}, (failure, signature) => {
          const signs = !failure && Buffer.isBuffer(signature);
          resolve({ key: key.getPublicSSH().toString("base64"), signs });
        });
      });
    });
  const publicKey = (name: string) => readFileSync(path(`${name}.pub`), "utf8").split(" ")[1];

  describe("signs for a key that is not in a file", () => {
    beforeAll(() => {
      // ssh-add takes a passphrase from a program alone
      const ask = path("askpass");
      writeFileSync(ask, `#!/bin/sh\ncat '${path("secret")}'\n`, { mode: 0o755 });
      writeFileSync(path("secret"), SECRET);
      const variables = { SSH_AUTH_SOCK: agent.socket, SSH_ASKPASS: ask };
      const env = { ...process.env, ...variables, SSH_ASKPASS_REQUIRE: "force", DISPLAY: ":0" };
      for (const name of ["encrypted", "rsa", "pem"]) {
        execFileSync("ssh-add", ["-q", path(name)], { env, stdio: "pipe" });
      }
      make("token", "", "-t", "ed25519");
      execFileSync("ssh-add", ["-q", path("token")], { env, stdio: "pipe" });
      unlinkSync(path("token"));
      // the public half is in the private file alone, or beside it alone
      writeFileSync(path("alone"), readFileSync(path("encrypted")));
      writeFileSync(path("broken"), "no key");
      writeFileSync(path("broken.pub"), readFileSync(path("token.pub")));
    });

    afterAll(() => {
      const env = { ...process.env, SSH_AUTH_SOCK: agent.socket };
      execFileSync("ssh-add", ["-q", "-D"], { env });
      execFileSync("ssh-add", ["-q", path("plain")], { env });
    });

    test.each([
      ["encrypted, OpenSSH", "encrypted", "encrypted"],
      ["encrypted, without a .pub", "alone", "encrypted"],
      ["encrypted, RSA", "rsa", "rsa"],
      ["encrypted, PEM", "pem", "pem"],
      ["a .pub", "token.pub", "token"],
      ["no file, with a .pub beside it", "token", "token"],
      ["no private key, with a .pub beside it", "broken", "token"],
    ])("%s", async (_what, name, key) => {
      for (const required of [true, false]) {
        const given = { agent: agent.socket, identitiesOnly: true };
        const { methods, tried, unusable } = await authMethods(
          target([name], given, required),
          "a",
        );
        expect(methods).toHaveLength(1);
        expect(await offered(methods[0])).toEqual({ key: publicKey(key), signs: true });
        expect(tried).toEqual([`${path(name)} in the ssh-agent`]);
        expect(unusable).toEqual([]);
      }
    });

    test("and offers its other keys after it, unless only the files' count", async () => {
      const { methods } = await authMethods(target(["token.pub"], { agent: agent.socket }), "a");
      expect(methods.map(({ type }) => type)).toEqual(["agent", "agent"]);
      expect(methods[1]).toMatchObject({ agent: agent.socket });
      const only = { agent: agent.socket, identitiesOnly: true };
      expect((await authMethods(target([], only), "a")).methods).toEqual([]);
    });

    test("a passphrase in the environment opens the file itself", async () => {
      vi.stubEnv("HYPERSDK_SSH_PASSPHRASE", SECRET);
      const { methods } = await authMethods(target(["encrypted"], { agent: agent.socket }), "a");
      expect(methods.map(({ type }) => type)).toEqual(["publickey", "agent"]);
    });
  });

  test("a required key that it does not hold", async () => {
    for (const [name, message] of [
      ["ecdsa", /ecdsa is encrypted; .*; the ssh-agent does not hold it$/],
      ["ecdsa.pub", /ecdsa.pub is a public key; .*; the ssh-agent does not hold it$/],
      ["absent", /keyfile .*absent does not exist; the ssh-agent does not hold it$/],
    ] as const) {
      const asked = authMethods(target([name], { agent: agent.socket }, true), "kvm1");
      await expect(asked).rejects.toThrow(message);
    }
  });

  test("an agent that is gone is told of once, beside the keys that it might hold", async () => {
    const given = { agent: path("no-socket"), identitiesOnly: true };
    const { methods, unusable } = await authMethods(target(["encrypted", "rsa.pub"], given), "a");
    expect(methods).toEqual([]);
    expect(unusable).toEqual([
      expect.stringMatching(/encrypted is encrypted/),
      expect.stringMatching(/rsa.pub is a public key/),
      "the ssh-agent fails (Failed to connect to agent)",
    ]);
  });

  test("comes after the files", async () => {
    const { methods, tried } = await authMethods(
      target(["plain"], { agent: agent.socket }),
      "kvm1",
    );
    expect(methods.map(({ type }) => type)).toEqual(["publickey", "agent"]);
    expect(tried).toEqual([path("plain"), "the ssh-agent"]);
  });

  test("is one that ssh2 can ask", async () => {
    const { methods } = await authMethods(target([], { agent: agent.socket }), "kvm1");
    const method = methods[0] as { agent: string };
    const keys = await new Promise<string[]>((resolve, reject) =>
      ssh2.createAgent(method.agent).getIdentities((error, found = []) => {
        if (error) return reject(error);
        const texts = found.map((key) => ssh2.utils.parseKey(key as never) as ssh2.ParsedKey);
        resolve(texts.map((key) => key.getPublicSSH().toString("base64")));
      }),
    );
    expect(keys).toEqual([readFileSync(path("plain.pub"), "utf8").split(" ")[1]]);
  });
});
