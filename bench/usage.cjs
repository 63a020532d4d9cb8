// Loaded into a process that is measured: leaves its memory at the peak (KiB) and its processor seconds in BENCH_USAGE.
process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const usage = JSON.stringify({ kibibytes: maxRSS, cpuSeconds: (userCPUTime + systemCPUTime) / 1e6 });
  require('node:fs').writeFileSync(process.env.BENCH_USAGE, usage);
});
