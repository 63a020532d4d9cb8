const { readFileSync } = require('node:fs');
const { ApiObject, App, Chart } = require('cdk8s');

// The same Kubernetes objects by cdk8s: BENCH_OBJECTS names a file with a list of them, BENCH_OUT a folder for what it writes.

const app = new App({ outdir: process.env.BENCH_OUT });
const chart = new Chart(app, 'switchyard');
JSON.parse(readFileSync(process.env.BENCH_OBJECTS, 'utf8')).forEach((object, index) => {
  new ApiObject(chart, `object-${index}`, object);
});
app.synth();
