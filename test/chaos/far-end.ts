// The far end of a cable: a process in a network namespace of its own, which hands every connection on through a Unix socket. See cable.ts.
import { connect, createServer } from 'node:net';
import { joined } from './joined.ts';

const [socket = '', port = ''] = process.argv.slice(2);

createServer((near) => joined(near, connect(socket))).listen(Number(port), () => void process.stdout.write('ready'));
// Whoever laid the cable has gone, and the namespace goes with its last process.
process.stdin.resume().once('end', () => process.exit());
