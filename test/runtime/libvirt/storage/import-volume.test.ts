/** A volume of an image that lies in a folder of ours: what is kept byte for byte, and what must be converted. */
import { expect, test } from "vitest";
import content from "../../../../functions/libvirt/volume/content.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { log } from "../../../../runtime/core/log.ts";
import { unwatched } from "../../../../runtime/core/progress.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { adoptImage } from "../../../../runtime/libvirt/storage/import-volume.ts";
import { answering } from "../../../fixtures/fake.ts";
import { withoutIsolation } from "../../../fixtures/isolated.ts";

const MIB = 2 ** 20;

/** Makes a volume of the image in a pool of devices. */
async function onDevice(format: "raw" | "qcow2", capacity?: number) {
  let size: string | undefined;
  const fake = answering((verb, ...words) => {
    if (verb === "vol-create") size = words.join().match(/<capacity unit="bytes">(\d+)/)?.[1];
    if (verb === "vol-resize") return new HyperError("unsupported", "a device cannot grow");
    return verb === "vol-dumpxml"
      ? `<volume type="block"><name>v</name><capacity>${size}</capacity><target><path>/dev/vg/v</path></target></volume>`
      : "";
  });
  const ran: string[][] = [];
  const exec = async (words: string[]) => {
    const argv = withoutIsolation(words);
    ran.push(argv);
    return { stdout: "", stderr: "", exitCode: 0 };
  };
  const { signal } = new AbortController();
  const ctx = { ...fake, exec, log, signal, host: "adopt", progress: unwatched };
  const image = {
    ...{ path: "/var/tmp/x/image", format, virtualSize: MIB, id: "1", label: "body: the image" },
    head: Buffer.alloc(512),
  };
  const track = <T>(_: unknown, make: () => Promise<T>) => make();
  const wanted = { pool: "vg", name: "v", format, capacity };
  const made = await adoptImage(ctx as unknown as Context, { track }, image, wanted, unwatched);
  const convert = ran.find((argv) => argv.includes("convert"))?.join(" ");
  return { convert, isUploaded: fake.verbs().includes("vol-upload"), ran, made };
}

test("on a device a qcow2 becomes the disk that it holds, since libvirt takes a device for raw", async () => {
  const { convert, isUploaded, ran } = await onDevice("qcow2");
  expect(convert).toMatch(/qemu-img convert .*-O raw .*"driver":"qcow2".* \/dev\/vg\/v$/);
  expect(isUploaded).toBe(false);
  expect(ran.at(-1)).toEqual(["rm", "-rf", "--", "/var/tmp/x"]);
});

test("a raw image is on a device as it is", async () => {
  const { convert, isUploaded } = await onDevice("raw");
  expect([convert, isUploaded]).toEqual([undefined, true]);
});

test.each(["raw", "qcow2"] as const)(
  "a larger device is made as large at once: %s",
  async (format) => {
    expect((await onDevice(format, 2 * MIB)).made.capacity_bytes).toBe(2 * MIB);
  },
);

test.each([
  ["block", null, "qcow2", "made from qcow2, converted to raw"],
  ["block", null, "raw", "made from raw"],
  ["file", "qcow2", "vmdk", "made from vmdk, converted to qcow2"],
  ["file", "raw", "raw", "made from raw"],
])("%s, %s, of %s: %s", (type, format, source_format, text) => {
  const { message } = content.spec;
  const made = { name: "v", pool: "p", type, format, source_format };
  const input = content.spec.input.parse({ pool: "p", volume: "v" });
  expect(typeof message === "function" && message(made as never, input)).toBe(
    `Volume v in pool p ${text}`,
  );
});
