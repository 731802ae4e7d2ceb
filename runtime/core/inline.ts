/** Scripts and styles that stand in a page, which its policy (CSP) names by their hashes. */
import { createHash } from "node:crypto";

/** For `script-src` or `style-src`: only this very text counts. */
export const sourceHash = (text: string) =>
  `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** As the HTML standard has it: in a string or an expression, these would end or upset the script element. */
export const inlineScript = (script: string) => script.replace(/<(?=!--|\/?script)/gi, "\\x3C");
