// SPDX-License-Identifier: Apache-2.0
// The way from the root to the zoomed box.

import { button, byId, make } from "./dom";
import { Flame } from "./flame";
import { middle, percent, shown } from "./format";

const FIRST = 2;
const LAST = 5;

export class Crumbs {
	private element = byId("crumbs");
	private drawn = "";

	constructor(private zoom: (box: number) => void, private copy: (box: number) => void) {}

	show(flame: Flame | null, zoomed: number): void {
		const path = flame && flame.nr ? flame.ancestors(zoomed) : [];
		const all = path.map((b) => b === 0 ? "all" : middle(shown((flame as Flame).nameOf(b)), 60));
		const key = `${path.join()} ${all.join("\n")} ${flame?.total[zoomed]}`;
		if (key === this.drawn)
			return;
		this.drawn = key;
		this.element.hidden = path.length < 2;
		const list = make("ol");
		path.forEach((box, i) => {
			const skipped = path.length - FIRST - LAST;
			if (skipped > 0 && i >= FIRST && i < FIRST + skipped) {
				if (i === FIRST)
					list.append(make("li", "gap", `… ${skipped} …`));
				return;
			}
			const item = make("li");
			const b = button("", all[i], () => this.zoom(box));
			b.title = i ? middle(shown((flame as Flame).nameOf(box)), 600) : "Zoom out (Esc)";
			if (i === path.length - 1)
				b.setAttribute("aria-current", "location");
			item.append(b);
			list.append(item);
		});
		this.element.replaceChildren(list);
		if (!flame || path.length < 2)
			return;
		this.element.append(make("span", "share", `${percent(flame.total[zoomed], flame.total[0])}`),
			button("quiet", "Copy name", () => this.copy(zoomed)),
			button("quiet", "Zoom out", () => this.zoom(0)));
	}
}
