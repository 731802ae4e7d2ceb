/** RFC 3339, UTC. */
export const timestamp = () => new Date().toISOString();
