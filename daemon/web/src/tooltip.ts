// SPDX-License-Identifier: Apache-2.0
// What is under the pointer, in full.

import { byId, make } from "./dom";
import { Flame } from "./flame";
import { Unit, middle, percent, shown, weight } from "./format";

const NAME_MAX = 600;

/** The lines about a box: label and value. */
export function facts(flame: Flame, box: number, zoomed: number, unit: Unit): [string, string][] {
	const all = flame.total[0];
	const total = flame.total[box];
	const self = flame.self[box];
	const lines: [string, string][] = [
		["Total", `${weight(total, unit)} · ${percent(total, all)}`],
		["Self", `${weight(self, unit)} · ${percent(self, all)}`],
	];
	if (zoomed > 0)
		lines.push(["Of the zoomed", percent(Math.min(total, flame.total[zoomed]), flame.total[zoomed])]);
	return lines;
}

export class Tooltip {
	private element = byId("tooltip");
	private shown = "";

	hide(): void {
		this.element.hidden = true;
		this.shown = "";
	}

	show(flame: Flame, box: number, zoomed: number, unit: Unit, x: number, y: number): void {
		const lines = facts(flame, box, zoomed, unit);
		const name = middle(shown(flame.nameOf(box)), NAME_MAX);
		const object = middle(shown(flame.objectOf(box)), NAME_MAX);
		const key = [name, object, ...lines].join("\n");
		const e = this.element;
		if (key !== this.shown) {
			this.shown = key;
			const list = make("dl");
			for (const [k, v] of lines)
				list.append(make("dt", "", k), make("dd", "", v));
			e.replaceChildren(make("div", "name", name), make("div", "object", object), list);
		}
		e.hidden = false;
		// Right below the pointer, or on its other side where the window ends.
		const left = x + 14 + e.offsetWidth > innerWidth ? x - 14 - e.offsetWidth : x + 14;
		const top = y + 18 + e.offsetHeight > innerHeight ? y - 12 - e.offsetHeight : y + 18;
		e.style.transform = `translate(${Math.max(4, Math.round(left))}px, ${Math.max(4, Math.round(top))}px)`;
	}
}
