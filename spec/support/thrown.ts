/** What a function of an application may throw, however little of it can be said in text. */
export const THROWN: Readonly<Record<string, () => unknown>> = {
  nothing: () => undefined,
  null: () => null,
  'a Symbol': () => Symbol('thrown'),
  'an object without a prototype': () => Object.create(null),
  'an object whose toString throws': () => ({ toString: fail }),
  'an error whose message throws': () => Object.defineProperty(new Error('x'), 'message', { get: fail }),
  'an error whose message is no text': () => Object.assign(new Error('x'), { message: Object.create(null) }),
  'a revoked Proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  'a Proxy that throws whatever it is asked': () =>
    new Proxy(new Error('x'), { get: fail, has: fail, getPrototypeOf: fail }),
};

function fail(): never {
  throw new Error('hostile');
}
