/** ssh2, which takes the Diffie-Hellman of node:crypto when it is loaded: here that is one which blocks nobody. */
import crypto from "node:crypto";
import { createDiffieHellman, createDiffieHellmanGroup } from "./finite-field.ts";

Object.assign(crypto, { createDiffieHellman, createDiffieHellmanGroup });

const ssh2: typeof import("ssh2") = require("ssh2");
export default ssh2;
