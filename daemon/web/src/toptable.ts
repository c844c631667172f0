// SPDX-License-Identifier: Apache-2.0
// The flat view: functions by self or total weight.

import { TOP_MAX, Top } from "./api";
import { button, byId, make, say } from "./dom";
import { Unit, basename, middle, percent, shown, weight } from "./format";
import { kindOf } from "./palette";

const ROWS_MAX = 200;

export interface TopListener {
	sort(by: "self" | "total"): void;
	search(name: string): void;
}

export class TopTable {
	private body = byId("top-body");
	private note = byId("top-note");
	private data: Top | null = null;
	private unit: Unit = "count";
	private by: "self" | "total" = "self";
	private test: ((name: string, object: string) => boolean) | null = null;

	constructor(private listener: TopListener) {
		for (const by of ["self", "total"] as const)
			byId(`sort-${by}`).addEventListener("click", () => listener.sort(by));
	}

	show(data: Top | null, unit: Unit): void {
		this.data = data;
		this.unit = unit;
		this.fill();
	}

	sort(by: "self" | "total"): void {
		if (by === this.by)
			return;
		this.by = by;
		this.fill();
	}

	/** Marks the rows a search finds. */
	highlight(test: ((name: string, object: string) => boolean) | null): void {
		this.test = test;
		for (const row of this.body.children)
			this.mark(row as HTMLTableRowElement);
	}

	private mark(row: HTMLTableRowElement): void {
		const f = this.data?.functions[Number(row.dataset.at)];
		row.classList.toggle("found", Boolean(f && this.test?.(f.name, f.object)));
	}

	private fill(): void {
		for (const by of ["self", "total"])
			byId(`head-${by}`).setAttribute("aria-sort", by === this.by ? "descending" : "none");
		const functions = this.data?.functions ?? [];
		const whole = this.data?.total ?? 0;
		const order = functions.map((_, i) => i).sort((a, b) => functions[b][this.by] - functions[a][this.by] || a - b);
		const had = document.activeElement instanceof HTMLElement && this.body.contains(document.activeElement)
			? document.activeElement.title : null;
		this.body.replaceChildren(...order.slice(0, ROWS_MAX).map((i) => this.row(i, whole)));
		if (had !== null)
			Array.from(this.body.querySelectorAll("button")).find((b) => b.title === had)?.focus();
		const of = functions.length >= TOP_MAX ? `more than ${TOP_MAX}` : String(functions.length);
		say(this.note, functions.length > ROWS_MAX ? `${ROWS_MAX} of ${of} functions` : `${functions.length} functions`);
	}

	private row(i: number, whole: number): HTMLTableRowElement {
		const f = (this.data as Top).functions[i];
		const row = make("tr");
		row.dataset.at = String(i);
		const name = make("td", `name ${kindOf(f.name, f.object)}`);
		const b = button("", middle(shown(f.name), 300), () => this.listener.search(f.name));
		b.title = middle(shown(f.name), 1000) + (f.object ? `\n${middle(shown(f.object), 1000)}` : "");
		const cell = make("div");
		cell.append(b);
		if (f.object)
			cell.append(make("span", "object", middle(shown(basename(f.object)), 60)));
		name.append(cell);
		row.append(name);
		for (const v of [f.self, f.total]) {
			const number = make("td", "num", percent(v, whole));
			number.title = weight(v, this.unit);
			number.style.setProperty("--share", `${whole > 0 ? (100 * v) / whole : 0}%`);
			row.append(number);
		}
		this.mark(row);
		return row;
	}
}
