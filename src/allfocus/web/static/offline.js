/* Service worker of the static page: adds the headers that threads need, and keeps every file for offline use. */

const STORE = 'allfocus-VERSION';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name.startsWith('allfocus-') && name !== STORE) await caches.delete(name);
  await self.clients.claim();
})()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method === 'GET' && new URL(request.url).origin === location.origin) event.respondWith(answer(request));
});

async function answer(request) {
  const store = await caches.open(STORE);
  const kept = await store.match(request);
  if (kept) return kept;
  const fresh = await fetch(request);
  const headers = new Headers(fresh.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  const isolated = new Response(fresh.body, { status: fresh.status, statusText: fresh.statusText, headers });
  if (fresh.ok) await store.put(request, isolated.clone());
  return isolated;
}
