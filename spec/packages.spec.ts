import { describe, expect, it, jest } from '@jest/globals';
import { loadPackage } from '../lib/packages.ts';
import { errorOf } from './support/tunnel-rig.ts';

describe('loadPackage()', () => {
  it('returns what import() does', async () => {
    expect(await loadPackage('socks', 'SOCKS')).toBe(await import('socks'));
  });

  it('rejects with the package and how to install it if it is missing', async () => {
    const error = await errorOf(loadPackage('mqtt-await-is-not-installed', 'this spec'));
    expect(error.message).toBe(
      'this spec needs the package mqtt-await-is-not-installed, which is not installed: npm install mqtt-await-is-not-installed',
    );
    expect(error.cause).toMatchObject({ code: expect.stringContaining('MODULE_NOT_FOUND') });
  });

  it('rejects with the package and the reason if it cannot be loaded', async () => {
    jest.unstable_mockModule('socks', () => {
      throw new Error('it is broken');
    });
    jest.resetModules();
    try {
      const error = await errorOf(loadPackage('socks', 'this spec'));
      expect(error.message).toBe(
        'this spec needs the package socks, which could not be loaded: it is broken',
      );
    } finally {
      jest.unstable_unmockModule('socks');
      jest.resetModules();
    }
  });
});
