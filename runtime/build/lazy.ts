/**
 * A bundle loads each of Node's modules with its first use, because they cost more of a start than our own code:
 * `node:stream` 6 ms, `node:child_process` 3, `process.stderr` 10, where Bun itself starts in 5. (A bundler plugin
 * cannot do it: Bun does not pass its built-in modules to plugins.)
 */

/** A `require` that loads a module when a property of it is first used. */
export function lazily(load: (name: string) => object) {
  return (name: string): object => {
    let loaded: object | undefined;
    const get = () => {
      loaded ??= load(name);
      return loaded as CallableFunction & NewableFunction;
    };
    // node:assert is a function and node:events a class; a bound function has no properties of its own
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

/** The statement that makes the `require` of a CommonJS module lazy. */
export const LAZY_REQUIRE = `require=(${lazily})(require);`;
