// SPDX-License-Identifier: Apache-2.0
// The flame graph on its canvas: root on top, only what the scrolled window
// shows is drawn. Says through its listener what the user wants.

import { calm, fit, framed, variable } from "./dom";
import { Flame } from "./flame";
import { TextFitter } from "./text";

export const ROW = 20;
const TEXT_MIN = 22; /* px: narrower boxes bear no name */
const BOX_MIN = 0.5;
const ZOOM_MS = 160;

export interface FlameListener {
	zoom(box: number): void;
	/** The box under the pointer (at x, y of the window) or -1. */
	hover(box: number, x: number, y: number): void;
	/** The box the keyboard is on. */
	focus(box: number): void;
	copy(box: number): void;
}

export interface BoxRect {
	box: number;
	x: number;
	y: number;
	width: number;
	height: number;
}

interface Theme {
	paper: string;
	ink: string;
	hit: string;
	hitInk: string;
	ring: string;
	crumbs: string;
	font: string;
}

export class FlameView {
	private flame: Flame | null = null;
	private colours: string[] = [];
	private hit: Uint8Array | null = null;
	private zoomed = 0;
	private cursor = -1;
	private hovered = -1;
	private pointer: { x: number; y: number } | null = null;
	/** What is shown of the x axis, and where an animation takes it. */
	private view = { from: 0, until: 1 };
	private goal = { from: 0, until: 1 };
	private started = 0;
	private origin = { from: 0, until: 1 };
	private ctx: CanvasRenderingContext2D;
	private text: TextFitter;
	private theme!: Theme;
	readonly draw = framed(() => this.paint());

	constructor(
		private canvas: HTMLCanvasElement,
		private scroller: HTMLElement,
		private spacer: HTMLElement,
		private listener: FlameListener,
	) {
		this.ctx = canvas.getContext("2d", { alpha: false }) as CanvasRenderingContext2D;
		this.text = new TextFitter(this.ctx);
		this.readTheme();
		// The canvas is as high as the window onto it, not as the graph is deep.
		new ResizeObserver(() => {
			canvas.style.height = `${scroller.clientHeight}px`;
			this.draw();
		}).observe(scroller);
		scroller.addEventListener("scroll", () => {
			this.point();
			this.draw();
		});
		canvas.addEventListener("pointermove", (e) => {
			this.pointer = { x: e.clientX, y: e.clientY };
			this.point();
		});
		canvas.addEventListener("pointerleave", () => this.leave());
		canvas.addEventListener("click", (e) => {
			const box = this.boxAt(e.clientX, e.clientY);
			if (box >= 0)
				this.listener.zoom(box);
		});
		canvas.addEventListener("keydown", (e) => this.key(e));
		canvas.addEventListener("blur", this.draw);
		canvas.addEventListener("focus", () => {
			if (this.cursor < 0 && this.flame?.nr && canvas.matches(":focus-visible"))
				this.moveTo(this.zoomed);
			this.draw();
		});
	}

	readTheme(): void {
		this.theme = {
			paper: variable("--paper"),
			ink: variable("--box-ink"),
			hit: variable("--hit-box"),
			hitInk: variable("--hit-ink"),
			ring: variable("--ring"),
			crumbs: variable("--crumbs"),
			font: `11.5px ${variable("--sans")}`,
		};
		this.draw();
	}

	/** New data: the cursor follows its path of names. */
	show(flame: Flame | null, colours: string[]): void {
		const path = this.flame && this.cursor >= 0 ? this.flame.path(this.cursor) : null;
		this.flame = flame;
		this.colours = colours;
		this.hit = null;
		this.zoomed = 0;
		this.hovered = -1;
		this.cursor = flame && path ? flame.find(path) : -1;
		this.spacer.style.height = `${(flame?.depth ?? 0) * ROW}px`;
		this.draw();
	}

	recolour(colours: string[]): void {
		this.colours = colours;
		this.readTheme();
	}

	highlight(hit: Uint8Array | null): void {
		this.hit = hit;
		this.draw();
	}

