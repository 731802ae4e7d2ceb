/** Comes before any schema is made: zod compiles each at its first use, which costs more than a few uses gain. */
import * as z from "zod";

z.config({ jitless: true });
