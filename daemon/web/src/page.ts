// SPDX-License-Identifier: Apache-2.0
// The page: holds the state, hands it to the views and hears what they want.

import * as api from "./api";
import { Chooser } from "./chooser";
import { Crumbs } from "./crumbs";
import { CUT_SEARCH, CutNote } from "./cutnote";
import { byId, say } from "./dom";
import { Flame } from "./flame";
import { FlameView } from "./flameview";
import { Unit, middle, percent, shown, unitOf, weight } from "./format";
import { Inspector, inspector } from "./inspector";
import { Legend } from "./legend";
import { Loader } from "./loader";
import { colours } from "./palette";
import { RangeBar } from "./rangebar";
import { DEFAULT_FROM, isLive } from "./range";
import { exactly, hits, matcher } from "./search";
import { State, readUrl, toUrl } from "./state";
import { StatusLine } from "./statusline";
import { isDark, onSystemTheme, toggleTheme } from "./theme";
import { TimelineView } from "./timeline";
import { Tooltip, facts } from "./tooltip";
import { TopTable } from "./toptable";

const DEFAULT_TYPE = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const STATUS_MS = 10000;
const WIDE = matchMedia("(min-width: 1000px)");

export class Page {
	state: State = readUrl(location);
	flame: Flame | null = null;
	zoomed = 0;
	private unit: Unit = "count";
	private hit: Uint8Array | null = null;
	/** What a reset of the brush goes back to. */
	private moving = isLive(this.state.until) ? this.state.from : DEFAULT_FROM;

	private tooltip = new Tooltip();
	private status = new StatusLine();
	private announcer = byId("announcer");
	private search = byId<HTMLInputElement>("search");
	readonly flameView = new FlameView(byId<HTMLCanvasElement>("flame"), byId("flame-scroll"), byId("flame-spacer"), {
		zoom: (box) => this.zoomTo(box),
		hover: (box, x, y) => this.hover(box, x, y),
		focus: (box) => this.describe(box),
		copy: (box) => void this.copy(box),
	});
	readonly timeline = new TimelineView(byId<HTMLCanvasElement>("timeline"), {
		select: (from, until) => this.change({ from: String(from), until: String(until) }),
		reset: () => this.change({ from: this.moving, until: "now" }),
		value: (text) => say(byId("timeline-value"), text),
	});
	private chooser = new Chooser({
		type: (type) => this.change({ type, zoom: [] }),
		selector: (selector) => this.change({ selector, zoom: [] }),
	});
	private ranges = new RangeBar({
		range: (from, until) => this.change({ from, until }),
		live: (live) => this.change({ live }, false),
	});
	private top = new TopTable({
		sort: (sort) => this.change({ sort }, false),
		search: (name) => this.change({ search: exactly(name) }),
	});
	private crumbs = new Crumbs((box) => this.zoomTo(box), (box) => void this.copy(box));
	private legend = new Legend((search) => this.change({ search: search === this.state.search ? "" : search }));
	private cut = new CutNote(() => this.change({ search: this.state.search === CUT_SEARCH ? "" : CUT_SEARCH }));
	readonly loader = new Loader({
		state: () => this.state,
		wantsTop: () => this.hasTable(),
		busy: (on) => document.body.classList.toggle("busy", on),
		loaded: (data, top) => this.loaded(data, top),
		failed: (e) => this.failed(e),
	});

	inspector(): Inspector {
		return inspector(this);
	}

	async start(): Promise<void> {
		this.listen();
		this.show();
		void this.pollStatus();
		try {
			const types = await api.profileTypes();
			this.chooser.types(types);
			if (!this.state.type && types.length)
				this.state.type = types.includes(DEFAULT_TYPE) ? DEFAULT_TYPE : types[0];
		} catch {
			/* the answer to the query will say what is wrong */
		}
		if (!this.state.type)
			this.state.type = DEFAULT_TYPE;
		history.replaceState(null, "", toUrl(this.state));
		this.show();
		this.loader.update();
	}

	private listen(): void {
		window.addEventListener("popstate", () => {
			const had = this.state;
			this.state = readUrl(location);
			this.state.type = this.state.type || had.type;
			this.apply(had);
		});
		window.addEventListener("keydown", (e) => this.key(e));
		this.search.addEventListener("input", () => this.change({ search: this.search.value }, false));
		byId("search-clear").addEventListener("click", () => {
			this.change({ search: "" }, false);
			this.search.focus();
		});
		byId("theme").addEventListener("click", () => {
			toggleTheme();
			this.retheme();
		});
		byId("table-toggle").addEventListener("click", () => {
			this.change({ table: !this.hasTable() }, false);
			if (this.hasTable())
				this.loader.load();
		});
		byId("retry").addEventListener("click", () => this.loader.load());
		byId("wider").addEventListener("click", () => this.change({ from: "now-24h", until: "now" }));
		byId("everything").addEventListener("click", () => this.change({ selector: "{}" }));
		WIDE.addEventListener("change", () => {
			this.show();
			if (this.hasTable())
				this.loader.load();
		});
		onSystemTheme(() => this.retheme());
	}

	private hasTable(): boolean {
		return this.state.table ?? WIDE.matches;
	}

	/** push: a step that Back undoes. */
	private change(patch: Partial<State>, push = true): void {
		const had = this.state;
		this.state = { ...had, ...patch };
		const url = toUrl(this.state);
		if (url === toUrl(had))
			return;
		if (push)
			history.pushState(null, "", url);
		else
			history.replaceState(null, "", url);
		this.apply(had);
	}

	private apply(had: State): void {
		if (isLive(this.state.until))
			this.moving = this.state.from;
		this.show();
		if (had.search !== this.state.search)
			this.find();
		if (had.zoom.join("\n\n") !== this.state.zoom.join("\n\n"))
			this.rezoom(true);
		if (had.live !== this.state.live && this.state.live && isLive(this.state.until))
			this.loader.load();
		else
			this.loader.update();
	}

