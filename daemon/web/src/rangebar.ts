// SPDX-License-Identifier: Apache-2.0
// Range presets, an absolute range, and the Live switch.

import { button, byId, disclose } from "./dom";
import { clock, date, localInput } from "./format";
import { PRESETS, isLive, presetOf, resolve } from "./range";
import { State } from "./state";

export interface RangeListener {
	range(from: string, until: string): void;
	live(on: boolean): void;
}

export class RangeBar {
	private presets = byId("presets");
	private custom = byId<HTMLButtonElement>("custom");
	private from = byId<HTMLInputElement>("from");
	private until = byId<HTMLInputElement>("until");
	private live = byId<HTMLButtonElement>("live");
	private state: State | null = null;

	constructor(listener: RangeListener) {
		for (const [id, name] of PRESETS) {
			const b = button("", id, () => listener.range(`now-${id}`, "now"));
			b.dataset.preset = id;
			b.title = `Last ${name}`;
			this.presets.append(b);
		}
		const panel = byId("custom-panel");
		const close = disclose(this.custom, panel, () => this.open());
		byId<HTMLFormElement>("custom-form").addEventListener("submit", (e) => {
			e.preventDefault();
			const a = new Date(this.from.value).getTime() / 1000;
			const b = new Date(this.until.value).getTime() / 1000;
			this.until.setCustomValidity(b > a ? "" : "The end must come after the start.");
			if (!this.until.reportValidity() || !(b > a))
				return;
			close();
			listener.range(String(Math.floor(a)), String(Math.ceil(b)));
		});
		for (const input of [this.from, this.until])
			input.addEventListener("input", () => this.until.setCustomValidity(""));
		this.live.addEventListener("click", () => listener.live(!this.state?.live));
	}

	private open(): void {
		const now = Date.now() / 1000;
		this.from.value = localInput(resolve(this.state?.from ?? "now-1h", now));
		this.until.value = localInput(resolve(this.state?.until ?? "now", now));
		this.from.focus();
	}

	show(state: State): void {
		this.state = state;
		const preset = presetOf(state.from, state.until);
		for (const b of this.presets.querySelectorAll("button"))
			b.setAttribute("aria-pressed", String(b.dataset.preset === preset));
		this.custom.setAttribute("aria-pressed", String(!preset));
		const moving = isLive(state.until);
		this.live.disabled = !moving;
		this.live.setAttribute("aria-pressed", String(moving && state.live));
		this.live.title = moving ? "Refresh by itself" : "A fixed range does not change: choose a range that ends now";
		this.custom.textContent = "Custom …";
		if (preset)
			return;
		const now = Date.now() / 1000;
		const a = resolve(state.from, now);
		const b = resolve(state.until, now);
		const tail = date(a) === date(b) ? "" : `${date(b).slice(5)} `;
		this.custom.textContent = moving ? state.from : `${date(a).slice(5)} ${clock(a)} – ${tail}${clock(b)}`;
	}
}
