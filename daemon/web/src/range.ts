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

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** Unix seconds of a bound, or NaN. */
export function resolve(bound: string, now: number): number {
	if (bound === "now")
		return now;
	const m = /^now-(\d+)([smhdw])$/.exec(bound);
	if (m)
		return now - Number(m[1]) * UNITS[m[2]];
	if (!/^\d{1,19}$/.test(bound))
		return NaN;
	let n = Number(bound);
	// As the daemon reads them: seconds, milliseconds, microseconds, nanoseconds.
	while (n > 1e11)
		n /= 1000;
	return n;
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
