export interface RunResults {
  readonly testResults: readonly {
    readonly testFilePath: string;
    readonly testResults: readonly unknown[];
  }[];
  readonly wasInterrupted: boolean;
}

export default class StatementReporter {
  constructor(globalConfig: { readonly rootDir: string; readonly testNamePattern?: string });
  onRunComplete(contexts: unknown, results: RunResults): void;
  getLastError(): Error | undefined;
}

export function unshown(tests: readonly { readonly fullName: string; readonly status: string }[]): string[];
