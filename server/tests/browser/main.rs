//! The pages in a real browser, as people use them. Reads `CHROMIUM`, the browser; `RUNBOOK_TEST_AXE`, the
//! script of axe-core, which knows what people who cannot see or point need (tests/browser/package.json);
//! and `RUNBOOK_TEST_PICTURES`, a folder for pictures of all pages. Says so where it is skipped.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says that it is, and figures are shown")]

#[path = "../pages/filled.rs"]
mod filled;
#[path = "../pages/fixture.rs"]
mod fixture;
mod keyboard;
mod live;
mod looks;
mod plain;
#[path = "../pages/shop.rs"]
mod shop;
mod stage;
