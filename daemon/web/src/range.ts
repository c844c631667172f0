// SPDX-License-Identifier: Apache-2.0
// Time ranges as the API writes them: "now-1h", "now", or unix seconds.

export const PRESETS: [string, string][] = [
	["1m", "1 minute"],
	["5m", "5 minutes"],
	["15m", "15 minutes"],
	["1h", "hour"],
	["6h", "6 hours"],
	["24h", "24 hours"],
	["7d", "7 days"],
];

export const DEFAULT_FROM = "now-1h";

const UNITS: Record<string, number> = {
	s: 1, m: 60, min: 60, h: 3600, d: 86400, w: 604800, M: 30 * 86400, y: 365 * 86400,
};

/** Unix seconds of a bound, or NaN: what the daemon makes of it. */
export function resolve(bound: string, now: number): number {
	const m = /^now(?:([+-])((?:\d+(?:min|[smhdwMy]))+))?$/.exec(bound);
	if (m) {
		let offset = 0;
		for (const [, n, unit] of (m[2] ?? "").matchAll(/(\d+)(min|[smhdwMy])/g))
			offset += Number(n) * UNITS[unit];
		return m[1] === "-" ? now - offset : now + offset;
	}
	if (!/^\d{1,20}$/.test(bound))
		return NaN;
	if (/^(19[7-9]|2\d\d)\d{5}$/.test(bound)) {
		const day = Date.parse(bound.replace(/^(....)(..)(..)$/, "$1-$2-$3"));
		if (!Number.isNaN(day))
			return day / 1000;
	}
	// Seconds, milliseconds, microseconds or nanoseconds, by the number of digits.
	return Number(bound) / [1, 1e3, 1e6, 1e9][Math.max(0, Math.ceil((bound.length - 11) / 3))];
}

export function valid(bound: string): boolean {
	return Number.isFinite(resolve(bound, 0));
}

/** A range that ends now moves with time: only such a one can be live. */
export function isLive(until: string): boolean {
	return until === "now";
}

export function seconds(from: string, until: string): number {
	const now = Date.now() / 1000;
	return resolve(until, now) - resolve(from, now);
}

/** The preset a range is, or "". */
export function presetOf(from: string, until: string): string {
	if (until !== "now" || !from.startsWith("now-"))
		return "";
	const p = from.slice(4);
	return PRESETS.some(([id]) => id === p) ? p : "";
}
