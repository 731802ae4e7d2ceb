/** A serial console at the terminal of this process. */
import { HyperError } from "../../core/errors.ts";
import { CLOSED, type SocketEnd } from "../../core/socket.ts";

/** Ctrl-], as in virsh. */
const ESCAPE = 0x1d;

/** Those of the texts about the connection that a person is told of. */
const NOTES: Record<string, string> = {
  taken: "somebody else types now; this terminal watches",
  free: "nobody types any more; connect again to type",
};

interface Options {
  name: string;
  types: boolean;
}

/** Resolves when the console has ended, or Ctrl-] was typed; throws why it was cut off. */
export async function atTerminal(end: SocketEnd, { name, types }: Options) {
  const { stdin, stdout } = process;
  const note = (text: string) => stdout.write(`\r\n[hypersdk: ${text}]\r\n`);
  stdout.write(`[hypersdk: ${name}; Ctrl-] ends]\r\n`);
  const { promise, resolve } = Promise.withResolvers<{ code: number; reason: string }>();
  const onData = (data: Buffer) => {
    const at = data.indexOf(ESCAPE);
    const typed = at < 0 ? data : data.subarray(0, at);
    if (types && typed.length > 0) end.message(typed);
    if (at >= 0) resolve({ code: CLOSED.done, reason: "" });
  };
  const onResize = () =>
    end.message(JSON.stringify({ type: "resize", columns: stdout.columns, rows: stdout.rows }));
  stdin.setRawMode(true);
  stdin.on("data", onData);
  stdout.on("resize", onResize);
  try {
    end.open({
      send(data) {
        if (typeof data === "string") {
          const text = NOTES[JSON.parse(data).type];
          if (types && text) note(text);
        } else if (!stdout.write(data)) {
          if (stdout.listenerCount("drain") === 0) stdout.once("drain", () => end.drain());
          return false;
        }
        return true;
      },
      close: (code, reason) => resolve({ code, reason }),
    });
    onResize();
    const { code, reason } = await promise;
    if (reason) note(reason);
    if (code !== CLOSED.done)
      throw new HyperError("unreachable", reason || "the console was cut off");
  } finally {
    stdin.setRawMode(false);
    stdin.off("data", onData).pause();
    stdout.off("resize", onResize);
    end.close();
    const { closeHypervisors } = await import("../../hypervisor/registry.ts");
    await closeHypervisors();
  }
}
