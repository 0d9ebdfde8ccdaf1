// The far end of a cable: a process in a network namespace of its own, which hands every connection on through a Unix socket. See cable.ts.
import { connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';

const [socket = '', port = ''] = process.argv.slice(2);

createServer({ noDelay: true }, (near) => pipeline(near, connect(socket), near, () => {})).listen(Number(port), () => void process.stdout.write('ready'));
// Whoever laid the cable has gone, and the namespace goes with its last process.
process.stdin.resume().once('end', () => process.exit());
