// SPDX-License-Identifier: Apache-2.0
// Which profile type and which series: a list with totals to search in.

import * as api from "./api";
import { button, byId, disclose, make, say } from "./dom";
import { middle, percent, shown, typeLabel, unitOf, weight } from "./format";
import { State } from "./state";

const ROWS_MAX = 400;

export interface ChooserListener {
	type(type: string): void;
	selector(selector: string): void;
}

/** A label value as a selector writes it. */
function quoted(value: string): string {
	return JSON.stringify(value);
}

/** The service the button names: that of the simplest selectors only. */
function labelOf(selector: string): string {
	const inner = selector.replace(/^\{\s*|\s*,?\s*\}$/g, "");
	if (!inner)
		return "All series";
	const m = /^[A-Za-z_]\w*\s*=\s*("(?:[^"\\]|\\.)*")$/.exec(inner);
	try {
		return m ? JSON.parse(m[1]) || "(none)" : "Custom";
	} catch {
		return "Custom";
	}
}

export class Chooser {
	private type = byId<HTMLSelectElement>("type");
	private opener = byId<HTMLButtonElement>("service");
	private panel = byId("series-panel");
	private search = byId<HTMLInputElement>("series-search");
	private by = byId<HTMLSelectElement>("series-by");
	private list = byId("series-list");
	private note = byId("series-note");
	private selector = byId<HTMLInputElement>("selector");
	private rows: api.Series[] = [];
	private state: State | null = null;
	private asked = 0;
	private close: () => void;

	constructor(private listener: ChooserListener) {
		this.close = disclose(this.opener, this.panel, () => this.open());
		this.type.addEventListener("change", () => listener.type(this.type.value));
		this.search.addEventListener("input", () => this.fill());
		this.by.addEventListener("change", () => void this.load());
		byId<HTMLFormElement>("selector-form").addEventListener("submit", (e) => {
			e.preventDefault();
			const text = this.selector.value.trim();
			listener.selector(text === "" ? "{}" : text.startsWith("{") ? text : `{${text}}`);
		});
		this.panel.addEventListener("keydown", (e) => this.key(e));
	}

	types(types: string[]): void {
		const all = this.state?.type && !types.includes(this.state.type) ? [this.state.type, ...types] : types;
		this.type.replaceChildren(...all.map((t) => {
			const o = make("option", "", middle(shown(typeLabel(t)), 60));
			o.value = t;
			o.title = t;
			return o;
		}));
		if (this.state)
			this.type.value = this.state.type;
	}

	show(state: State): void {
		this.state = state;
		if (this.type.value !== state.type && state.type) {
			if (!Array.from(this.type.options).some((o) => o.value === state.type))
				this.types([state.type, ...Array.from(this.type.options, (o) => o.value)]);
			this.type.value = state.type;
		}
		this.type.title = state.type;
		if (document.activeElement !== this.selector)
			this.selector.value = state.selector;
		byId("service-name").textContent = middle(shown(labelOf(state.selector)), 48);
		this.opener.title = shown(state.selector).slice(0, 300);
	}

	/** What the daemon thinks is wrong with the selector; "" for nothing. */
	complain(message: string): void {
		this.selector.setAttribute("aria-invalid", message ? "true" : "false");
		this.selector.title = message;
	}

	private open(): void {
		this.search.value = "";
		this.search.focus();
		void this.load();
		void this.loadLabels();
	}

	private async loadLabels(): Promise<void> {
		try {
			const names = (await api.labelNames()).filter((n) => !n.startsWith("__"));
			const had = this.by.value;
			this.by.replaceChildren(...Array.from(new Set(["service_name", ...names]), (n) => {
				const o = make("option", "", shown(n).slice(0, 60));
				o.value = n;
				return o;
			}));
			this.by.value = names.includes(had) ? had : "service_name";
		} catch {
			/* the list by service_name stays */
		}
	}

	private async load(): Promise<void> {
		if (!this.state)
			return;
		const mine = ++this.asked;
		if (!this.rows.length)
			say(this.note, "Loading …");
		try {
			const rows = await api.series(this.state, this.by.value || "service_name");
			if (mine !== this.asked)
				return;
			const type = this.state.type;
			this.rows = rows.filter((r) => (r.labels.__profile_type__ ?? type) === type);
			this.fill();
		} catch (e) {
			if (mine === this.asked) {
				this.rows = [];
				this.fill();
				say(this.note, e instanceof Error ? e.message : String(e));
			}
		}
	}

	private pick(selector: string): void {
		this.close();
		this.opener.focus();
		this.listener.selector(selector);
	}

	private row(name: string, total: number, whole: number, selector: string): HTMLElement {
		const b = button("row", "", () => this.pick(selector));
		const unit = unitOf(this.state?.type ?? "");
		b.append(make("span", "name", middle(shown(name), 160)), make("span", "num", weight(total, unit)),
			make("span", "num pct", percent(total, whole)));
		b.style.setProperty("--share", `${whole > 0 ? (100 * total) / whole : 0}%`);
		b.title = shown(name).slice(0, 1000);
		b.setAttribute("aria-current", String(this.state?.selector === selector));
		const li = make("li");
		li.append(b);
		return li;
	}

	private fill(): void {
		const label = this.by.value || "service_name";
		const whole = this.rows.reduce((s, r) => s + r.total, 0);
		const needle = this.search.value.trim().toLowerCase();
		const found = this.rows.filter((r) => (r.labels[label] ?? "").toLowerCase().includes(needle));
		const rows = found.slice(0, ROWS_MAX).map((r) => {
			const value = r.labels[label] ?? "";
			return this.row(value || "(none)", r.total, whole, `{${label}=${quoted(value)}}`);
		});
		if (!needle)
			rows.unshift(this.row("All series", whole, whole, "{}"));
		this.list.replaceChildren(...rows);
		say(this.note, found.length === 0 ? (needle ? "Nothing has this name." : "No series in this range.")
			: found.length > ROWS_MAX ? `${ROWS_MAX} of ${found.length}: search to see others` : `${found.length} of ${this.rows.length}`);
	}

	private key(e: KeyboardEvent): void {
		if (e.key !== "ArrowDown" && e.key !== "ArrowUp" && e.key !== "Enter")
			return;
		const rows = Array.from(this.list.querySelectorAll("button"));
		const at = rows.indexOf(document.activeElement as HTMLButtonElement);
		if (e.key === "Enter") {
			if (at < 0 && e.target === this.search && rows.length) {
				e.preventDefault();
				rows[0].click();
			}
			return;
		}
		if (e.target === this.by)
			return;
		e.preventDefault();
		const next = at + (e.key === "ArrowDown" ? 1 : -1);
		if (next < 0)
			this.search.focus();
		else
			rows[Math.min(next, rows.length - 1)]?.focus();
	}
}
