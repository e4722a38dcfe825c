/** Values that a function of an application may throw, including some that cannot be converted to text. */
export const THROWN: Readonly<Record<string, () => unknown>> = {
  nothing: () => undefined,
  null: () => null,
  'a Symbol': () => Symbol('thrown'),
  'an object without a prototype': () => Object.create(null),
  'an object whose toString throws': () => ({ toString: fail }),
  'an error whose message throws': () => Object.defineProperty(new Error('x'), 'message', { get: fail }),
  'an error with a non-text message': () => Object.assign(new Error('x'), { message: Object.create(null) }),
  'a revoked Proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  'a Proxy that throws on every access': () =>
    new Proxy(new Error('x'), { get: fail, has: fail, getPrototypeOf: fail }),
};

function fail(): never {
  throw new Error('hostile');
}
