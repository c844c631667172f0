// SPDX-License-Identifier: Apache-2.0
// Text in boxes: widths from a table of advances, so that thousands of names a
// frame need no measuring.

import { isHighSurrogate, shown } from "./format";

export class TextFitter {
	private advances = new Map<number, number>();
	private font = "";

	constructor(private ctx: CanvasRenderingContext2D) {}

	use(font: string): void {
		this.ctx.font = font;
		if (font !== this.font) {
			this.font = font;
			this.advances.clear();
		}
	}

	private advance(code: number): number {
		let a = this.advances.get(code);
		if (a === undefined) {
			a = this.ctx.measureText(String.fromCharCode(code)).width;
			this.advances.set(code, a);
		}
		return a;
	}

	/** The name, or as much of its two ends as fits; "" if nothing useful does. */
	fit(raw: string, width: number): string {
		// No more than this fits on any screen; spares work on endless names.
		const name = raw.length > 2000 ? shown(`${raw.slice(0, 1000)}…${raw.slice(-999)}`) : shown(raw);
		let used = 0;
		let i = 0;
		while (i < name.length && used <= width)
			used += this.advance(name.charCodeAt(i++));
		if (i === name.length && used <= width)
			return name;
		let head = 0;
		let tail = name.length;
		used = this.advance(0x2026);
		for (;;) {
			// Three parts head, two parts tail.
			const front = head * 2 <= (name.length - tail) * 3;
			used += this.advance(name.charCodeAt(front ? head : tail - 1));
			if (used > width)
				break;
			if (front)
				head++;
			else
				tail--;
		}
		if (isHighSurrogate(name, head - 1))
			head--;
		if (isHighSurrogate(name, tail - 1))
			tail++;
		return head < 2 ? "" : `${name.slice(0, head)}…${name.slice(tail)}`;
	}
}
