import { expect, test } from "vitest";
import { eventLines } from "../../../../runtime/hypervisor/events/lines.ts";
import { parse } from "../../../../runtime/hypervisor/events/parse.ts";
import { READY } from "../../../../runtime/hypervisor/events/script.ts";

/** As virsh words them: what follows the name, and what it means. */
const DOMAIN: Record<string, [rest: string, fields: object][]> = {
  lifecycle: [
    [": Started Booted", { action: "started", reason: "booted" }],
    [": Stopped Crashed", { action: "stopped", reason: "crashed" }],
    [": Suspended I/O Error", { action: "suspended", reason: "i/o error" }],
    [
      ": Shutdown Finished after guest request",
      { action: "shutdown", reason: "finished after guest request" },
    ],
  ],
  reboot: [["", {}]],
  "rtc-change": [[": -3600", { offset_seconds: -3600 }]],
  watchdog: [[": inject-nmi", { action: "inject-nmi" }]],
  "io-error": [
    [
      ": /a b (c).img (virtio-disk0) pause",
      { path: "/a b (c).img", device: "virtio-disk0", action: "pause" },
    ],
    // libvirt 11 and 12 name io-error-reason so
    [": /d.img (vda) report due to enospc", { path: "/d.img", action: "report", reason: "enospc" }],
  ],
  graphics: [
    [
      ": connect local[IPv4 127.0.0.1 5900] remote[IPv6 ::1 41234] vnc\n\tx509dname=CN=me",
      {
        action: "connect",
        local: { family: "IPv4", node: "127.0.0.1", service: "5900" },
        remote: { family: "IPv6", node: "::1", service: "41234" },
        auth: "vnc",
        parameters: { x509dname: "CN=me" },
      },
    ],
    [
      ": disconnect local[unix /run/x y.sock ] remote[unix  ] ",
      { action: "disconnect", local: { family: "unix", node: "/run/x y.sock", service: "" } },
    ],
  ],
  "io-error-reason": [
    [
      ": /d.img (ua-x) none due to ",
      { path: "/d.img", device: "ua-x", action: "none", reason: "" },
    ],
  ],
  "control-error": [["", {}]],
  "block-job": [
    [
      ": Active Block Commit for /d.img ready",
      { job: "Active Block Commit", path: "/d.img", action: "ready" },
    ],
  ],
  "disk-change": [
    [
      " disk ide0-0-0: /a -> b.iso -> <null>: dropped",
      { device: "ide0-0-0", old_path: "/a -> b.iso", action: "dropped" },
    ],
  ],
  "tray-change": [[" disk sata0-0-1: opened", { device: "sata0-0-1", action: "opened" }]],
  "pm-wakeup": [["", {}]],
  "pm-suspend": [["", {}]],
  "balloon-change": [[": 1048576KiB", { memory_kib: 1048576 }]],
  "pm-suspend-disk": [["", {}]],
  "device-removed": [[": net0", { device: "net0" }]],
  "block-job-2": [[": Block Copy for vda completed", { job: "Block Copy", path: "vda" }]],
  tunable: [
    [
      ":\n\tcputune.cpu_shares: 100\n\tblkdeviotune.disk: vda",
      { parameters: { "cputune.cpu_shares": "100", "blkdeviotune.disk": "vda" } },
    ],
  ],
  "agent-lifecycle": [
    [
      ": state: 'connected' reason: 'channel event'",
      { action: "connected", reason: "channel event" },
    ],
  ],
  "device-added": [[": ua-disk", { device: "ua-disk" }]],
  "migration-iteration": [[": iteration: '3'", { iteration: 3 }]],
  "job-completed": [[":\n\ttime_elapsed: 12\n\tsuccess: yes", { parameters: { success: "yes" } }]],
  "device-removal-failed": [[": net0", { device: "net0" }]],
  "metadata-change": [
    [": type element, uri http://x/'y': z", { field: "element", uri: "http://x/'y': z" }],
    [": type title, uri <null>", { field: "title" }],
  ],
  "block-threshold": [
    [
      ": dev: vda(/d (1).img) 100 5",
      { device: "vda", path: "/d (1).img", threshold_bytes: 100, excess_bytes: 5 },
    ],
  ],
  "memory-failure": [
    [
      ":\nrecipient: guest\naction: inject\nflags:\n\taction required: 1\n\trecursive: 0",
      { recipient: "guest", action: "inject", parameters: { "action required": "1" } },
    ],
  ],
  "memory-device-size-change": [
    [":\nalias: virtiomem0\nsize: 131072", { device: "virtiomem0", size_kib: 131072 }],
  ],
  "nic-mac-change": [
    [
      ":\nalias: net0\noldMAC: 52:54:00:00:00:01\nnewMAC: 52:54:00:00:00:02",
      { device: "net0", old_mac: "52:54:00:00:00:01", new_mac: "52:54:00:00:00:02" },
    ],
  ],
  "vcpu-removed": [[": vcpu 3", { vcpu: 3 }]],
  "channel-lifecycle": [
    [
      ": channel name: 'org.qemu.guest_agent.0' state: 'connected' reason: 'channel event'",
      { channel: "org.qemu.guest_agent.0", action: "connected", reason: "channel event" },
    ],
  ],
  "new-in-libvirt-99": [
    [": state 'x' of y", { detail: "state 'x' of y" }],
    [":\n\tone: 1", { parameters: { one: "1" } }],
  ],
};

