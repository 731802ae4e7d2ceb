/** What `qemu-img -p` prints: "    (12.34/100%)", each in the place of the one before. */

const PERCENT = /\((\d+\.\d+)\/100%\)/g;
/** Enough for the begin of one that comes in two pieces. */
const LONGEST = 24;

/** Reads the output piece by piece, and tells the last percent of each piece. */
export function percentReader(onPercent: (percent: number) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    rest += text;
    const last = [...rest.matchAll(PERCENT)].at(-1);
    if (last) onPercent(Number(last[1]));
    rest = rest.slice(last ? last.index + last[0].length : 0).slice(-LONGEST);
  };
}
