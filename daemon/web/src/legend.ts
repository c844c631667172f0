// SPDX-License-Identifier: Apache-2.0
// Whose code the colours are: the objects by what they use themselves.

import { button, byId, make } from "./dom";
import { Flame } from "./flame";
import { basename, middle, percent, shown } from "./format";
import { legend } from "./palette";
import { exactly } from "./search";

const ENTRIES = 8;

export class Legend {
	private element = byId("legend");

	constructor(private search: (text: string) => void) {}

	show(flame: Flame | null, dark: boolean): void {
		const entries = flame && flame.nr ? legend(flame, dark).slice(0, ENTRIES) : [];
		this.element.replaceChildren(...entries.map((entry) => {
			const b = button("entry", "", () => this.search(`@${exactly(entry.object)}`));
			const swatch = make("span", "swatch");
			swatch.style.backgroundColor = entry.colour;
			b.append(swatch, make("span", "", middle(shown(basename(entry.object)), 28)),
				make("span", "num", percent(entry.self, (flame as Flame).total[0])));
			b.title = `Self weight of ${middle(shown(entry.object), 400)}: click to highlight`;
			const li = make("li");
			li.append(b);
			return li;
		}));
		this.element.hidden = entries.length === 0;
	}
}
