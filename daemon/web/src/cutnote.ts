// SPDX-License-Identifier: Apache-2.0
// How much of what is shown has stacks whose outer part is missing, and why.

import { byId, say } from "./dom";
import { Unit, middle, percent, shown, weight } from "./format";

/** What finds the frames that stand for what is missing. */
export const CUT_SEARCH = "^\\[cut: ";

export class CutNote {
	private element = byId<HTMLButtonElement>("cut");

	constructor(search: () => void) {
		this.element.addEventListener("click", search);
	}

	/** cut: weights by reason, of total. */
	show(cut: Record<string, number> | undefined, total: number, unit: Unit): void {
		const reasons = Object.entries(cut ?? {}).filter(([, v]) => v > 0).sort((a, b) => b[1] - a[1]);
		const sum = reasons.reduce((n, [, v]) => n + v, 0);
		this.element.hidden = reasons.length === 0;
		say(this.element, reasons.length ? `${percent(sum, total)} cut` : "");
		this.element.title = reasons.length
			? ["Stacks whose outer part is missing:", ...reasons.map(([reason, v]) =>
				`${middle(shown(reason.replace(/_/g, " ")), 40)}: ${percent(v, total)} (${weight(v, unit)})`)].join("\n")
			: "";
	}
}