const NAMES = [
  "web-1",
  "a b",
  "it's",
  "'",
  "''",
  "x': Started Booted",
  "x' disk sda: opened",
  "x': state: 'connected' reason: 'channel event'",
  "event 'lifecycle' for domain 'y': Stopped Destroyed",
  "2026-11-30 00:00:00.000+0000: event 'reboot' for domain 'z'",
  "ünïcödé 机器 🐧",
  "tab\tand\rreturn\u2028\u0085",
  "x': 5",
  "x':",
];

test.each(Object.entries(DOMAIN))("%s of a domain, whatever its name", (event, cases) => {
  for (const [rest, fields] of cases) {
    for (const object of NAMES) {
      const readings = parse("kvm1", `event '${event}' for domain '${object}'${rest}`);
      const reading = readings.find((one) => one.object === object);
      expect(reading).toMatchObject({ kind: "domain", host: "kvm1", event, object, ...fields });
      // whoever is asked for the names that there are finds the right one; most need not ask
      const free = /^(io-|block-|disk-|metadata|channel|new)/.test(event);
      if (!free) expect(readings).toHaveLength(1);
    }
  }
});

test("networks, pools, secrets and devices, whose names stand without quotes", () => {
  const read = (text: string) => parse("kvm1", text);
  expect(read("event 'lifecycle' for network a: b: Started")).toMatchObject([
    { kind: "network", object: "a: b", event: "lifecycle", action: "started", detail: "Started" },
  ]);
  expect(read("event 'metadata-change' for network n: type title, uri <null>")).toMatchObject([
    { kind: "network", object: "n", event: "metadata-change", field: "title" },
  ]);
  expect(read("event 'refresh' for storage pool my pool: Started")).toMatchObject([
    { kind: "pool", object: "my pool: Started", event: "refresh", detail: null },
  ]);
  expect(read("event 'lifecycle' for storage pool my pool: Created")).toMatchObject([
    { kind: "pool", object: "my pool", action: "created" },
  ]);
  const uuid = "0a0b0c0d-0000-4000-8000-000000000000";
  expect(read(`event 'value-changed' for secret ${uuid}`)).toMatchObject([
    { kind: "secret", object: uuid, event: "value-changed" },
  ]);
  expect(read("event 'lifecycle' for node device net_eth0: Created")).toMatchObject([
    { kind: "device", object: "net_eth0", action: "created" },
  ]);
  expect(read("events received: 3")).toEqual([]);
});

test("lines become events however virsh's output is cut into pieces", async () => {
  const output = Object.entries(DOMAIN)
    .flatMap(([event, cases]) =>
      cases.map(
        ([rest]) => `2026-11-23 09:47:00.311+0000: event '${event}' for domain 'a: b'${rest}\n`,
      ),
    )
    .join("");
  const expected = output
    .trimEnd()
    .split(/\n?2026-11-23 09:47:00.311\+0000: /)
    .slice(1);
  for (const size of [1, 7, 64, 100_000]) {
    const events: string[] = [];
    const strange: string[] = [];
    const lines = eventLines(
      (time, text) => events.push(`${time} ${text}`),
      (line) => strange.push(line),
    );
    lines.write("a line of ours\n");
    for (let at = 0; at < output.length; at += size) lines.write(output.slice(at, at + size));
    lines.write("event loop interrupted\n");
    lines.end();
    expect(events).toEqual(expected.map((text) => `2026-11-23T09:47:00.311Z ${text}`));
    expect(strange).toEqual(["a line of ours", "event loop interrupted"]);
  }
});

test("the line that tells that virsh listens belongs to no event", () => {
  const [events, lines]: string[][] = [[], []];
  const reader = eventLines(
    (_, text) => void events?.push(text),
    (line) => void lines?.push(line),
  );
  reader.write("2026-11-30 10:00:00.000+0000: event 'tunable' for domain 'a':\n\tcpu: 1\n");
  reader.write(`${READY}\n`);
  reader.end();
  expect(events).toHaveLength(1);
  expect(lines).toEqual([READY]);
});

test("an event whose further lines may come is told soon without them", async () => {
  const heard = Promise.withResolvers<string>();
  const lines = eventLines(
    (_, text) => heard.resolve(text),
    () => {},
  );
  lines.write("2026-11-23 09:47:00.311+0000: event 'tunable' for domain 'a':\n");
  expect(await heard.promise).toBe("event 'tunable' for domain 'a':");
});
