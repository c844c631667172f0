// SPDX-License-Identifier: Apache-2.0
// All the page shows is in its URL: what to ask the daemon for in the query
// string, how to look at it in the fragment, which never leaves the browser
// (a path of names can be long).

import { DEFAULT_FROM, valid } from "./range";

export interface State {
	/** Five-part id; "" until the daemon has named one. */
	type: string;
	/** With its braces. */
	selector: string;
	from: string;
	until: string;
	live: boolean;
	search: string;
	/** Path of names below the root; see Flame.path. */
	zoom: string[];
	/** null: as the width of the window suggests. */
	table: boolean | null;
	sort: "self" | "total";
	/** Of the flame graph, as the daemon's max-nodes; 0 = all. */
	nodes: number;
}

export const DEFAULT_NODES = 16384;

export function queryOf(s: State): string {
	return s.type + s.selector;
}

function splitQuery(query: string): { type: string; selector: string } {
	const brace = query.indexOf("{");
	if (brace < 0)
		return { type: query.trim(), selector: "{}" };
	return { type: query.slice(0, brace).trim(), selector: query.slice(brace) };
}

export function readUrl(url: Location): State {
	const q = new URLSearchParams(url.search);
	const h = new URLSearchParams(url.hash.slice(1));
	const from = q.get("from") ?? "";
	const until = q.get("until") ?? "";
	const nodes = q.get("max-nodes") ?? "";
	const table = h.get("table");
	return {
		...splitQuery(q.get("query") ?? ""),
		from: valid(from) ? from : DEFAULT_FROM,
		until: valid(until) ? until : "now",
		nodes: /^\d{1,7}$/.test(nodes) ? Number(nodes) : DEFAULT_NODES,
		live: h.get("live") !== "0",
		search: h.get("search") ?? "",
		zoom: h.getAll("z"),
		table: table === null ? null : table === "1",
		sort: h.get("sort") === "total" ? "total" : "self",
	};
}

export function toUrl(s: State): string {
	const q = new URLSearchParams({ query: queryOf(s), from: s.from, until: s.until });
	if (s.nodes !== DEFAULT_NODES)
		q.set("max-nodes", String(s.nodes));
	const h = new URLSearchParams();
	if (!s.live)
		h.set("live", "0");
	if (s.table !== null)
		h.set("table", s.table ? "1" : "0");
	if (s.sort !== "self")
		h.set("sort", s.sort);
	if (s.search)
		h.set("search", s.search);
	for (const name of s.zoom)
		h.append("z", name);
	const fragment = h.toString();
	return `?${q}${fragment ? `#${fragment}` : ""}`;
}
