/** Reading what virsh prints for people. */
import { expect, test } from "vitest";
import { keyValues, lines } from "../../../runtime/libvirt/virsh-output.ts";

test("lines: empty ones are left out, spaces are kept", () => {
  expect(lines("")).toEqual([]);
  expect(lines("\n\n")).toEqual([]);
  expect(lines("default\n a  b \n\n")).toEqual(["default", " a  b "]);
});

test("keyValues: the first colon divides, the first of two keys counts, others are no pairs", () => {
  expect(
    keyValues(
      "Name:           a: b\nState:          shut off\nSecurity DOI:   \nName: second\nno pair\n: none\n",
    ),
  ).toEqual({ Name: "a: b", State: "shut off", "Security DOI": "" });
});

test("keyValues: a name is data, whatever it is", () => {
  expect(keyValues("Name:  Active: yes\nActive: no\n")).toEqual({
    Name: "Active: yes",
    Active: "no",
  });
});
