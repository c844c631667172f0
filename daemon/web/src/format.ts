// SPDX-License-Identifier: Apache-2.0
// Numbers, times and names as people read them.

export type Unit = "nanoseconds" | "bytes" | "count";

/** The unit of a five-part profile type (name:type:unit:period type:period unit). */
export function unitOf(profileType: string): Unit {
	const unit = profileType.split(":")[2];
	return unit === "nanoseconds" || unit === "bytes" ? unit : "count";
}

/** "CPU", "alloc space" ... from the five parts; the whole id is the title. */
export function typeLabel(profileType: string): string {
	const [name = "", type = ""] = profileType.split(":");
	const short = name.replace(/^process_/, "").replace(/_/g, " ");
	return short === type || !type ? short : `${short} · ${type.replace(/_/g, " ")}`;
}

function digits(v: number): string {
	const places = v >= 100 ? 0 : v >= 10 ? 1 : 2;
	return v.toFixed(places);
}

function scaled(v: number, step: number, units: string[]): string {
	let i = 0;
	while (v >= step && i < units.length - 1) {
		v /= step;
		i++;
	}
	return `${i === 0 ? String(Math.round(v * 100) / 100) : digits(v)}${units[i]}`;
}

export function weight(v: number, unit: Unit): string {
	if (unit === "bytes")
		return scaled(v, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]);
	if (unit === "count")
		return scaled(v, 1000, ["", " k", " M", " G", " T"]);
	if (v < 1e9)
		return scaled(v, 1000, [" ns", " µs", " ms", " s"]);
	const s = v / 1e9;
	if (s < 120)
		return `${digits(s)} s`;
	if (s < 7200)
		return `${digits(s / 60)} min`;
	return `${digits(s / 3600)} h`;
}

/** Of a timeline's step: CPUs for times, weight per second for the rest. */
export function rate(v: number, step: number, unit: Unit): string {
	if (unit === "nanoseconds")
		return `${digits(v / 1e9 / step)} CPUs`;
	return `${weight(v / step, unit)}/s`;
}

export function percent(part: number, whole: number): string {
	return whole > 0 ? `${((100 * part) / whole).toFixed(2)} %` : "–";
}

export function integer(v: number): string {
	return Math.round(v).toLocaleString("en-US");
}

const pad = (n: number): string => String(n).padStart(2, "0");

/** Local time of unix seconds. */
export function clock(t: number, seconds = true): string {
	const d = new Date(t * 1000);
	return `${pad(d.getHours())}:${pad(d.getMinutes())}${seconds ? `:${pad(d.getSeconds())}` : ""}`;
}

export function date(t: number): string {
	const d = new Date(t * 1000);
	return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
}

/** What <input type=datetime-local step=1> takes. */
export function localInput(t: number): string {
	return `${date(t)}T${clock(t)}`;
}

// Control and bidirectional characters can make one name look like another.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A name as it may be shown; names come from whatever ran on the host. */
export function shown(name: string): string {
	return name.replace(UNSAFE, "\ufffd");
}

/** At most max characters, cut in the middle: both ends of a name tell. */
export function middle(name: string, max: number): string {
	if (name.length <= max)
		return name;
	let head = Math.ceil((max - 1) * 0.6);
	let tail = name.length - (max - 1 - head);
	if (isHighSurrogate(name, head - 1))
		head--;
	if (isHighSurrogate(name, tail - 1))
		tail++;
	return `${name.slice(0, head)}…${name.slice(tail)}`;
}

/** Whether a cut after position i would split a character. */
export function isHighSurrogate(s: string, i: number): boolean {
	const c = s.charCodeAt(i);
	return c >= 0xd800 && c <= 0xdbff;
}

export function basename(path: string): string {
	const i = path.lastIndexOf("/");
	return i >= 0 && i < path.length - 1 ? path.slice(i + 1) : path;
}
