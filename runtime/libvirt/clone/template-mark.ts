/** The mark of a template, in the domain's metadata under this project's namespace. */
import * as z from "zod";
import { children, type Element, textOf, xml } from "../xml.ts";
import type { XmlDocument } from "../xml-document.ts";

const NAMESPACE = "urn:hypersdk:template:1";

export const TemplateMark = z.object({
  source: z.string().describe("the domain it was made from"),
  created: z.string(),
  sealed: z.boolean(),
  description: z.string(),
  metadata: z.record(z.string(), z.string()),
});

export type TemplateMark = z.output<typeof TemplateMark>;

export function addMark(
  doc: XmlDocument,
  { source, created, sealed, description, metadata }: TemplateMark,
) {
  const items = Object.entries(metadata).map(
    ([key, value]) => xml`<hypersdk:item key="${key}">${value}</hypersdk:item>`,
  );
  const mark = xml`<hypersdk:template xmlns:hypersdk="${NAMESPACE}" source="${source}" created="${created}" sealed="${sealed ? "yes" : "no"}"><hypersdk:description>${description}</hypersdk:description>${items}</hypersdk:template>`;
  const [metadataSpan] = doc.find("metadata");
  const [name] = doc.find("name");
  if (metadataSpan) doc.prepend(metadataSpan, `${mark}`);
  else if (name) doc.after(name, `<metadata>\n${mark}\n</metadata>`);
}

export function readMark(domain: Element): TemplateMark | undefined {
  const [mark] = children(domain, "metadata", "hypersdk:template");
  if (!mark) return undefined;
  const items = children(mark, "hypersdk:item").map((item) => [
    `${item["@key"]}`,
    `${item["#text"] ?? ""}`,
  ]);
  return {
    source: `${mark["@source"]}`,
    created: `${mark["@created"]}`,
    sealed: mark["@sealed"] === "yes",
    description: textOf(mark, "hypersdk:description") ?? "",
    metadata: Object.fromEntries(items),
  };
}
