// SPDX-License-Identifier: Apache-2.0
// The daemon's HTTP API, as far as the page uses it.

import { State, queryOf } from "./state";

export interface Flamebearer {
	names: string[];
	/** Per level: [x after the one before, total, self, name] for each box. */
	levels: number[][];
	numTicks: number;
}

export interface Render {
	flamebearer: Flamebearer;
	timeline?: { startTime: number; samples: number[]; durationDelta: number };
	/** Our extension: index[n] is the object of flamebearer.names[n]. */
	objects?: { names: string[]; index: number[] };
	/** cut, our extension: what cut stacks weigh, by reason. */
	metadata?: { cut?: Record<string, number> };
}

export interface Series {
	labels: Record<string, string>;
	total: number;
}

export interface Top {
	total: number;
	functions: { name: string; object: string; self: number; total: number }[];
}

/** status: the HTTP code, 0 when the daemon did not answer. */
export class ApiError extends Error {
	constructor(message: string, readonly status: number) {
		super(message);
	}
}

type Params = Record<string, string>;

const TIMEOUT_MS = 30000;
export const TOP_MAX = 2000;

function address(path: string, params: Params): string {
	return `${path}?${new URLSearchParams(params)}`;
}

async function get<T>(path: string, params: Params, signal?: AbortSignal): Promise<T> {
	const abort = new AbortController();
	const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
	const forward = (): void => abort.abort();
	signal?.addEventListener("abort", forward);
	try {
		const response = await fetch(address(path, params), { signal: abort.signal });
		const text = await response.text();
		let body: unknown;
		try {
			body = JSON.parse(text);
		} catch {
			throw new ApiError(response.ok ? "The daemon's answer is not JSON."
				: text.slice(0, 500) || `HTTP ${response.status}`, response.status);
		}
		if (!response.ok) {
			const message = (body as { message?: unknown } | null)?.message;
			throw new ApiError(typeof message === "string" ? message
				: `HTTP ${response.status}`, response.status);
		}
		return body as T;
	} catch (e) {
		if (e instanceof ApiError || signal?.aborted)
			throw e;
		throw new ApiError("The daemon does not answer.", 0);
	} finally {
		clearTimeout(timer);
		signal?.removeEventListener("abort", forward);
	}
}

function rangeParams(s: State): Params {
	return { query: queryOf(s), from: s.from, until: s.until };
}

export function render(s: State, signal: AbortSignal): Promise<Render> {
	return get("/pyroscope/render", {
		...rangeParams(s),
		"max-nodes": String(s.nodes),
		format: "json",
	}, signal);
}

export function exportAddress(s: State, format: "folded" | "pprof"): string {
	return address("/pyroscope/render", { ...rangeParams(s), format });
}

export function top(s: State, signal: AbortSignal): Promise<Top> {
	return get("/api/v1/top", { ...rangeParams(s), n: String(TOP_MAX) }, signal);
}

export function series(s: State, label: string): Promise<Series[]> {
	return get("/api/v1/series", {
		query: `${s.type}{}`,
		from: s.from,
		until: s.until,
		groupBy: label,
	});
}

export function labelNames(): Promise<string[]> {
	return get("/pyroscope/label-names", {});
}

export function profileTypes(): Promise<string[]> {
	return get("/pyroscope/label-values", { label: "__profile_type__" });
}

export function status(): Promise<Record<string, unknown>> {
	return get("/api/v1/status", {});
}
