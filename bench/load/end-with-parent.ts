// Loaded into a gateway that a bench starts (--import): ends it when the bench is gone, be it by kill -9. Nothing is ever
// written to its standard input; the kernel closes it with the process at the other end.
process.stdin.on('error', () => process.kill(process.pid, 'SIGTERM'));
process.stdin.once('end', () => process.kill(process.pid, 'SIGTERM'));
process.stdin.resume();
process.stdin.unref();
