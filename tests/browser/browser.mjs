// Chromium for the tests: one browser with an empty profile, opened at phone or desktop size.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

/** What must not happen on any page: a script error, or something the page's own policy refused to load. */
const COMPLAINTS = /Content Security Policy|Refused to|Uncaught/;

/**
 * Opens a browser with one page of the given size, closed when the test `t` ends. The site's certificate is its own, so it is not verified.
 * `complaints` collects what the page reported about itself; a test ends by finding it empty.
 */
export async function open(t, viewport = DESKTOP) {
  const profile = await mkdtemp(join(tmpdir(), 'chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.FLETCHCK_TEST_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    ignoreHTTPSErrors: true,
    viewport,
    args: [
      '--headless',
      '--no-sandbox', // root has no other way, and CI is root
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const page = context.pages()[0];
  page.setDefaultTimeout(15_000);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (line) => COMPLAINTS.test(line.text()) && complaints.push(line.text()));
  t.after(async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  });
  return { page, context, complaints };
}

/** Keeps a picture of the page for people to look at, in FLETCHCK_TEST_PICTURES or the folder for temporary files. */
export async function picture(page, name) {
  const path = join(process.env.FLETCHCK_TEST_PICTURES ?? tmpdir(), `fletchck-${name}.png`);
  await page.screenshot({ path, fullPage: true });
  return path;
}

/** How far the page is wider than the window, in pixels: 0 unless it must be scrolled sideways. */
export function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth).then((wide) => Math.max(0, wide));
}
