/** The processes that hear of events on a hypervisor: one virsh for each class, since each of them blocks. */
import type { Kind } from "../../events/fleet-event.ts";

/** What is listened to together, in one stream of output. */
export type Group = "domains" | "storage and networks" | "secrets and devices";

interface Listening {
  kinds: Kind[];
  /** virsh's commands. `event` hears of all events at once; of the others, one process hears of one event. */
  commands: string[];
}

export const GROUPS: Record<Group, Listening> = {
  domains: { kinds: ["domain", "hypervisor"], commands: ["event"] },
  "storage and networks": { kinds: ["network", "pool"], commands: ["net-event", "pool-event"] },
  "secrets and devices": {
    kinds: ["secret", "device"],
    commands: ["secret-event", "nodedev-event"],
  },
};

/** Written once all of them hear. virsh itself does not tell. */
export const READY = "hypersdk listens";

/**
 * virsh hears once it waits for its own pipe, which the kernel tells (`wchan`); where the kernel does not tell at all, two
 * seconds must do. One that has ended is a zombie, or nothing any more: dash reaps it while it waits for `sleep`. The end
 * of one of them, or of our input, is the end of all. Events' names are virsh's own, so that those of later versions are
 * heard, too.
 */
const SCRIPT = `
options=$1; shift
hear() {
  virsh -q $options "$@" --loop --timestamp </dev/null & v=$!
  n=0
  while :; do
    w= s=
    { read -r w <"/proc/$v/wchan"; read -r _ _ s _ <"/proc/$v/stat"; } 2>/dev/null
    case $s$w in "" | Z* | *pipe*) break ;; S | S0) [ $n -lt 100 ] || break ;; esac
    n=$((n + 1)); sleep 0.02
  done
  case $s in "" | Z) ;; *) echo "${READY}" ;; esac
  wait $v
  kill 0
}
n=0
for c; do
  if [ "$c" = event ]; then hear event --all & n=$((n + 1)); continue; fi
  for e in $(virsh -q "$c" --list); do hear "$c" --event "$e" & n=$((n + 1)); done
done
echo "${READY}: $n"
while read -r _; do :; done
kill 0
`;

export const listeningArgv = (group: Group, options: string[]) => [
  "sh",
  "-c",
  SCRIPT,
  "sh",
  options.join(" "),
  ...GROUPS[group].commands,
];
