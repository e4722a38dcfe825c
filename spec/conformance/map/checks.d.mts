/** A place in lib, and what takes its place: either a statement or an expression. */
export interface Place {
  /** A file of lib without its ending, or a folder. */
  readonly path: string;
  readonly statement?: string;
  readonly expression?: string;
  readonly code: string;
}

/** Places that are taken out together. */
export type Check = readonly Place[];

export const CHECKS: ReadonlyMap<string, readonly Check[]>;
export function nameOf(check: Check): string;