	zoom(box: number, animate: boolean): void {
		const f = this.flame;
		if (!f || !f.nr)
			return;
		this.zoomed = box;
		this.goal = { from: f.x[box], until: f.x[box] + Math.max(f.total[box], 1) };
		if (animate && !calm()) {
			this.origin = { ...this.view };
			this.started = performance.now();
		} else {
			this.view = { ...this.goal };
			this.started = 0;
		}
		const top = f.level[box] * ROW;
		if (top < this.scroller.scrollTop || top + 4 * ROW > this.scroller.scrollTop + this.scroller.clientHeight)
			this.scroller.scrollTop = Math.max(0, top - 2 * ROW);
		this.point();
		this.draw();
	}

	/** Where boxes stand in the window once still, widest levels first. */
	rects(): BoxRect[] {
		const f = this.flame;
		const out: BoxRect[] = [];
		if (!f || !f.nr)
			return out;
		const area = this.canvas.getBoundingClientRect();
		const scale = area.width / (this.goal.until - this.goal.from);
		for (let l = 0; l < f.depth; l++) {
			for (let b = f.firstAt(l, this.goal.from); b < f.start[l + 1] && f.x[b] < this.goal.until; b++) {
				const from = Math.max(f.x[b], this.goal.from);
				const until = Math.min(f.end(b), this.goal.until);
				out.push({
					box: b,
					x: area.left + (from - this.goal.from) * scale,
					y: area.top + l * ROW - this.scroller.scrollTop,
					width: (until - from) * scale,
					height: ROW - 1,
				});
			}
		}
		return out;
	}

	private boxAt(x: number, y: number): number {
		const f = this.flame;
		if (!f || !f.nr)
			return -1;
		const area = this.canvas.getBoundingClientRect();
		const level = Math.floor((y - area.top + this.scroller.scrollTop) / ROW);
		const span = this.view.until - this.view.from;
		return f.at(level, this.view.from + ((x - area.left) / area.width) * span);
	}

	private point(): void {
		if (!this.pointer)
			return;
		const { x, y } = this.pointer;
		const box = this.boxAt(x, y);
		if (box !== this.hovered)
			this.draw();
		this.hovered = box;
		this.canvas.classList.toggle("pointing", box >= 0);
		this.listener.hover(box, x, y);
	}

	private leave(): void {
		this.pointer = null;
		this.hovered = -1;
		this.listener.hover(-1, 0, 0);
		this.draw();
	}

	private moveTo(box: number): void {
		const f = this.flame;
		if (!f || box < 0 || box >= f.nr)
			return;
		this.cursor = box;
		const y = f.level[box] * ROW;
		const s = this.scroller;
		if (y < s.scrollTop)
			s.scrollTop = y;
		else if (y + ROW > s.scrollTop + s.clientHeight)
			s.scrollTop = y + ROW - s.clientHeight;
		this.listener.focus(box);
		this.draw();
	}

	private heaviestChild(f: Flame, box: number): number {
		let best = f.child[box];
		for (let b = best; b >= 0 && f.siblings(best, b); b++)
			if (f.total[b] > f.total[best])
				best = b;
		return best;
	}

	private key(e: KeyboardEvent): void {
		const f = this.flame;
		if (!f || !f.nr || e.ctrlKey || e.metaKey || e.altKey)
			return;
		const at = this.cursor < 0 ? this.zoomed : this.cursor;
		const within = (b: number): boolean => b >= 0 && b < f.nr && f.level[b] === f.level[at] &&
			f.x[b] < this.goal.until && f.end(b) > this.goal.from;
		switch (e.key) {
		case "ArrowDown":
			this.moveTo(this.cursor < 0 ? at : this.heaviestChild(f, at));
			break;
		case "ArrowUp":
			this.moveTo(f.parent[at]);
			break;
		case "ArrowLeft":
			if (within(at - 1))
				this.moveTo(at - 1);
			break;
		case "ArrowRight":
			if (within(at + 1))
				this.moveTo(at + 1);
			break;
		case "Home":
			this.moveTo(this.zoomed);
			break;
		case "Enter":
		case " ":
			this.listener.zoom(at);
			break;
		case "Backspace":
			if (f.parent[this.zoomed] >= 0)
				this.listener.zoom(f.parent[this.zoomed]);
			break;
		case "c":
			this.listener.copy(this.hovered >= 0 ? this.hovered : at);
			break;
		default:
			return;
		}
		e.preventDefault();
	}

