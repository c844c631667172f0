// SPDX-License-Identifier: Apache-2.0
// The page over known stacks: what it shows, what mouse, keyboard and URL do.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { Daemon, sleep } from "./daemon.mjs";
import { Harness, box, boxes, check, click, equal, fragment, hover, launch, params, shows, until } from "./harness.mjs";

const { TEMP_DIR: temp, DAEMON: program } = process.env;
const TYPE = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const DIST = "daemon/web/dist";
const GZIP_MAX = 40 * 1024;
const CSP = ["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
	"connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"];

// Two windows, five minutes apart: 1000 and 1000 of shop, in [start, end).
const first = Math.floor(Date.now() / 10000) * 10 - 900;
const second = first + 300;
const [start, end] = [first - 60, second + 60];
const EVIL = "<img src=x onerror=\"alert(1)\">";
const LONG = `long_${"y".repeat(10000)}_end`;
const RTL = "safe\u202eelif";

function address(selector, from = start, until_ = end, hash = "") {
	return `/?${new URLSearchParams({ query: TYPE + selector, from, until: until_ })}${hash ? `#${hash}` : ""}`;
}
const SHOP = "{service_name=\"shop\"}";

const daemon = new Daemon(program, temp);
await daemon.start();
const browser = await launch();
const h = new Harness(browser, daemon.url);
try {
	await daemon.ingest("shop.cpu{comm=web}", first, first + 10,
		["main;serve;parse 300", "main;serve;render 500", "main;idle 200"]);
	await daemon.ingest("shop.cpu{comm=cron}", second, second + 10, ["main;batch 1000"]);
	await daemon.ingest("evil.cpu{comm=x}", first, first + 10,
		[`${EVIL};${LONG} 7`, `${EVIL};${RTL} 2`, "</script><script>alert(2)</script> 1"]);
	await daemon.ingest("cut.cpu{comm=x}", first, first + 10,
		["[cut: no rows];work;hot 3", "[cut: fault];hot 1", "main;hot 96"]);
	await groups();
} finally {
	await browser.close();
	await daemon.stop();
}
process.exitCode = h.finish() ? 0 : 1;

