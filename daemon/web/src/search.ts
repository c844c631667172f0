// SPDX-License-Identifier: Apache-2.0
// What a search finds: a regular expression, or the plain text where it is
// none; "@..." looks at objects. Capitals make it case-sensitive.

import { Flame } from "./flame";

// Keeps a careless expression from hanging on a hostile name.
const REGEX_NAME_MAX = 2000;

export function matcher(text: string): (name: string) => boolean {
	const flags = /[A-Z]/.test(text.replace(/\\./g, "")) ? "" : "i";
	try {
		const re = new RegExp(text, flags);
		return (name) => re.test(name.length > REGEX_NAME_MAX ? name.slice(0, REGEX_NAME_MAX) : name);
	} catch {
		const plain = flags ? text.toLowerCase() : text;
		return (name) => (flags ? name.toLowerCase() : name).includes(plain);
	}
}

/** Per name of the flame graph 1 or 0; null without a search. */
export function hits(flame: Flame, text: string): Uint8Array | null {
	const object = text.startsWith("@");
	const needle = object ? text.slice(1) : text;
	if (!needle)
		return null;
	const test = matcher(needle);
	return Uint8Array.from(object ? flame.objects : flame.names, (name, i) => i > 0 && test(name) ? 1 : 0);
}

function escape(text: string): string {
	return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** A search for exactly this name. */
export function exactly(name: string): string {
	return name.length > REGEX_NAME_MAX ? `^${escape(name.slice(0, 200))}` : `^${escape(name)}$`;
}
