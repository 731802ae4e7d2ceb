/** The systemd units in a booted Debian: on demand and always there, with what `hypersdk build` has made. */
import { execFile } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { hypersdk } from "../../cli.ts";
import { at, define, virsh, wipe } from "../../fixtures/live/machine.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { debianGuest, debianOs } from "../../lab/debian.ts";

const run = promisify(execFile);
const UNITS = join(import.meta.dirname, "../../../deploy/systemd");
const CONSOLE = "/run/units.log";

/** Runs in the guest; each answer is a line of the console. There is no curl, but perl. */
const CHECK = `#!/bin/sh
exec >/dev/ttyS0 2>&1
say() { echo "SAID $1: $(shift; "$@" | tail -n 1)"; }
ask() { perl -MIO::Socket::UNIX -MIO::Socket::INET -e '
  my $at = shift;
  my $to = $at =~ m{^/} ? IO::Socket::UNIX->new($at) : IO::Socket::INET->new($at);
  print $to "GET /health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n";
  print while <$to>;' "$1"; }
state() { systemctl show --property=$1 --value "$2"; }
mkdir -p /etc/hypersdk
: >/etc/hypersdk/hypersdk.toml
echo PORT=4001 >/etc/hypersdk/health.env
say users systemd-sysusers
say socket systemctl start hypersdk-ondemand@health.socket
say who-may stat -c '%U:%G %a' /run/hypersdk-ondemand/health.sock
say before state ActiveState hypersdk-ondemand-function@health.service
say first ask /run/hypersdk-ondemand/health.sock
say during state ActiveState hypersdk-ondemand-function@health.service
until [ "$(state ActiveState hypersdk-ondemand-function@health.service)" = inactive ]; do sleep 0.5; done
say after state Result hypersdk-ondemand@health.service
say ended state Result hypersdk-ondemand-function@health.service
say second ask /run/hypersdk-ondemand/health.sock
say always systemctl start hypersdk@health.service
until ask 127.0.0.1:4001 2>/dev/null | grep -q HTTP; do sleep 0.5; done
say served ask 127.0.0.1:4001
say user stat -c %U /proc/$(state MainPID hypersdk@health.service)
say stopped systemctl stop hypersdk@health.service
say result state Result hypersdk@health.service
echo CHECKED
systemctl poweroff --force --force
`;

/** Sooner than five minutes; and an emulated processor takes its time. */
const SOON = `[Service]
ExecStart=
ExecStart=/usr/lib/systemd/systemd-socket-proxyd --exit-idle-time=3s /run/hypersdk/%i/function.sock
`;
const PATIENT = "[Service]\nTimeoutStartSec=120\n";
const CHECK_UNIT = "[Service]\nType=oneshot\nExecStart=/check\nStandardOutput=null\n";

const folder = mkdtempSync(join(tmpdir(), "units-"));
beforeAll(async () => {
  await hypersdk(["build", "health", "--out", folder]);
  const raw = at("units.raw");
  await run("qemu-img", ["convert", "-O", "raw", debianGuest().disk, raw]);
  const bundle = ["health.js", "health.js.jsc"].map((name) => [
    join(folder, name),
    `/opt/hypersdk/functions/${name}`,
  ]);
  const units = readdirSync(UNITS).filter((name) => /@\.(service|socket)$/.test(name));
  await copyInto(raw, [
    [realpathSync(process.execPath), "/usr/local/bin/bun"],
    ...(bundle as [string, string][]),
    ...units.map((name): [string, string] => [join(UNITS, name), `/etc/systemd/system/${name}`]),
    [join(UNITS, "hypersdk.sysusers"), "/usr/lib/sysusers.d/hypersdk.conf"],
    [text(SOON), "/etc/systemd/system/hypersdk-ondemand@.service.d/soon.conf"],
    [text(PATIENT), "/etc/systemd/system/hypersdk-ondemand-function@.service.d/patient.conf"],
    [text(CHECK_UNIT), "/etc/systemd/system/check.service"],
    [text(CHECK), "/check"],
  ]);
  await define(
    `${xml`<domain type="qemu">
  <name>units</name><memory unit="MiB">768</memory><vcpu>1</vcpu><cpu mode="maximum"/>
  ${debianOs("systemd.unit=check.service")}
  <features><acpi/></features>
  <devices>
    <disk type="file" device="disk"><driver name="qemu" type="raw" cache="unsafe"/><source file="${raw}"/><target dev="vda" bus="virtio"/></disk>
    <serial type="file"><source path="${CONSOLE}"/></serial>
    <controller type="usb" model="none"/><memballoon model="none"/>
  </devices>
</domain>`}`,
  );
}, slow(120_000));
afterAll(async () => {
  await wipe();
  rmSync(folder, { recursive: true });
});

let texts = 0;
function text(content: string): string {
  const file = join(folder, `text-${texts++}`);
  writeFileSync(file, content);
  return file;
}

/** Executable all of them, which hurts nobody. */
async function copyInto(raw: string, files: [from: string, to: string][]) {
  const folders = new Set<string>();
  for (const [, to] of files) {
    const parts = to.split("/").slice(1, -1);
    for (const i of parts.keys()) folders.add(`/${parts.slice(0, i + 1).join("/")}`);
  }
  const commands = [
    ...[...folders].map((one) => `mkdir ${one}`), // one that is there stays
    ...files.flatMap(([from, to]) => [`write ${from} ${to}`, `sif ${to} mode 0100755`]),
  ];
  await run("debugfs", ["-w", "-f", text(`${commands.join("\n")}\n`), raw], { timeout: 60_000 });
}

test("start with a connection, end with silence, and serve as long as they are told to", {
  timeout: slow(420_000),
}, async () => {
  await virsh("start", "units");
  const isOff = async () => (await virsh("domstate", "units")).trim() === "shut off";
  const failed = await until("the guest is through", isOff, 400).catch((error) => error);
  const log = readFileSync(CONSOLE, "utf8").replaceAll("\r", "");
  expect(failed, log).toBeUndefined();
  expect(log).toContain("CHECKED");
  const said = Object.fromEntries(
    [...log.matchAll(/^SAID ([\w-]+): (.*)$/gm)].map(([, key, value]) => [key, value]),
  );
  const healthy = expect.stringContaining('"message":"The process is up"');
  expect(said).toEqual({
    users: expect.any(String),
    socket: "",
    "who-may": "root:libvirt 660",
    before: "inactive",
    first: healthy,
    during: "active",
    after: "success",
    ended: "success",
    second: healthy,
    always: "",
    served: healthy,
    user: "hypersdk",
    stopped: "",
    result: "success",
  });
});
