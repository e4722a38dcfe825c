/*
 * Compiles projects by the API of a compiler before TypeScript 7: node compile.cjs <compiler> <directory> …
 * Prints the errors in the files of each project and of the packages that it uses. The files of the compiler and of
 * @types/node are parsed once for all projects, and not checked.
 */

const path = require('node:path');

const [, , compiler, ...directories] = process.argv;
const ts = require(compiler);
const isForeign = (file) => /[\\/](?:@types[\\/]node|undici-types|typescript[^\\/]*[\\/]lib)[\\/]/.test(file);
const foreign = new Map();

function compile(directory) {
  const { config } = ts.readConfigFile(path.join(directory, 'tsconfig.json'), ts.sys.readFile);
  const { fileNames, options, errors } = ts.parseJsonConfigFileContent(config, ts.sys, directory);
  const host = ts.createCompilerHost(options);
  const { readFile } = host;
  // Without comments of JSDoc they are parsed sooner. Comments do not change the types of TypeScript files.
  host.readFile = (file) => {
    const text = readFile.call(host, file);
    return isForeign(file) ? text?.replaceAll('/**', '/* ') : text;
  };
  const { getSourceFile } = host;
  host.getSourceFile = (file, ...rest) => {
    if (!isForeign(file)) return getSourceFile(file, ...rest);
    if (!foreign.has(file)) foreign.set(file, getSourceFile(file, ...rest));
    return foreign.get(file);
  };
  const program = ts.createProgram(fileNames, options, host);
  const ours = program.getSourceFiles().filter((file) => !isForeign(file.fileName));
  if (!ours.some((file) => file.fileName.includes('/mqtt-await/')))
    throw new Error('it does not use the package');
  return [
    ...errors,
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...ours.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
      ...(file.isDeclarationFile ? [] : program.getDeclarationDiagnostics(file)),
    ]),
  ];
}

const wrong = directories.map((directory) =>
  ts.formatDiagnostics(compile(directory), {
    getCanonicalFileName: (file) => file,
    getCurrentDirectory: () => directory,
    getNewLine: () => '\n',
  }),
);
process.stdout.write(JSON.stringify(wrong));
