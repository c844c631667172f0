// SPDX-License-Identifier: Apache-2.0
// Small helpers over the DOM. Text only ever enters it through textContent.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
	const e = document.getElementById(id);
	if (!e)
		throw new Error(`no element ${id}`);
	return e as T;
}

export function make<K extends keyof HTMLElementTagNameMap>(
	tag: K, className = "", text = ""): HTMLElementTagNameMap[K] {
	const e = document.createElement(tag);
	if (className)
		e.className = className;
	if (text)
		e.textContent = text;
	return e;
}

export function button(className: string, text: string, click: () => void): HTMLButtonElement {
	const b = make("button", className, text);
	b.type = "button";
	b.addEventListener("click", click);
	return b;
}

/** Sets the text if it differs: a live region stays quiet otherwise. */
export function say(e: HTMLElement, text: string): void {
	if (e.textContent !== text)
		e.textContent = text;
}

export function variable(name: string): string {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Sizes a canvas to its element in device pixels; its size in CSS pixels. */
export function fit(canvas: HTMLCanvasElement): { width: number; height: number; ratio: number } {
	const ratio = window.devicePixelRatio || 1;
	const width = canvas.clientWidth;
	const height = canvas.clientHeight;
	const w = Math.max(1, Math.round(width * ratio));
	const h = Math.max(1, Math.round(height * ratio));
	if (canvas.width !== w || canvas.height !== h) {
		canvas.width = w;
		canvas.height = h;
	}
	canvas.getContext("2d")?.setTransform(ratio, 0, 0, ratio, 0, 0);
	return { width, height, ratio };
}

/** Calls draw once in the next frame, however often it is asked. */
export function framed(draw: () => void): () => void {
	let asked = false;
	return () => {
		if (asked)
			return;
		asked = true;
		requestAnimationFrame(() => {
			asked = false;
			draw();
		});
	};
}

export const calm = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A button that opens and closes a panel. */
export function disclose(opener: HTMLElement, panel: HTMLElement, opened: () => void): () => void {
	const close = (): void => {
		panel.hidden = true;
		opener.setAttribute("aria-expanded", "false");
	};
	opener.addEventListener("click", () => {
		if (!panel.hidden) {
			close();
			return;
		}
		panel.hidden = false;
		opener.setAttribute("aria-expanded", "true");
		opened();
	});
	document.addEventListener("pointerdown", (e) => {
		const t = e.target as Node;
		if (!panel.hidden && !panel.contains(t) && !opener.contains(t))
			close();
	});
	const escape = (e: KeyboardEvent): void => {
		if (e.key !== "Escape" || panel.hidden)
			return;
		e.stopPropagation();
		close();
		opener.focus();
	};
	panel.addEventListener("keydown", escape);
	opener.addEventListener("keydown", escape);
	return close;
}
