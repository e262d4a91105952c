// The pages in a real browser, over a made-up site (hub/examples/page.rs): they log in, are live, fit a phone, and break no rule of
// their own policy.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, open, overflow, picture } from './browser.mjs';

const folder = process.env.FLETCHCK_TEST_BIN ?? join(import.meta.dirname, '../../target/debug');
let server;
let site;
let user;
let password;

before(async () => {
  server = spawn(join(folder, 'examples/page'), { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(server.stdout), 'line');
  [site, user, password] = line.split(' ');
});

after(async () => {
  server.kill('SIGINT');
  const [code] = await once(server, 'exit');
  assert.equal(code, 0);
});

async function logIn(page, address = '/') {
  await page.goto(site + address);
  await page.getByLabel('User name').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(site + address);
}

const summary = (page) => page.locator('#summary').textContent();

for (const [name, size] of [['desktop', DESKTOP], ['phone', PHONE]]) {
  test(`every page fits a ${name} in light and dark`, async (t) => {
    const { page, complaints } = await open(t, size);
    await page.goto(site);
    await picture(page, `login-${name}`);
    assert.equal(await overflow(page), 0);
    await logIn(page);
    for (const [place, address] of [['overview', '/'], ['check', '/check/front%20page'], ['missing', '/check/nothing']]) {
      await page.goto(site + address);
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await picture(page, `${place}-${name}-${colorScheme}`);
        assert.equal(await overflow(page), 0, `${place} is too wide`);
      }
    }
    assert.deepEqual(complaints, []);
  });
}

test('a change shows on open pages without a reload, a check that is gone included', async (t) => {
  const { page, context, complaints } = await open(t);
  await logIn(page);
  await page.getByText('live', { exact: true }).waitFor();
  const before = await summary(page);
  assert.match(before, /2 checks fail/);
  await page.evaluate(() => { window.kept = true; });

  const other = await context.newPage();
  await other.goto(`${site}/check/router`);
  await other.getByRole('button', { name: 'Run now' }).click();
  await other.getByText('answered in 12 ms').waitFor();
  await page.waitForFunction((text) => document.getElementById('summary').textContent !== text, before);
  assert.match(await summary(page), /1 check fails/);
  assert.match(await page.title(), /^\(2\) Kennel/);
  assert.match(await page.locator('li[data-name="router"]').textContent(), /pass.*answered in 12 ms/);

  await other.goto(`${site}/check/barn%20disk%202`);
  await other.getByText('Delete this check').click();
  await other.getByRole('button', { name: 'Delete barn disk 2' }).click();
  await other.waitForURL(`${site}/`);
  await page.locator('li[data-name="barn disk 2"]').waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => window.kept), true, 'the page was loaded anew');
  assert.deepEqual(complaints, []);
});

test('the filter finds checks by name, state and agent, and keeps them through a change', async (t) => {
  const { page } = await open(t);
  await logIn(page);
  const shown = () => page.locator('#groups li:visible').count();
  const all = await shown();
  await page.getByLabel('Filter').fill('barn stale');
  assert.equal(await shown(), 1);
  await page.getByLabel('Filter').fill('nothing has this name');
  await page.getByText('No check fits this filter.').waitFor();
  await page.getByLabel('Filter').fill('');
  assert.equal(await shown(), all);
});

test('leaving ends the session in every window', async (t) => {
  const { page, context } = await open(t);
  await logIn(page, '/check/ram');
  const other = await context.newPage();
  await other.goto(site);
  await other.getByText('live', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.waitForURL(`${site}/login`);
  await other.waitForURL(`${site}/login`);
});

test('everything but the life works without a script', async (t) => {
  const { context } = await open(t);
  const browser = await context.newPage();
  await browser.route('**/*.js', (route) => route.abort());
  await logIn(browser);
  await browser.getByRole('button', { name: 'Run again front page' }).click();
  await browser.waitForURL(`${site}/check/front%20page`);
  await browser.getByText('answered in 12 ms').waitFor();
  await browser.goto(`${site}/?q=barn+stale`);
  assert.equal(await browser.locator('#groups li').count(), 1);
});
