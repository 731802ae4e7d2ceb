/** Must be imported before any schema is made: compiling schemas costs more than the few uses of a short run gain. */
import * as z from "zod";

z.config({ jitless: true });
