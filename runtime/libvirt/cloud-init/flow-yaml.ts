/** YAML that every version of PyYAML reads as it was meant: JSON, where quoting is no danger, in ASCII alone. */
import type * as z from "zod";

export type Json = z.core.util.JSONType;

/** YAML 1.1 takes some characters that JSON leaves as they are for line breaks, and half a pair of `\u` for nothing. */
export function flowYaml(value: Json | object): string {
  const escaped = (char: string) => {
    const code = char.codePointAt(0) ?? 0;
    const digits = code > 0xffff ? 8 : 4;
    return `${digits === 8 ? "\\U" : "\\u"}${code.toString(16).padStart(digits, "0")}`;
  };
  return `${JSON.stringify(value, null, 2).replace(/[^\n\x20-\x7e]/gu, escaped)}\n`;
}
