// One-shot: makes streams and consumers on the server that NATS_URL names (a user who may do that), then ends.
// With --config it prints the server's configuration instead, with passwords left to the environment.
import { connect } from '@nats-io/transport-node';
import { natsConfig, natsLogin, passwordVariable } from './nats.ts';
import { applyTopology } from './streams.ts';

const CONNECT_ATTEMPTS = 30;
const PAUSE_MS = 1_000;

async function setUp(url: string): Promise<void> {
  const connection = await connect({ ...natsLogin(url), waitOnFirstConnect: true, maxReconnectAttempts: CONNECT_ATTEMPTS, reconnectTimeWait: PAUSE_MS });
  try {
    await applyTopology(connection);
  } finally {
    await connection.close();
  }
}

if (import.meta.main) {
  if (process.argv.includes('--config')) {
    process.stdout.write(natsConfig({ listen: '0.0.0.0:4222', monitor: '0.0.0.0:8222', storeDir: '/data', password: passwordVariable, durable: true }));
  } else {
    if (!process.env.NATS_URL) throw new Error('NATS_URL is not set: the URL of a NATS user who may make streams.');
    await setUp(process.env.NATS_URL);
    process.stdout.write('{"msg":"streams and consumers are as they should be"}\n');
  }
}
