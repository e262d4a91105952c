// A site of our own for the browser: made by `fletchck init`, as a new user would, and run until the tests end.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const PATIENCE = 20_000; // milliseconds

/** Where the programs are that the tests are about; tests/run builds them and says so. */
function program(name) {
  const folder = process.env.FLETCHCK_TEST_BIN;
  if (!folder) throw new Error('FLETCHCK_TEST_BIN is not set; please run: tests/run browser');
  return join(folder, name);
}

/** A port on which nobody listens, below those that the kernel gives to outgoing connections. */
async function freePort() {
  for (;;) {
    const port = 16_000 + Math.floor(Math.random() * 16_000);
    const server = createServer();
    const free = await new Promise((done) => {
      server.once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
    });
    if (free) return port;
  }
}

/** Starts a program that ends with us, and gathers what it says. */
function start(name, args, cwd) {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program(name), ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const running = { child, log: '' };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (running.log += text));
  running.ended = new Promise((done) => child.once('exit', done));
  return running;
}

async function untilOpen(port, running) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const open = await new Promise((done) => {
      const socket = connect(port, '127.0.0.1', () => done(true));
      socket.once('error', () => done(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    if (running.child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`port ${port} did not open; log:\n${running.log.slice(-3000)}`);
    }
    await sleep(20);
  }
}

/**
 * Makes and starts a standalone site with `checks` beside those a new site has. Returns its address, the admin's
 * password, `agent(name)` to start an agent that reports to it, and `close`.
 */
export async function startSite(checks) {
  const folder = await mkdtemp(join(tmpdir(), 'site-'));
  const config = join(folder, 'fletchck.conf');
  const [page, broker] = [await freePort(), await freePort()];
  const run = (args) => promisify(execFile)(program('fletchck'), ['--config', config, ...args], { cwd: folder });

  const { stdout } = await run(['init', '--port', String(page)]);
  const password = /^Password:\s*(\S+)$/m.exec(stdout)?.[1];
  if (!password) throw new Error(`init printed no password:\n${stdout}`);
  const site = JSON.parse(await readFile(config, 'utf8'));
  site.broker.listeners[0].listen = `127.0.0.1:${broker}`;
  site.fleet.grace = 0;
  Object.assign(site.checks, checks);
  await writeFile(config, JSON.stringify(site));

  const running = [start('fletchck', ['--config', config], folder)];
  await untilOpen(page, running[0]);
  const agent = async (name) => {
    const file = join(folder, `${name}.conf`);
    await run(['add-agent', name, '--address', '127.0.0.1', '--output', file]);
    const started = start('fletchck-agent', ['--config', file], folder);
    running.push(started);
    return started;
  };
  const close = async () => {
    for (const { child } of running) child.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    await rm(folder, { recursive: true, force: true });
  };
  return { address: `https://localhost:${page}`, password, folder, agent, close, log: () => running[0].log };
}
