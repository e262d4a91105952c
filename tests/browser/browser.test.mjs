// The browser itself: it opens a page at both sizes and notices what the other tests rely on.
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, open, overflow, picture } from './browser.mjs';

const pages = {
  '/': '<title>fine</title><h1>fine</h1>',
  '/wide': '<div style="width:2000px">wide</div>',
  '/forbidden': '<script>document.title = "ran"</script>',
};
let server;
let site;

before(async () => {
  server = createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.setHeader('Content-Security-Policy', "script-src 'self'");
    response.end(`<!doctype html><meta name=viewport content="width=device-width">${pages[request.url] ?? ''}`);
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  site = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

for (const [name, size] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  test(`shows a page at ${name} size`, async (t) => {
    const { page, complaints } = await open(t, size);
    await page.goto(`${site}/`);
    assert.equal(await page.title(), 'fine');
    assert.equal(await overflow(page), 0);
    assert.ok((await stat(await picture(page, `harness-${name}`))).size > 1000);
    assert.deepEqual(complaints, []);
    await page.goto(`${site}/wide`);
    assert.ok((await overflow(page)) > 0);
  });
}

test('notices a script that the policy of the page forbids', async (t) => {
  const { page, complaints } = await open(t);
  await page.goto(`${site}/forbidden`);
  assert.equal(complaints.length, 1);
});
