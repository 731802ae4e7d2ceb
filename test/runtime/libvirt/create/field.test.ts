/** The fields that errors of domain/create begin with. */
import { expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { inField } from "../../../../runtime/libvirt/create/field.ts";

test.each([
  ["disks[0].image", "url: host x is not listed", "disks[0].image: host x is not listed"],
  [
    "disks[0].image",
    "sha256: that of the download is a",
    "disks[0].sha256: that of the download is a",
  ],
  [
    "disks[1].image",
    "sha512: that of the download is a",
    "disks[1].sha512: that of the download is a",
  ],
  ["disks[1].image", "capacity: 5 bytes are less", "disks[1].size: 5 bytes are less"],
  ["cdrom.volume", "not found", "cdrom.volume: not found"],
])("%s: %s", async (field, message, expected) => {
  const failing = async () => {
    throw new HyperError("invalid_input", message);
  };
  await expect(inField(field, failing)).rejects.toMatchObject({
    ...{ code: "invalid_input", message: expected },
  });
});

test("an error of the call is about no field", async () => {
  const failing = async () => {
    throw new HyperError("unreachable", "gone");
  };
  await expect(inField("disks[0].image", failing)).rejects.toMatchObject({ message: "gone" });
});
