// The pages of a real site with a real agent, as a person sees them. (page.test.mjs looks closer, at a made-up one.)
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, open, overflow, picture } from './browser.mjs';
import { startSite } from './site.mjs';

const every = (seconds) => ({ interval: { seconds } });
let site;
let things;
/** A folder whose presence makes the check `switch` pass. */
let flag;

before(async () => {
  things = await mkdtemp(join(tmpdir(), 'switch-'));
  flag = join(things, 'on');
  await mkdir(flag);
  site = await startSite({
    switch: { type: 'disk', trigger: every(1), options: { volume: flag, level: 100 }, actions: ['log'] },
    'by hand': { type: 'disk', options: { volume: flag, level: 100 } },
    'full disk <b>&': { type: 'disk', trigger: every(1), options: { volume: '/there is none' }, actions: ['log'] },
  });
});
after(async () => {
  await site?.close();
  await rm(things, { recursive: true, force: true });
});

async function signIn(page, password = site.password) {
  await page.goto(site.address);
  await page.getByLabel('User name').fill('admin');
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** The row of a check in the overview, its group opened. */
async function row(page, name) {
  await page.locator('#groups details:not([open]) summary').evaluateAll((heads) => heads.forEach((head) => head.click()));
  return page.locator('#groups li').filter({ has: page.getByRole('link', { name, exact: true }) }).first();
}

for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  test(`login, overview and one check fit a ${size}`, async (t) => {
    const { page, complaints } = await open(t, viewport);
    await page.goto(site.address);
    assert.equal(await overflow(page), 0);
    await picture(page, `login-${size}`);
    await signIn(page);
    await page.locator('#summary').waitFor();
    await (await row(page, 'full disk <b>&')).getByText('fail').waitFor();
    assert.equal(await overflow(page), 0);
    await picture(page, `overview-${size}`);
    await (await row(page, 'full disk <b>&')).getByRole('link').click();
    await page.getByRole('heading', { level: 1, name: 'full disk <b>&' }).waitFor();
    assert.equal(await overflow(page), 0);
    await picture(page, `check-${size}`);
    assert.deepEqual(complaints, []);
  });
}

test('a wrong password is told, and lets nobody in', async (t) => {
  const { page } = await open(t);
  await signIn(page, 'guess');
  await page.getByRole('alert').waitFor();
  await page.goto(site.address);
  await page.getByLabel('Password').waitFor();
});

test('a change shows by itself', async (t) => {
  const { page, complaints } = await open(t);
  await signIn(page);
  await page.locator('#live[data-state=on]').waitFor();
  const state = (await row(page, 'switch')).locator('.s');
  await state.filter({ hasText: 'pass' }).waitFor();
  await rm(flag, { recursive: true });
  await state.filter({ hasText: 'fail' }).waitFor();
  await mkdir(flag);
  await state.filter({ hasText: 'pass' }).waitFor();
  assert.deepEqual(complaints, []);
});

test('a check can be run by hand', async (t) => {
  const { page, complaints } = await open(t);
  await signIn(page);
  await page.locator('#live[data-state=on]').waitFor();
  await (await row(page, 'by hand')).getByRole('link').click();
  const state = page.locator('article.check header .s').first();
  await state.filter({ hasText: 'unknown' }).waitFor();
  await page.getByRole('button', { name: 'Run now' }).click();
  await state.filter({ hasText: 'pass' }).waitFor();
  assert.deepEqual(complaints, []);
});

test('an agent that comes and goes shows by itself', async (t) => {
  const { page, complaints } = await open(t);
  await signIn(page);
  await page.locator('#live[data-state=on]').waitFor();
  const agent = await site.agent('nas');
  const shown = page.locator('#agents li').filter({ hasText: 'nas' });
  await shown.getByText('online').waitFor();
  agent.child.kill('SIGKILL');
  await shown.getByText('offline').waitFor();
  await picture(page, 'agent-offline');
  assert.deepEqual(complaints, []);
});

test('logging out ends the session', async (t) => {
  const { page } = await open(t);
  await signIn(page);
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.goto(site.address);
  await page.getByLabel('Password').waitFor();
});