	/** The controls as the state has them. */
	private show(): void {
		const s = this.state;
		this.chooser.show(s);
		this.ranges.show(s);
		this.top.sort(s.sort);
		if (this.search.value !== s.search)
			this.search.value = s.search;
		byId("search-clear").hidden = !s.search;
		const table = this.hasTable();
		document.body.classList.toggle("with-table", table);
		byId("top").hidden = !table;
		byId("table-toggle").setAttribute("aria-pressed", String(table));
		for (const format of ["folded", "pprof"] as const)
			byId<HTMLAnchorElement>(`as-${format}`).href = api.exportAddress(s, format);
	}

	private loaded(data: api.Render, top: api.Top | null): void {
		this.unit = unitOf(this.state.type);
		this.chooser.complain("");
		this.flame = new Flame(data);
		if (this.flame.nr === 0 || this.flame.total[0] === 0)
			this.flame = null;
		this.flameView.show(this.flame, this.flame ? colours(this.flame, isDark()) : []);
		this.timeline.show(data.timeline ?? null, this.unit);
		this.top.show(top, this.unit);
		this.legend.show(this.flame, isDark());
		this.cut.show(data.metadata?.cut, this.flame?.total[0] ?? 0, this.unit);
		this.notice(this.flame ? "" : "empty", "No samples here", "Nothing was recorded for this selector in this range.");
		this.rezoom(false);
		this.find();
		if (!this.flame)
			this.tooltip.hide();
	}

	private failed(e: api.ApiError): void {
		if (e.status >= 400 && e.status < 500) {
			this.chooser.complain(e.message);
			this.notice("refused", "The daemon cannot answer this", middle(shown(e.message), 500));
			return;
		}
		this.chooser.complain("");
		this.notice("down", e.status === 0 ? "The daemon does not answer" : "The daemon could not answer",
			e.status === 0 ? "Trying again every few seconds." : middle(shown(e.message), 500));
	}

	private notice(kind: "" | "empty" | "refused" | "down", title: string, text: string): void {
		const e = byId("notice");
		e.hidden = kind === "";
		e.dataset.kind = kind;
		document.body.classList.toggle("stale", kind === "refused" || kind === "down");
		say(byId("notice-title"), kind ? title : "");
		say(byId("notice-text"), kind ? text : "");
		byId("wider").hidden = kind !== "empty";
		byId("everything").hidden = !(kind === "empty" || kind === "refused") || this.state.selector === "{}";
		byId("retry").hidden = kind !== "down";
	}

	private rezoom(animate: boolean): void {
		const f = this.flame;
		this.zoomed = f ? f.find(this.state.zoom) : 0;
		this.flameView.zoom(this.zoomed, animate);
		this.crumbs.show(f, this.zoomed);
		this.count();
		say(byId("total"), f ? weight(f.total[0], this.unit) : "");
	}

	private zoomTo(box: number): void {
		const f = this.flame;
		if (!f)
			return;
		this.change({ zoom: f.path(box) });
	}

	private find(): void {
		const text = this.state.search;
		this.hit = this.flame ? hits(this.flame, text) : null;
		this.flameView.highlight(this.hit);
		const object = text.startsWith("@");
		const needle = object ? text.slice(1) : text;
		const test = needle ? matcher(needle) : null;
		this.top.highlight(test ? (name, o) => test(object ? o : name) : null);
		this.count();
	}

	private count(): void {
		const f = this.flame;
		say(byId("matched"), f && this.hit
			? `${percent(f.matched(this.hit, this.zoomed), f.total[this.zoomed])} matched` : "");
	}

	private hover(box: number, x: number, y: number): void {
		if (box < 0 || !this.flame)
			this.tooltip.hide();
		else
			this.tooltip.show(this.flame, box, this.zoomed, this.unit, x, y);
	}

	private describe(box: number): void {
		const f = this.flame;
		if (!f)
			return;
		const text = facts(f, box, this.zoomed, this.unit).map(([k, v]) => `${k} ${v}`).join(", ");
		say(this.announcer, `${middle(shown(f.nameOf(box)), 200)}: ${text}`);
	}

	private async copy(box: number): Promise<void> {
		const name = this.flame?.nameOf(box) ?? "";
		try {
			await navigator.clipboard.writeText(name);
			say(this.announcer, "Name copied");
		} catch {
			say(this.announcer, "The browser does not allow copying here");
		}
	}

	private key(e: KeyboardEvent): void {
		const typing = e.target instanceof HTMLInputElement || e.target instanceof HTMLSelectElement;
		if ((e.key === "f" && (e.ctrlKey || e.metaKey) && !e.shiftKey) || (e.key === "/" && !typing)) {
			e.preventDefault();
			this.search.focus();
			this.search.select();
		} else if (e.key === "Escape" && e.target === this.search && this.search.value) {
			e.preventDefault();
			this.change({ search: "" }, false);
		} else if (e.key === "Escape" && e.target === this.search) {
			byId("flame").focus();
		} else if (e.key === "Escape" && !typing) {
			this.change({ zoom: [] });
		}
	}

	private retheme(): void {
		this.flameView.recolour(this.flame ? colours(this.flame, isDark()) : []);
		this.legend.show(this.flame, isDark());
		this.timeline.draw();
	}

	private async pollStatus(): Promise<void> {
		if (!document.hidden) {
			try {
				this.status.show(await api.status());
			} catch (e) {
				if (e instanceof api.ApiError && e.status === 0)
					this.status.down();
			}
		}
		setTimeout(() => void this.pollStatus(), STATUS_MS);
	}
}
