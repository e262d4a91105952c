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

for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  test(`alerts are taken on, silenced and tried on a ${size}`, async (t) => {
    const { page, complaints } = await open(t, viewport);
    await signIn(page);
    await page.goto(`${site.address}/check/${encodeURIComponent('full disk <b>&')}`);
    await page.getByText('Take it on, or hear of it later').click();
    await page.getByLabel('What you say of it').fill(`<i>on my way, ${size}`);
    await page.locator('form#ack').getByRole('button', { name: 'Acknowledge' }).click();
    await page.getByText(`admin has taken it on`).waitFor();

    await page.getByRole('link', { name: 'Alerts' }).click();
    await page.getByText(`<i>on my way, ${size}`).waitFor();
    await page.getByText('Tell nobody of some checks for a while').click();
    await page.getByLabel('Kind').selectOption('Maintenance');
    await page.getByLabel('Checks').fill('a-pattern-without-any-space-that-somebody-made-from/srv/data/volumes/0123456789abcdef*');
    await page.getByLabel('For', { exact: true }).fill('2h');
    await page.getByLabel('Why').fill(`new disks, ${size}`);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await picture(page, `alerts-${size}-${colorScheme}`);
      assert.equal(await overflow(page), 0, 'the form is too wide');
    }
    await page.getByRole('button', { name: 'Begin' }).click();
    const silence = page.locator('li').filter({ hasText: `new disks, ${size}` });
    await silence.waitFor();
    assert.equal(await overflow(page), 0, 'a long pattern is too wide');
    await silence.getByRole('button', { name: 'End' }).click();
    await silence.waitFor({ state: 'detached' });

    await page.locator('li').filter({ hasText: `on my way, ${size}` }).getByRole('button', { name: 'Take back' }).click();
    await page.getByRole('button', { name: 'Acknowledge' }).first().waitFor();
    await page.goto(`${site.address}/alerts`);
    await page.locator('li').filter({ hasText: /^log/ }).getByRole('button', { name: 'Test' }).click();
    await page.getByRole('heading', { name: 'Test of log' }).waitFor();
    await page.locator('b.s.pass', { hasText: 'told' }).waitFor();
    assert.equal(await overflow(page), 0);
    assert.deepEqual(complaints, []);
  });
}
