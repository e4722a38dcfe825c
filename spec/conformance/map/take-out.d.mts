export function switchable(file: string, code: string): string;
export function missingPlaces(files: readonly { readonly file: string; readonly code: string }[]): string[];
