/** A console that this process opens itself. */

import { connect } from "../../client/connect.ts";
import { connectDisplay } from "../../console/display.ts";
import { connectSerial } from "../../console/serial.ts";
import type { SocketEnd } from "../../core/socket.ts";
import { createContext } from "../../hypervisor/context.ts";

interface Display {
  name: string;
  screen: number;
  view: boolean;
}

interface Serial {
  name: string;
  device: string | undefined;
  view: boolean;
  force: boolean;
}

export async function fromHere(
  host: string | undefined,
  wanted: Display | Serial,
): Promise<SocketEnd> {
  const target = connect(host?.includes("://") ? { uri: host } : { host });
  const abort = new AbortController();
  const ctx = createContext({ host: target.host, signal: abort.signal });
  const end = await ("screen" in wanted ? connectDisplay(ctx, wanted) : connectSerial(ctx, wanted));
  return {
    ...end,
    close() {
      end.close();
      abort.abort();
    },
  };
}
