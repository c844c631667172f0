// SPDX-License-Identifier: Apache-2.0
// Groups of assertions, and the browser's pages with an ear on their errors.

import { createRequire } from "node:module";
import { sleep } from "./daemon.mjs";

const { chromium } = createRequire(`${process.env.PLAYWRIGHT}/`)("playwright-core");

export function launch() {
	return chromium.launch({
		executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync"],
	});
}

export function check(condition, message) {
	if (!condition)
		throw new Error(message);
}

export function equal(got, want, what) {
	check(Object.is(got, want), `${what}: ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
}

/** Waits until test() is true. */
export async function until(test, what, ms = 10000) {
	for (const end = Date.now() + ms; ;) {
		if (await test())
			return;
		check(Date.now() < end, `never: ${what}`);
		await sleep(50);
	}
}

export class Harness {
	passed = 0;
	failed = 0;
	/** What no page may ever have: script errors, console errors, CSP violations. */
	errors = [];
	/** Whether the group expects refusals: the browser reports each on its console. */
	tolerant = false;

	constructor(browser, url) {
		this.browser = browser;
		this.url = url;
	}

	async open(path, options = {}) {
		const context = await this.browser.newContext({
			viewport: { width: 1440, height: 900 },
			colorScheme: "light",
			reducedMotion: "reduce",
			...options,
		});
		const page = await context.newPage();
		page.on("pageerror", (e) => this.errors.push(`script: ${e}`));
		page.on("dialog", (d) => {
			this.errors.push(`dialog: ${d.message()}`);
			void d.dismiss();
		});
		page.on("console", (m) => {
			if (m.type() === "error" && !(this.tolerant && m.text().startsWith("Failed to load resource")))
				this.errors.push(`console: ${m.text()}`);
		});
		page.on("request", (r) => {
			if (!r.url().startsWith(this.url) && !r.url().startsWith("data:"))
				this.errors.push(`request to ${r.url()}`);
		});
		await page.addInitScript(() => {
			addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`));
		});
		await page.goto(this.url + path);
		this.page = page;
		return page;
	}

	async group(name, run) {
		try {
			await run();
			this.passed++;
			console.log(`ok ${name}`);
		} catch (e) {
			this.failed++;
			console.log(`not ok ${name}`);
			console.log(`# ${String(e.message ?? e).split("\n").join("\n# ")}`);
			if (process.env.SHOTS && this.page && !this.page.isClosed())
				await this.page.screenshot({ path: `${process.env.SHOTS}/${name.replace(/\W+/g, "-")}.png` }).catch(() => {});
		}
		for (const context of this.browser.contexts())
			await context.close();
		this.tolerant = false;
	}

	finish() {
		console.log(`web: ${this.passed} passed, ${this.failed} failed`);
		return this.failed === 0 && this.passed > 0;
	}
}

export const boxes = (page) => page.evaluate(() => window.kstrata.boxes());

export async function box(page, name) {
	const found = (await boxes(page)).find((b) => b.name === name);
	check(found, `no box ${name.slice(0, 60)}`);
	return { ...found, cx: found.x + found.width / 2, cy: found.y + found.height / 2 };
}

/** Waits for the first answer and for a box of this name. */
export function shows(page, name, ms) {
	return until(async () => (await boxes(page)).some((b) => b.name === name), `box ${name.slice(0, 60)}`, ms);
}

export async function hover(page, name) {
	const b = await box(page, name);
	await page.mouse.move(b.cx, b.cy);
	await page.waitForSelector("#tooltip:not([hidden])");
	return (await page.innerText("#tooltip")).replace(/\s+/g, " ");
}

export async function click(page, name) {
	const b = await box(page, name);
	await page.mouse.click(b.cx, b.cy);
}

// Not page.url(), which hears of history.pushState later than the page.
const here = async (page) => new URL(await page.evaluate(() => location.href));
export const params = async (page) => (await here(page)).searchParams;
export const fragment = async (page) => new URLSearchParams((await here(page)).hash.slice(1));
