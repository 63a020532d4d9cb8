// Loaded into a process that is measured: leaves its memory at the peak (KiB) in BENCH_USAGE.
process.on('exit', () => {
  const usage = JSON.stringify({ kibibytes: process.resourceUsage().maxRSS });
  require('node:fs').writeFileSync(process.env.BENCH_USAGE, usage);
});
