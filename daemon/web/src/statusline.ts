// SPDX-License-Identifier: Apache-2.0
// The daemon in one line. Takes what /api/v1/status has and leaves out the rest.

import { byId, make } from "./dom";
import { integer } from "./format";

type Json = Record<string, unknown>;

/** The first number (or text) among these members, at the top or one level down. */
function find<T extends "number" | "string">(s: Json, kind: T, names: string[]): (T extends "number" ? number : string) | undefined {
	const places = [s, ...Object.values(s).filter((v): v is Json => typeof v === "object" && v !== null && !Array.isArray(v))];
	for (const name of names)
		for (const place of places)
			if (typeof place[name] === kind)
				return place[name] as T extends "number" ? number : string;
	return undefined;
}

export class StatusLine {
	private element = byId("status");
	private samples = -1;
	private lost = -1;
	private at = 0;
	private rate = "";

	show(s: Json): void {
		const now = performance.now();
		const samples = find(s, "number", ["samples", "samples_total", "nr_samples"]);
		const perSecond = find(s, "number", ["samples_per_second", "samples_per_s"]);
		if (perSecond !== undefined)
			this.rate = `${integer(perSecond)} samples/s`;
		else if (samples !== undefined && this.samples >= 0 && samples >= this.samples && now > this.at)
			this.rate = `${integer(((samples - this.samples) * 1000) / (now - this.at))} samples/s`;
		this.samples = samples ?? -1;
		this.at = now;
		const lost = find(s, "number", ["lost", "samples_lost", "nr_lost"]);
		const cpus = find(s, "number", ["cpus", "nr_cpus", "cpus_online"]);
		const rate = find(s, "number", ["rate_hz", "frequency", "hz"]);
		const version = find(s, "string", ["version", "daemon_version"]);
		this.put([
			this.rate || (samples !== undefined ? `${integer(samples)} samples` : ""),
			lost !== undefined ? `${integer(lost)} lost` : "",
			cpus !== undefined ? `${integer(cpus)} CPUs` : "",
			rate !== undefined ? `${integer(rate)} Hz` : "",
			version !== undefined ? `kstrata ${version.slice(0, 40)}` : "",
		], this.lost >= 0 && lost !== undefined && lost > this.lost);
		this.lost = lost ?? -1;
	}

	down(): void {
		this.samples = -1;
		this.lost = -1;
		this.rate = "";
		this.put(["The daemon does not answer"], true);
	}

	private put(parts: string[], warn: boolean): void {
		this.element.classList.toggle("warn", warn);
		this.element.replaceChildren(...parts.filter(Boolean).map((p) => make("span", "", p)));
	}
}