async function groups() {
	await h.group("the committed assets are what the source builds", () => {
		execFileSync("sh", ["daemon/web/build.sh", `${temp}/dist`], { stdio: "pipe" });
		equal(readdirSync(`${temp}/dist`).sort().join(), readdirSync(DIST).sort().join(), "files");
		let size = 0;
		for (const name of readdirSync(DIST)) {
			const bytes = readFileSync(`${DIST}/${name}`);
			check(bytes.equals(readFileSync(`${temp}/dist/${name}`)), `${name} differs: sh daemon/web/build.sh`);
			size += gzipSync(bytes, { level: 9 }).length;
		}
		check(size < GZIP_MAX, `${size} bytes gzipped`);
	});

	await h.group("it is served with a strict policy", async () => {
		const answer = await fetch(`${daemon.url}/`);
		equal(answer.status, 200, "status");
		const policy = (answer.headers.get("content-security-policy") ?? "").split(";").map((d) => d.trim());
		for (const directive of CSP)
			check(policy.includes(directive), `no ${directive} in ${policy.join("; ")}`);
		const html = await answer.text();
		check(!/\sstyle=|\son\w+=|<style|<script>/i.test(html), "inline style or script");
		for (const name of ["app.js", "app.css", "favicon.svg"])
			equal((await fetch(`${daemon.url}/${name}`)).status, 200, name);
	});

	await h.group("it shows the stacks in proportion", async () => {
		const page = await h.open(address(SHOP));
		await shows(page, "render");
		const all = await boxes(page);
		equal(all.map((b) => `${b.level}:${b.name}`).sort().join(),
			"0:total,1:main,2:batch,2:idle,2:serve,3:parse,3:render", "boxes");
		const root = await box(page, "total");
		for (const [name, share] of [["main", 1], ["batch", 0.5], ["serve", 0.4], ["render", 0.25], ["parse", 0.15], ["idle", 0.1]]) {
			const b = await box(page, name);
			check(Math.abs(b.width / root.width - share) < 1e-9, `${name} is ${b.width / root.width} wide`);
			check(Math.abs(b.total / root.total - share) < 1e-9, `${name} weighs ${b.total}`);
		}
		check((await box(page, "render")).y > (await box(page, "serve")).y, "the root is on top");
		// Paint, not only a model: the box has another colour than the paper next to it.
		const b = await box(page, "render");
		const colours = await page.evaluate(({ x, y }) => {
			const canvas = document.getElementById("flame");
			const at = canvas.getBoundingClientRect();
			const pixel = (px, py) => canvas.getContext("2d").getImageData(px - at.left, py - at.top, 1, 1).data.join();
			return [pixel(x - 6, y), pixel(x - 6, y + 60)];
		}, { x: b.x + b.width, y: b.cy });
		check(colours[0] !== colours[1], `the box is not painted: ${colours[0]}`);
	});

	await h.group("hovering says function, weight and exact shares", async () => {
		const page = await h.open(address(SHOP));
		await shows(page, "render");
		const parse = await hover(page, "parse");
		check(/^parse/.test(parse) && /Total .*· 15\.00 %/.test(parse) && /Self .*· 15\.00 %/.test(parse), parse);
		const serve = await hover(page, "serve");
		check(/Total .*· 40\.00 %/.test(serve) && /Self .*· 0\.00 %/.test(serve), serve);
		check(!/zoomed/.test(serve), "nothing is zoomed");
		await page.mouse.move(5, 5);
		check(await page.locator("#tooltip").isHidden(), "the tooltip goes away");
	});

	await h.group("it says how much is cut and why", async () => {
		const page = await h.open(address("{service_name=\"cut\"}"));
		await shows(page, "[cut: no rows]");
		equal(await page.innerText("#cut"), "4.00 % cut", "the note");
		const title = await page.getAttribute("#cut", "title");
		check(/no rows: 3\.00 %.*\n.*fault: 1\.00 %/.test(title), title);
		await page.click("#cut");
		equal(await page.innerText("#matched"), "4.00 % matched", "what the note finds");
		await page.click("#cut");
		equal(await page.inputValue("#search"), "", "a second click");
		await page.waitForSelector("#top-body button");
		check(!/cut:/.test(await page.innerText("#top-body")), "no function");
		// A neutral colour: as much red as green as blue, nearly.
		const b = await box(page, "[cut: no rows]");
		const [r, g, blue] = await page.evaluate(({ x, y }) => {
			const canvas = document.getElementById("flame");
			const at = canvas.getBoundingClientRect();
			return Array.from(canvas.getContext("2d").getImageData(x - at.left, y - at.top, 1, 1).data);
		}, { x: b.x + b.width - 2, y: b.y + 3 });
		check(Math.max(r, g, blue) - Math.min(r, g, blue) < 12, `${r} ${g} ${blue}`);
		const whole = await h.open(address(SHOP));
		await shows(whole, "render");
		check(await whole.locator("#cut").isHidden(), "nothing is cut");
	});

	await h.group("clicks zoom, ancestors, crumbs, Escape and Back zoom out", async () => {
		const page = await h.open(address(SHOP));
		await shows(page, "render");
		const width = (await box(page, "total")).width;
		await click(page, "serve");
		equal(await page.evaluate(() => window.kstrata.zoomed()), "serve", "zoomed");
		equal((await box(page, "serve")).width, width, "width of the zoomed");
		check(!(await boxes(page)).some((b) => b.name === "batch"), "others are out of view");
		equal((await fragment(page)).getAll("z").join("/"), "main/serve", "path in the URL");
		check(/Of the zoomed 37\.50 %/.test(await hover(page, "parse")), "share of the zoomed");
		check(/Total .*· 15\.00 %/.test(await hover(page, "parse")), "share of all");
		await click(page, "main");
		equal(await page.evaluate(() => window.kstrata.zoomed()), "main", "after a click on the ancestor");
		await click(page, "render");
		await page.click("#crumbs li:nth-child(3) button");
		equal(await page.evaluate(() => window.kstrata.zoomed()), "serve", "after the crumb");
		await page.keyboard.press("Escape");
		equal(await page.evaluate(() => window.kstrata.zoomed()), "total", "after Escape");
		check(await page.locator("#crumbs").isHidden(), "no crumbs");
		await page.goBack();
		equal(await page.evaluate(() => window.kstrata.zoomed()), "serve", "after Back");
		await page.goForward();
		equal(await page.evaluate(() => window.kstrata.zoomed()), "total", "after Forward");
	});

	await h.group("searching highlights and counts each sample once", async () => {
		const page = await h.open(address(SHOP));
		await shows(page, "render");
		await page.keyboard.press("/");
		await page.keyboard.type("^parse$|idle");
		equal(await page.innerText("#matched"), "25.00 % matched", "matched");
		await page.fill("#search", "main|serve|render");
		equal(await page.innerText("#matched"), "100.00 % matched", "nested matches");
		await page.fill("#search", "PARSE");
		equal(await page.innerText("#matched"), "0.00 % matched", "capitals count");
		await page.fill("#search", "(parse");
		equal(await page.innerText("#matched"), "0.00 % matched", "no expression: plain text");
		await page.fill("#search", "parse");
		await click(page, "serve");
		equal(await page.innerText("#matched"), "37.50 % matched", "of the zoomed");
		equal((await fragment(page)).get("search"), "parse", "in the URL");
		await page.keyboard.press("Control+f");
		equal(await page.evaluate(() => document.activeElement.id), "search", "Ctrl-F");
		await page.keyboard.press("Escape");
		equal(await page.inputValue("#search"), "", "Escape clears");
		equal(await page.innerText("#matched"), "", "nothing matched");
	});

	await h.group("the keyboard walks, zooms and speaks", async () => {
		const page = await h.open(address(SHOP));
		await shows(page, "render");
		await page.focus("#flame");
		for (const key of ["Home", "ArrowDown", "ArrowDown"])
			await page.keyboard.press(key);
		const said = () => page.innerText("#announcer");
		check(/^batch: .*50\.00 %/.test(await said()), await said());
		await page.keyboard.press("ArrowRight");
		check(/^serve: .*40\.00 %/.test(await said()), await said());
		await page.keyboard.press("ArrowDown");
		check(/^render: /.test(await said()), await said());
		await page.keyboard.press("ArrowUp");
		await page.keyboard.press("Enter");
		equal(await page.evaluate(() => window.kstrata.zoomed()), "serve", "Enter");
		await page.keyboard.press("Backspace");
		equal(await page.evaluate(() => window.kstrata.zoomed()), "main", "Backspace");
		await page.keyboard.press("Escape");
		equal(await page.evaluate(() => window.kstrata.zoomed()), "total", "Escape");
	});

	await h.group("names can be copied", async () => {
		const page = await h.open(address(SHOP), { permissions: ["clipboard-read", "clipboard-write"] });
		await shows(page, "render");
		await click(page, "render");
		await page.click("#crumbs button:has-text('Copy name')");
		await until(async () => (await page.evaluate(() => navigator.clipboard.readText())) === "render", "the name on the clipboard");
	});

	await h.group("a brush on the timeline picks a range, a double click resets", async () => {
		const page = await h.open(address(SHOP));
		await shows(page, "batch");
		const [a, b] = await page.evaluate(([x, y]) => [window.kstrata.timelineX(x), window.kstrata.timelineX(y)],
			[first - 25, first + 35]);
		const line = await page.locator("#timeline").boundingBox();
		const y = line.y + line.height / 2;
		await page.mouse.move(a, y);
		await page.mouse.down();
		await page.mouse.move((a + b) / 2, y, { steps: 3 });
		await page.mouse.move(b, y, { steps: 3 });
		await page.mouse.up();
		const [from, to] = [Number((await params(page)).get("from")), Number((await params(page)).get("until"))];
		check(from > start && from <= first, `from ${from}, of ${first}`);
		check(to >= first + 10 && to < second, `until ${to}`);
		await until(async () => !(await boxes(page)).some((x) => x.name === "batch"), "only the first window");
		check(/Total .*· 50\.00 %/.test(await hover(page, "render")), "shares of the brushed range");
		await page.goBack();
		await shows(page, "batch");
		await page.mouse.dblclick((a + b) / 2, y);
		await until(async () => (await params(page)).get("until") === "now", "the reset in the URL");
		check((await params(page)).get("from").startsWith("now-"), (await params(page)).get("from"));
		await shows(page, "batch");
	});

	await h.group("the timeline tells time and value", async () => {
		const page = await h.open(address(SHOP));
		await shows(page, "batch");
		const x = await page.evaluate((t) => window.kstrata.timelineX(t), first + 5);
		const line = await page.locator("#timeline").boundingBox();
		await page.mouse.move(x, line.y + 40);
		const text = await page.innerText("#timeline-value");
		check(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d · [1-9]?\d*\.?\d+ CPUs · /.test(text) && !/ 0\.00 CPUs/.test(text), text);
		await page.mouse.move(await page.evaluate((t) => window.kstrata.timelineX(t), first + 155), line.y + 40);
		check(/ 0\.00 CPUs/.test(await page.innerText("#timeline-value")), "nothing between the windows");
	});

	await h.group("presets, absolute ranges and the URL agree", async () => {
		const page = await h.open(address(SHOP, "now-1h", "now"));
		await shows(page, "render");
		equal(await page.getAttribute("[data-preset='1h']", "aria-pressed"), "true", "preset of the URL");
		await page.click("[data-preset='24h']");
		equal((await params(page)).get("from"), "now-24h", "from");
		await page.goBack();
		equal(await page.getAttribute("[data-preset='1h']", "aria-pressed"), "true", "after Back");
		await page.click("#custom");
		const local = (t) => page.evaluate((s) => {
			const d = new Date(s * 1000 - new Date(s * 1000).getTimezoneOffset() * 60000);
			// As the field itself has it: without seconds where they are 0.
			return d.toISOString().slice(0, 19).replace(/:00$/, "");
		}, t);
		await page.fill("#from", await local(second));
		await page.fill("#until", await local(second + 10));
		await page.click("#custom-form button");
		equal((await params(page)).get("from"), String(second), "from");
		equal((await params(page)).get("until"), String(second + 10), "until");
		await until(async () => (await boxes(page)).map((b) => b.name).join() === "total,main,batch", "the second window");
		check(await page.isDisabled("#live"), "a fixed range is not live");
	});

	await h.group("a URL brings everything back", async () => {
		const page = await h.open(address(SHOP, start, end, "search=render&z=main&z=serve&table=0&sort=total"));
		await shows(page, "render");
		equal(await page.evaluate(() => window.kstrata.zoomed()), "serve", "zoom");
		equal(await page.inputValue("#search"), "render", "search");
		equal(await page.innerText("#matched"), "62.50 % matched", "matched");
		equal(await page.inputValue("#selector"), SHOP, "selector");
		check(await page.locator("#top").isHidden(), "no table");
		const before = await page.evaluate(() => location.href);
		await page.reload();
		await shows(page, "render");
		equal(await page.evaluate(() => location.href), before, "URL after a reload");
	});

	await h.group("live shows what comes in, and keeps zoom and search", async () => {
		const now = Math.floor(Date.now() / 1000);
		await daemon.ingest("live.cpu{comm=a}", now - 20, now - 10, ["main;old 100"]);
		const page = await h.open(address("{service_name=\"live\"}", "now-5m", "now", "search=old&z=main"));
		await shows(page, "old");
		equal(await page.innerText("#matched"), "100.00 % matched", "before");
		const then = Math.floor(Date.now() / 1000);
		await daemon.ingest("live.cpu{comm=a}", then - 20, then - 10, ["main;fresh 300", "other_root 600"]);
		await shows(page, "fresh", 20000);
		equal(await page.evaluate(() => window.kstrata.zoomed()), "main", "zoom");
		equal(await page.innerText("#matched"), "25.00 % matched", "after");
		check(/Total .*· 30\.00 %/.test(await hover(page, "fresh")), "shares");
		await page.click("#live");
		equal((await fragment(page)).get("live"), "0", "off in the URL");
		const loads = await page.evaluate(() => window.kstrata.loads());
		await sleep(6500);
		equal(await page.evaluate(() => window.kstrata.loads()), loads, "answers while off");
	});

	await h.group("hostile names are only text", async () => {
		const page = await h.open(address("{service_name=\"evil\"}"));
		await shows(page, LONG);
		const all = (await boxes(page)).map((b) => b.name);
		check(all.includes(EVIL) && all.includes("</script><script>alert(2)</script>"), all.map((n) => n.slice(0, 50)).join());
		check((await hover(page, EVIL)).startsWith(`${EVIL} `), "tooltip");
		const long = await hover(page, LONG);
		check(long.includes("…") && long.length < 1500, `tooltip of ${long.length} characters`);
		const tip = await page.locator("#tooltip").boundingBox();
		check(tip.x >= 0 && tip.x + tip.width <= 1440 && tip.y >= 0 && tip.y + tip.height <= 900, JSON.stringify(tip));
		check((await hover(page, RTL)).startsWith("safe\ufffdelif"), "no writing direction from a name");
		await click(page, LONG);
		await page.reload();
		await shows(page, LONG);
		equal(await page.evaluate(() => window.kstrata.zoomed()), LONG, "zoomed after a reload");
		equal(await page.locator("img").count(), 1, "images");
		equal(await page.locator("script").count(), 1, "scripts");
		await page.click("#top-body button >> nth=0");
		check((await page.innerText("#matched")).endsWith("matched"), "search by the table");
	});

	await h.group("the chooser lists series with totals, finds and picks", async () => {
		const page = await h.open(address("{}"));
		await shows(page, "render");
		await page.click("#service");
		await page.waitForSelector("#series-list button:has-text('shop')");
		const rows = await page.locator("#series-list button").allInnerTexts();
		check(rows.length >= 3 && /shop/.test(rows[1]), rows.join(" | "));
		await page.fill("#series-search", "EVI");
		equal(await page.locator("#series-list button").count(), 1, "found");
		await page.keyboard.press("Enter");
		equal((await params(page)).get("query"), `${TYPE}{service_name="evil"}`, "query");
		await shows(page, LONG);
		equal(await page.innerText("#service-name"), "evil", "label");
		await page.goBack();
		await shows(page, "render");
		await page.fill("#selector", "{comm=\"cron\"}");
		await page.keyboard.press("Enter");
		await until(async () => (await boxes(page)).map((b) => b.name).join() === "total,main,batch", "the series of the selector");
		equal((await params(page)).get("query"), `${TYPE}{comm="cron"}`, "query");
	});

	await h.group("the table sorts and searches", async () => {
		const page = await h.open(address(SHOP));
		await shows(page, "render");
		await until(async () => (await page.locator("#top-body tr").count()) === 6, "six functions");
		const names = async () => (await page.locator("#top-body td.name button").allInnerTexts()).join();
		equal((await names()).slice(0, 24), "batch,render,parse,idle,", "by self");
		await page.click("#sort-total");
		equal((await names()).slice(0, 17), "main,batch,serve,", "by total");
		equal((await fragment(page)).get("sort"), "total", "in the URL");
		equal(await page.locator("#top-body tr >> nth=0 >> td.num >> nth=1").innerText(), "100.00 %", "total of main");
		await page.click("#top-body button:has-text('serve')");
		equal(await page.innerText("#matched"), "40.00 % matched", "matched");
		equal(await page.locator("tr.found").count(), 1, "marked rows");
		await page.click("#table-toggle");
		check(await page.locator("#top").isHidden(), "hidden");
	});

	await h.group("what is shown can be downloaded", async () => {
		const page = await h.open(address(SHOP));
		await shows(page, "render");
		const href = (id) => page.evaluate((i) => document.getElementById(i).href, id);
		const folded = await (await fetch(await href("as-folded"))).text();
		check(/^main;serve;parse [1-9]\d*$/m.test(folded) && /^main;batch [1-9]\d*$/m.test(folded), folded.slice(0, 300));
		const pprof = await fetch(await href("as-pprof"));
		check(pprof.ok && (await pprof.arrayBuffer()).byteLength > 50, "pprof");
	});

	await h.group("no data and a bad selector are told apart", async () => {
		h.tolerant = true;
		const page = await h.open(address("{service_name=\"nobody\"}"));
		await until(async () => (await page.innerText("#notice-title")) === "No samples here", "the empty notice");
		await page.click("#everything");
		await shows(page, "render");
		check(await page.locator("#notice").isHidden(), "notice gone");
		await page.fill("#selector", "{service_name=}");
		await page.keyboard.press("Enter");
		await until(async () => (await page.getAttribute("#selector", "aria-invalid")) === "true", "the field is marked");
		check((await page.innerText("#notice-text")).length > 5, "the daemon's words");
		await page.goBack();
		await until(() => page.locator("#notice").isHidden(), "notice gone after Back");
	});

	await h.group("light and dark, by the system and by the button", async () => {
		const paper = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
		const light = await h.open(address(SHOP));
		const bright = await paper(light);
		const page = await h.open(address(SHOP), { colorScheme: "dark" });
		equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark", "theme");
		const dark = await paper(page);
		check(bright !== dark, `both ${dark}`);
		await page.click("#theme");
		equal(await paper(page), bright, "after the button");
		await page.reload();
		equal(await paper(page), bright, "remembered");
		await page.click("#theme");
		await page.emulateMedia({ colorScheme: "light" });
		await until(async () => (await paper(page)) === bright, "it follows the system again");
	});

	await h.group("it is crisp and fits every window", async () => {
		for (const [width, height] of [[1440, 900], [1024, 768], [390, 844]]) {
			const page = await h.open(address(SHOP), { viewport: { width, height }, deviceScaleFactor: 2 });
			await shows(page, "render");
			const size = await page.evaluate(() => {
				const c = document.getElementById("flame");
				return { ratio: c.width / c.clientWidth, over: document.documentElement.scrollWidth - innerWidth };
			});
			equal(size.ratio, 2, `device pixels at ${width}`);
			check(size.over <= 0, `${size.over} px too wide at ${width}`);
		}
	});

	await h.group("it says when the daemon is gone and comes back with it", async () => {
		h.tolerant = true;
		const page = await h.open(address(SHOP, "now-1h", "now", "z=main"));
		await shows(page, "render");
		await daemon.stop();
		await page.click("[data-preset='6h']");
		await until(async () => (await page.innerText("#notice-title")) === "The daemon does not answer", "the notice");
		await daemon.start();
		await until(() => page.locator("#notice[data-kind='down']").isHidden(), "it comes back by itself", 15000);
		await shows(page, "render");
		equal(await page.evaluate(() => window.kstrata.zoomed()), "main", "zoomed");
	});

	await h.group("no script error, console error, foreign request or policy violation", () => {
		check(h.errors.length === 0, h.errors.join("\n"));
	});
}
