/** Jest reporter: one line for each spec file, as soon as it is done. */
export default class Progress {
  onTestResult(
    { path },
    { numFailingTests, numPassingTests, perfStats },
    { numTotalTestSuites, numPassedTestSuites, numFailedTestSuites },
  ) {
    const done = numPassedTestSuites + numFailedTestSuites;
    const file = path.replace(/^.*[\\/]spec[\\/]/, '');
    const seconds = ((perfStats.end - perfStats.start) / 1_000).toFixed(1);
    console.log(
      `${done}/${numTotalTestSuites} ${file}: ${numPassingTests + numFailingTests} tests, ${numFailingTests} noticed (${seconds} s)`,
    );
  }
}
