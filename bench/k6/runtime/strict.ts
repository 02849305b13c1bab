/** Refusals of the runtime: a name or an option that it does not know ends the run, so that a slip in a script cannot pass. */

/** The object, but reading or writing a name that it has not throws. */
export function strict<Target extends object>(what: string, target: Target): Target {
  const demand = (key: string | symbol): void => {
    if (typeof key === 'string' && !(key in target)) throw new Error(`${what} has no ${key} in this runtime`);
  };
  return new Proxy(target, {
    get(_, key) {
      demand(key);
      return Reflect.get(target, key);
    },
    set(_, key, value) {
      demand(key);
      return Reflect.set(target, key, value);
    },
  });
}

type Check = (value: unknown) => boolean;

export const isText: Check = (value) => typeof value === 'string' && value !== '';
export const isCount: Check = (value) => Number.isInteger(value) && Number(value) >= 1;
export const isFields: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
export const isTexts: Check = (value) => isFields(value) && Object.values(Object(value)).every(isText);
export const isDuration: Check = (value) => typeof value === 'string' && durationPattern.test(value);

const durationPattern = /^(\d+(\.\d+)?(ms|s|m|h))+$/;
const msOf: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration as k6 writes them: `10m`, `1h30m`, `500ms`. */
export function durationMs(text: string): number {
  let sum = 0;
  for (const [, number, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|s|m|h)/g)) sum += Number(number) * msOf[unit!]!;
  return sum;
}

/** Throws where `value` is no object, has a field without a check, or one that its check refuses. */
export function demandFields(what: string, value: unknown, checks: Readonly<Record<string, Check>>): void {
  if (!isFields(value)) throw new Error(`${what} is an object, not ${JSON.stringify(value)}`);
  for (const [name, field] of Object.entries(Object(value))) {
    const check = checks[name];
    if (check === undefined) throw new Error(`${what} has no ${name} in this runtime`);
    if (!check(field)) throw new Error(`${what} has a wrong ${name}: ${JSON.stringify(field)}`);
  }
}
