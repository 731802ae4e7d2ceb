/** What several `virsh event --loop --timestamp` write becomes events: one text each, with the time that virsh gives. */
import { isWhole } from "./parse.ts";
import { READY } from "./script.ts";

/** An event may have further lines, which virsh writes right after the first. */
const REST_MS = 50;

const HEAD = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3})\+0000: (event '.*)$/s;

export interface Lines {
  write(text: string): void;
  /** Nothing more comes. */
  end(): void;
}

/** `line`: told of whole lines that begin no event and belong to none. */
export function eventLines(
  event: (time: string, text: string) => void,
  line: (text: string) => void,
): Lines {
  let rest = "";
  let open: { time: string; text: string } | undefined;
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    clearTimeout(timer);
    const done = open;
    open = undefined;
    if (done) event(done.time, done.text);
  };
  const take = (text: string) => {
    const [, day, clock, said] = HEAD.exec(text) ?? [];
    if (said === undefined) {
      const ours = text.startsWith(READY) || /^events? /.test(text);
      if (open && text.length > 0 && !ours) open.text += `\n${text}`;
      else if (text.length > 0) line(text);
      return;
    }
    flush();
    open = { time: `${day}T${clock}Z`, text: said };
    if (isWhole(said)) flush();
  };
  return {
    write(text) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const one of lines) take(one);
      clearTimeout(timer);
      if (open) timer = setTimeout(flush, REST_MS);
    },
    end: flush,
  };
}
