// SPDX-License-Identifier: Apache-2.0
// The total over time, and the brush that picks a range from it.

import { fit, framed, variable } from "./dom";
import { Unit, clock, date, rate, weight } from "./format";

const LEFT = 52;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 18;

export interface Timeline {
	startTime: number;
	samples: number[];
	durationDelta: number;
}

export interface TimelineListener {
	/** Unix seconds on the grid of the timeline. */
	select(from: number, until: number): void;
	reset(): void;
	/** What the pointer or the keyboard is on, "" for nothing. */
	value(text: string): void;
}

const STEPS = [1, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

/** A round number at or above v: 1, 2 or 5 times a power of ten. */
function round125(v: number): number {
	if (v <= 0)
		return 1;
	const p = 10 ** Math.floor(Math.log10(v));
	const m = v / p;
	return (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10) * p;
}

export class TimelineView {
	private data: Timeline | null = null;
	private unit: Unit = "count";
	private hover = -1;
	private brush: { from: number; to: number } | null = null;
	private dragging = false;
	private ctx: CanvasRenderingContext2D;
	readonly draw = framed(() => this.paint());

	constructor(private canvas: HTMLCanvasElement, private listener: TimelineListener) {
		this.ctx = canvas.getContext("2d", { alpha: false }) as CanvasRenderingContext2D;
		new ResizeObserver(this.draw).observe(canvas);
		canvas.addEventListener("pointerdown", (e) => {
			const i = this.indexAt(e.clientX);
			if (e.button !== 0 || i < 0)
				return;
			canvas.setPointerCapture(e.pointerId);
			this.dragging = true;
			this.brush = { from: i, to: i };
			this.draw();
		});
		canvas.addEventListener("pointermove", (e) => {
			this.move(this.indexAt(e.clientX));
			if (this.dragging && this.brush)
				this.brush.to = this.hover;
		});
		canvas.addEventListener("pointerup", (e) => {
			const b = this.brush;
			this.stop();
			// A click is no range; a drag of some pixels is.
			if (b && b.from !== b.to && e.button === 0)
				this.choose(b.from, b.to);
		});
		canvas.addEventListener("pointercancel", () => this.stop());
		canvas.addEventListener("pointerleave", () => {
			if (!this.dragging)
				this.move(-1);
		});
		canvas.addEventListener("dblclick", () => this.listener.reset());
		canvas.addEventListener("keydown", (e) => this.key(e));
		canvas.addEventListener("blur", () => {
			this.stop();
			this.move(-1);
		});
	}

	show(data: Timeline | null, unit: Unit): void {
		this.data = data && data.samples.length && data.durationDelta > 0 ? data : null;
		this.unit = unit;
		// A brush in the making would slide off what it was put on.
		if (!this.dragging)
			this.brush = null;
		if (this.hover >= 0)
			this.move(Math.min(this.hover, (this.data?.samples.length ?? 0) - 1));
		this.draw();
	}

	/** The plot in the window: x of unix second t. */
	place(t: number): number {
		const area = this.canvas.getBoundingClientRect();
		const d = this.data;
		if (!d)
			return area.left;
		return area.left + LEFT + ((t - d.startTime) / (d.samples.length * d.durationDelta)) * (area.width - LEFT - RIGHT);
	}

	private stop(): void {
		this.dragging = false;
		this.brush = null;
		this.draw();
	}

	private choose(a: number, b: number): void {
		if (!this.data)
			return;
		const { startTime, durationDelta } = this.data;
		this.listener.select(startTime + Math.min(a, b) * durationDelta,
			startTime + (Math.max(a, b) + 1) * durationDelta);
	}

	private indexAt(x: number): number {
		if (!this.data)
			return -1;
		const area = this.canvas.getBoundingClientRect();
		const n = this.data.samples.length;
		const i = Math.floor(((x - area.left - LEFT) / (area.width - LEFT - RIGHT)) * n);
		return Math.max(0, Math.min(n - 1, i));
	}

	private move(i: number): void {
		this.hover = i;
		this.draw();
		const d = this.data;
		if (!d || i < 0) {
			this.listener.value("");
			return;
		}
		const at = d.startTime + i * d.durationDelta;
		const b = this.brush;
		if (b && b.from !== b.to) {
			const from = d.startTime + Math.min(b.from, b.to) * d.durationDelta;
			const until = d.startTime + (Math.max(b.from, b.to) + 1) * d.durationDelta;
			this.listener.value(`${clock(from)} – ${clock(until)}`);
			return;
		}
		this.listener.value(`${date(at)} ${clock(at)} · ${rate(d.samples[i], d.durationDelta, this.unit)} · ${weight(d.samples[i], this.unit)}`);
	}

	private key(e: KeyboardEvent): void {
		const n = this.data?.samples.length ?? 0;
		if (!n || e.ctrlKey || e.metaKey || e.altKey)
			return;
		const at = this.hover < 0 ? n - 1 : this.hover;
		if (e.key === "ArrowLeft" || e.key === "ArrowRight") {
			const to = Math.max(0, Math.min(n - 1, at + (e.key === "ArrowLeft" ? -1 : 1)));
			if (e.shiftKey)
				this.brush = { from: this.brush?.from ?? at, to };
			else
				this.brush = null;
			this.move(to);
		} else if (e.key === "Enter") {
			const b = this.brush ?? { from: at, to: at };
			this.brush = null;
			this.choose(b.from, b.to);
		} else if (e.key === "Escape" && this.brush) {
			this.brush = null;
			this.move(at);
			e.stopPropagation();
		} else {
			return;
		}
		e.preventDefault();
	}

	private paint(): void {
		const { width, height } = fit(this.canvas);
		const { ctx, data } = this;
		ctx.fillStyle = variable("--paper");
		ctx.fillRect(0, 0, width, height);
		if (!data)
			return;
		const w = width - LEFT - RIGHT;
		const h = height - TOP - BOTTOM;
		const n = data.samples.length;
		const max = this.axes(data, w, h);
		const x = (i: number): number => LEFT + (i / n) * w;
		const y = (v: number): number => TOP + h - (v / max) * h;
		ctx.fillStyle = variable("--area");
		ctx.strokeStyle = variable("--accent");
		ctx.lineWidth = 1.25;
		ctx.lineJoin = "round";
		// Each point stands for a whole step: the curve is a staircase.
		ctx.beginPath();
		for (let i = 0; i < n; i++) {
			ctx.lineTo(x(i), y(data.samples[i]));
			ctx.lineTo(x(i + 1), y(data.samples[i]));
		}
		ctx.stroke();
		ctx.lineTo(LEFT + w, TOP + h);
		ctx.lineTo(LEFT, TOP + h);
		ctx.fill();
		if (this.brush) {
			const from = x(Math.min(this.brush.from, this.brush.to));
			const until = x(Math.max(this.brush.from, this.brush.to) + 1);
			ctx.fillStyle = variable("--brush");
			ctx.fillRect(from, TOP, until - from, h);
			ctx.fillStyle = variable("--accent");
			ctx.fillRect(Math.round(from), TOP, 1, h);
			ctx.fillRect(Math.round(until) - 1, TOP, 1, h);
		} else if (this.hover >= 0) {
			ctx.fillStyle = variable("--brush");
			ctx.fillRect(x(this.hover), TOP, Math.max(w / n, 1), h);
		}
	}

	/** Grid and labels; the value at the top of the plot. */
	private axes(data: Timeline, w: number, h: number): number {
		const { ctx } = this;
		const peak = data.samples.reduce((a, b) => Math.max(a, b), 0);
		const inRates = data.durationDelta * (this.unit === "nanoseconds" ? 1e9 : 1);
		const tick = round125((peak / inRates || 1) / 3) * inRates;
		const max = Math.max(peak * 1.06, tick);
		ctx.font = `10.5px ${variable("--sans")}`;
		ctx.textBaseline = "middle";
		ctx.textAlign = "right";
		const line = variable("--line");
		const muted = variable("--muted");
		for (let v = 0; v <= max; v += tick) {
			const y = Math.round(TOP + h - (v / max) * h);
			ctx.fillStyle = line;
			ctx.fillRect(LEFT, y, w, 1);
			ctx.fillStyle = muted;
			const r = v / inRates;
			ctx.fillText(this.unit === "nanoseconds" ? String(Number(r.toPrecision(3))) : weight(r, this.unit), LEFT - 6, y);
		}
		if (this.unit === "nanoseconds") {
			ctx.textAlign = "left";
			ctx.fillText("CPUs", LEFT + 6, TOP + 5);
		}
		const span = data.samples.length * data.durationDelta;
		const step = STEPS.find((s) => (s / span) * w >= 72) ?? 604800;
		const zone = new Date(data.startTime * 1000).getTimezoneOffset() * 60;
		ctx.textAlign = "center";
		for (let t = Math.ceil((data.startTime - zone) / step) * step + zone; t <= data.startTime + span; t += step) {
			const x = LEFT + ((t - data.startTime) / span) * w;
			ctx.fillStyle = line;
			ctx.fillRect(Math.round(x), TOP + h, 1, 4);
			ctx.fillStyle = muted;
			if (x > LEFT + 14 && x < LEFT + w - 14)
				ctx.fillText(step >= 86400 ? date(t).slice(5) : clock(t, step < 60), x, TOP + h + 11);
		}
		ctx.textAlign = "left";
		return max;
	}
}
