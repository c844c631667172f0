// SPDX-License-Identifier: Apache-2.0
// Colours of boxes by kind: kernel warm, kernel modules amber, user code in
// calm hues by its object, what is not known grey, what stands for missing
// frames a paler grey.

import { Flame } from "./flame";

export type Kind = "root" | "kernel" | "module" | "user" | "unknown" | "cut";

/** Hues that stay clear of the kernel's and of the search highlight. */
const USER_HUES = [206, 158, 262, 104, 234, 182, 292, 130, 80];

/** The hue an object got when it was first seen: kept, so that colours hold still. */
const hues = new Map<string, number>();
const HUES_KEPT = 20000;

function hash(s: string): number {
	let h = 0x811c9dc5;
	const n = Math.min(s.length, 256);
	for (let i = 0; i < n; i++)
		h = Math.imul(h ^ s.charCodeAt(i), 0x01000193);
	h ^= h >>> 15;
	return (Math.imul(h, 0x2c1b3c6d) ^ (h >>> 7)) >>> 0;
}

export function kindOf(name: string, object: string): Kind {
	if (!object && /^\[cut: [a-z ]+\]$/.test(name))
		return "cut";
	if (object === "[kernel]" || (!object && name.endsWith("_[k]")))
		return "kernel";
	if (/^\[(?!vdso|vsyscall|unknown|anon|heap|stack|jit)[\w.-]+\]$/.test(object))
		return "module";
	if (object === "[unknown]" || name === "" || /^(\[unknown\]|0x[0-9a-f]+|other)$/.test(name))
		return "unknown";
	return "user";
}

/** By hash; the first objects (the heaviest) move on to a hue of their own. */
function hueOf(key: string): number {
	let hue = hues.get(key);
	if (hue === undefined) {
		const h = hash(key);
		let i = h % USER_HUES.length;
		if (hues.size < USER_HUES.length) {
			const taken = new Set(hues.values());
			while (taken.has(USER_HUES[i]))
				i = (i + 1) % USER_HUES.length;
		}
		hue = USER_HUES[i];
		if (hues.size < HUES_KEPT)
			hues.set(key, hue);
	}
	return hue;
}

function colour(kind: Kind, key: string, name: string, dark: boolean): string {
	// A little difference in lightness tells neighbours apart.
	const shade = (hash(name) % 7) - 3;
	switch (kind) {
	case "root":
		return dark ? "hsl(210 6% 30%)" : "hsl(210 10% 86%)";
	case "unknown":
		return dark ? `hsl(210 4% ${35 + shade}%)` : `hsl(210 5% ${82 + shade / 2}%)`;
	case "cut":
		return dark ? "hsl(210 4% 24%)" : "hsl(210 8% 92%)";
	case "kernel":
		return dark ? `hsl(16 40% ${40 + shade}%)` : `hsl(18 72% ${78 + shade}%)`;
	case "module":
		return dark ? `hsl(38 42% ${36 + shade}%)` : `hsl(40 72% ${74 + shade}%)`;
	case "user": {
		const hue = hueOf(key) + ((hash(key) >>> 8) % 9) - 4;
		return dark ? `hsl(${hue} 27% ${39 + shade}%)` : `hsl(${hue} 42% ${79 + shade}%)`;
	}
	}
}

/** One colour per name. Without an object (imported stacks) the name decides. */
export function colours(flame: Flame, dark: boolean): string[] {
	// The heaviest objects choose their hues first.
	if (hues.size < USER_HUES.length)
		legend(flame, dark);
	return flame.names.map((name, i) => {
		const object = flame.objects[i];
		const kind = i === 0 ? "root" : kindOf(name, object);
		return colour(kind, object || name, name, dark);
	});
}

export interface LegendEntry {
	object: string;
	label: string;
	colour: string;
	self: number;
}

/** The objects of the flame graph by what they use themselves. */
export function legend(flame: Flame, dark: boolean): LegendEntry[] {
	const self = new Map<string, number>();
	for (let b = 1; b < flame.nr; b++) {
		const object = flame.objectOf(b);
		if (object)
			self.set(object, (self.get(object) ?? 0) + flame.self[b]);
	}
	return Array.from(self, ([object, v]) => ({
		object,
		label: object,
		colour: colour(kindOf("x", object), object, "", dark),
		self: v,
	})).sort((a, b) => b.self - a.self);
}
