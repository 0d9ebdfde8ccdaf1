// Loaded into every process of the system under test, before its own code: sends some of its addresses through our proxies.
// CHAOS_ADDRESSES = {"<variable>": "host:port"}; the variable keeps its user, password and path.
import path from 'node:path';

const addresses = JSON.parse(process.env.CHAOS_ADDRESSES ?? '{}');
const script = process.argv[1]?.split(path.sep).join('/') ?? '';
if (/\/services\/\w+\/src\/main\.ts$/.test(script)) {
  for (const [name, host] of Object.entries(addresses)) {
    if (!process.env[name]) continue;
    const url = new URL(process.env[name]);
    url.host = host;
    process.env[name] = url.href;
  }
}