	private step(): void {
		const t = this.started ? Math.min(1, (performance.now() - this.started) / ZOOM_MS) : 1;
		const k = 1 - (1 - t) ** 3;
		this.view.from = this.origin.from + (this.goal.from - this.origin.from) * k;
		this.view.until = this.origin.until + (this.goal.until - this.origin.until) * k;
		if (t < 1) {
			this.draw();
		} else {
			this.started = 0;
			this.view = { ...this.goal };
		}
	}

	private paint(): void {
		const { width, height, ratio } = fit(this.canvas);
		const { ctx, theme, flame: f } = this;
		ctx.fillStyle = theme.paper;
		ctx.fillRect(0, 0, width, height);
		if (!f || !f.nr || !width)
			return;
		this.step();
		this.text.use(theme.font);
		ctx.textBaseline = "middle";
		const top = this.scroller.scrollTop;
		const last = Math.min(f.depth, Math.ceil((top + height) / ROW));
		for (let l = Math.floor(top / ROW); l < last; l++)
			this.paintLevel(f, l, l * ROW - top, width, ratio);
		ctx.globalAlpha = 1;
		this.outline(f, this.hovered, theme.ink, 1, width, top);
		if (document.activeElement === this.canvas)
			this.outline(f, this.cursor, theme.ring, 2, width, top);
	}

	private paintLevel(f: Flame, level: number, y: number, width: number, ratio: number): void {
		const { ctx, theme, view, hit } = this;
		const scale = width / (view.until - view.from);
		const snap = (v: number): number => Math.round(v * ratio) / ratio;
		const above = level < f.level[this.zoomed];
		const end = f.start[level + 1];
		// A run of boxes too thin to draw becomes one pale box.
		let thin = -1;
		let thinEnd = 0;
		const flush = (): void => {
			if (thin >= 0 && thinEnd - thin >= BOX_MIN) {
				ctx.globalAlpha = 0.5;
				ctx.fillStyle = theme.crumbs;
				ctx.fillRect(thin, y, thinEnd - thin, ROW - 1);
			}
			thin = -1;
		};
		for (let b = f.firstAt(level, view.from); b < end && f.x[b] < view.until; b++) {
			const from = Math.max(0, (f.x[b] - view.from) * scale);
			const until = Math.min(width, (f.end(b) - view.from) * scale);
			if (until - from < BOX_MIN) {
				if (thin >= 0 && from - thinEnd > 1)
					flush();
				if (thin < 0)
					thin = from;
				thinEnd = until;
				continue;
			}
			flush();
			const left = snap(from);
			let w = snap(until) - left;
			if (w > 3)
				w -= 1 / ratio > 0.5 ? 1 : 0.5;
			const found = hit ? hit[f.name[b]] : 0;
			ctx.globalAlpha = above ? 0.55 : hit && !found ? 0.42 : 1;
			ctx.fillStyle = found ? theme.hit : this.colours[f.name[b]];
			ctx.fillRect(left, y, Math.max(w, 1 / ratio), ROW - 1);
			if (w < TEXT_MIN)
				continue;
			const text = this.text.fit(f.nameOf(b), w - 8);
			if (!text)
				continue;
			ctx.globalAlpha = above || (hit && !found) ? 0.75 : 1;
			ctx.fillStyle = found && !above ? theme.hitInk : theme.ink;
			ctx.fillText(text, left + 4, y + ROW / 2);
		}
		flush();
	}

	private outline(f: Flame, box: number, colour: string, line: number, width: number, top: number): void {
		if (box < 0)
			return;
		const scale = width / (this.view.until - this.view.from);
		const from = Math.max(0, (f.x[box] - this.view.from) * scale);
		const until = Math.min(width, (f.end(box) - this.view.from) * scale);
		if (until < 0 || from > width)
			return;
		this.ctx.strokeStyle = colour;
		this.ctx.lineWidth = line;
		this.ctx.strokeRect(from + line / 2, f.level[box] * ROW - top + line / 2,
			Math.max(until - from - line - 0.5, 1), ROW - 1 - line);
	}
}
