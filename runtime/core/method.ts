/** The HTTP methods of a function: GET reads the query string, POST and PUT a JSON body, or bytes beside a query. */
export const METHODS = ["GET", "POST", "PUT"] as const;
export type Method = (typeof METHODS)[number];

/** One method, or two of one path. */
export type Methods = Method | readonly [Method, Method];

export const methodsOf = ({ method }: { method: Methods }): Method[] => [method].flat() as Method[];

/** For people: `GET`, or `GET, POST`. */
export const methodText = (spec: { method: Methods }) => methodsOf(spec).join(", ");

/** The mark of a field that one of two methods has alone: `.meta(onlyOf("PUT"))`. */
export const onlyOf = (method: Method) => ({ "x-method": method });

/** Whether a field of a JSON Schema is one of this method's. */
export const isOf = (field: unknown, method: Method) => {
  const only = (field as { "x-method"?: Method } | undefined)?.["x-method"];
  return only === undefined || only === method;
};
