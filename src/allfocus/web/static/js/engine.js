/* Which engine this page has; `allfocus site` writes the other line here. */
export * from './service.js';
