declare const withoutParts: {
  (files: readonly string[]): Promise<{ readonly filtered: string[] }>;
  partsOf(files: readonly string[]): Set<string>;
};
export = withoutParts;
