/**
 * Node's modules cost a start more than ours: `node:stream` 6 ms, `node:child_process` 3, `process.stderr` 10,
 * where all of Bun starts in 5. A bundle therefore loads each with its first use. (Plugins cannot do it: Bun
 * does not offer them its own modules.)
 */

/** A `require` whose modules are loaded when something is asked of them. */
export function lazily(load: (name: string) => object) {
  return (name: string): object => {
    let loaded: object | undefined;
    const get = () => {
      loaded ??= load(name);
      return loaded as CallableFunction & NewableFunction;
    };
    // some are functions, such as node:assert, or classes, such as node:events; a bound one has nothing of its own
    // biome-ignore lint/complexity/useArrowFunction: an arrow function is no class
    const stand = function () {}.bind(undefined);
    return new Proxy(stand, {
      get: (_, key) => Reflect.get(get(), key),
      set: (_, key, value) => Reflect.set(get(), key, value),
      has: (_, key) => Reflect.has(get(), key),
      apply: (_, self, args) => Reflect.apply(get(), self, args),
      construct: (_, args, target) => Reflect.construct(get(), args, target),
      ownKeys: () => Reflect.ownKeys(get()),
      getOwnPropertyDescriptor: (_, key) => {
        const found = Reflect.getOwnPropertyDescriptor(get(), key);
        return found && { ...found, configurable: true };
      },
    });
  };
}

/** The statement that makes a CommonJS module's `require` such a one. */
export const LAZY_REQUIRE = `require=(${lazily})(require);`;
