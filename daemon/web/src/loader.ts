// SPDX-License-Identifier: Apache-2.0
// Asks for what the state names, one request at a time; asks again by itself
// while the page is live, visible, or without an answer.

import * as api from "./api";
import { isLive, seconds } from "./range";
import { State, queryOf } from "./state";

export interface LoaderListener {
	state(): State;
	/** Whether the flat view is wanted too. */
	wantsTop(): boolean;
	busy(on: boolean): void;
	loaded(data: api.Render, top: api.Top | null): void;
	failed(error: api.ApiError): void;
}

const SHORT_RANGE = 900; /* seconds: refreshed every 5 s, longer ones every 10 s */

export class Loader {
	private abort: AbortController | null = null;
	private timer = 0;
	private key = "";
	private failing = false;
	/** Answers drawn so far. */
	count = 0;

	constructor(private listener: LoaderListener) {
		document.addEventListener("visibilitychange", () => {
			if (document.hidden)
				clearTimeout(this.timer);
			else if (this.due())
				this.load();
		});
	}

	private keyOf(s: State): string {
		return [queryOf(s), s.from, s.until, s.nodes].join("\n");
	}

	private due(): boolean {
		const s = this.listener.state();
		return this.failing || (s.live && isLive(s.until));
	}

	/** Loads if the state asks for other data than what is there. */
	update(): void {
		if (this.keyOf(this.listener.state()) !== this.key)
			this.load();
		else
			this.plan();
	}

	load(): void {
		clearTimeout(this.timer);
		this.abort?.abort();
		const abort = new AbortController();
		this.abort = abort;
		this.key = this.keyOf(this.listener.state());
		void this.run(abort);
	}

	private async run(abort: AbortController): Promise<void> {
		const s = this.listener.state();
		this.listener.busy(true);
		try {
			const [data, top] = await Promise.all([
				api.render(s, abort.signal),
				this.listener.wantsTop() ? api.top(s, abort.signal).catch((e) => {
					if (abort.signal.aborted)
						throw e;
					return null;
				}) : null,
			]);
			if (abort.signal.aborted)
				return;
			this.failing = false;
			this.count++;
			this.listener.loaded(data, top);
		} catch (e) {
			if (abort.signal.aborted)
				return;
			const error = e instanceof api.ApiError ? e : new api.ApiError(String(e), -1);
			// The daemon may come back; a refusal stays one.
			this.failing = error.status === 0 || error.status >= 500;
			this.listener.failed(error);
		}
		this.listener.busy(false);
		this.plan();
	}

	private plan(): void {
		clearTimeout(this.timer);
		if (document.hidden || !this.due())
			return;
		const s = this.listener.state();
		const wait = this.failing || seconds(s.from, s.until) <= SHORT_RANGE ? 5000 : 10000;
		this.timer = window.setTimeout(() => this.load(), wait);
	}
}
