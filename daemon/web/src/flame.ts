// SPDX-License-Identifier: Apache-2.0
// The flame graph's boxes in flat arrays. Box 0 is the root. Boxes lie level
// after level, from left to right, so parents come before children and the
// children of one box are neighbours.

import { Render } from "./api";

export class Flame {
	readonly nr: number;
	readonly depth: number;
	readonly names: string[];
	/** Per name; "" where not known. */
	readonly objects: string[];
	/** Boxes of level l: start[l] .. start[l + 1]. */
	readonly start: Uint32Array;
	readonly x: Float64Array;
	readonly total: Float64Array;
	readonly self: Float64Array;
	readonly name: Uint32Array;
	readonly level: Uint32Array;
	readonly parent: Int32Array;
	/** -1: a leaf. */
	readonly child: Int32Array;

	constructor(r: Render) {
		const { names, levels } = r.flamebearer;
		this.names = names;
		this.objects = names.map((_, i) => r.objects?.names[r.objects.index[i]] ?? "");
		this.depth = levels.length;
		this.nr = levels.reduce((n, l) => n + Math.floor(l.length / 4), 0);
		this.start = new Uint32Array(this.depth + 1);
		this.x = new Float64Array(this.nr);
		this.total = new Float64Array(this.nr);
		this.self = new Float64Array(this.nr);
		this.name = new Uint32Array(this.nr);
		this.level = new Uint32Array(this.nr);
		this.parent = new Int32Array(this.nr).fill(-1);
		this.child = new Int32Array(this.nr).fill(-1);
		let box = 0;
		for (let l = 0; l < levels.length; l++) {
			this.start[l] = box;
			box = this.readLevel(levels[l], l, box);
		}
		this.start[this.depth] = box;
	}

	private readLevel(data: number[], level: number, box: number): number {
		let end = 0;
		let above = level ? this.start[level - 1] : -1;
		const aboveEnd = level ? this.start[level] - 1 : -1;
		for (let k = 0; k + 3 < data.length; k += 4, box++) {
			this.x[box] = end + data[k];
			this.total[box] = data[k + 1];
			this.self[box] = data[k + 2];
			this.name[box] = data[k + 3] < this.names.length ? data[k + 3] : 0;
			this.level[box] = level;
			end = this.x[box] + this.total[box];
			while (above < aboveEnd && this.end(above) <= this.x[box])
				above++;
			this.parent[box] = above;
			if (above >= 0 && this.child[above] < 0)
				this.child[above] = box;
		}
		return box;
	}

	end(box: number): number {
		return this.x[box] + this.total[box];
	}

	nameOf(box: number): string {
		return this.names[this.name[box]];
	}

	objectOf(box: number): string {
		return this.objects[this.name[box]];
	}

	/** Whether a and b are boxes with the same parent. */
	siblings(a: number, b: number): boolean {
		return b >= 0 && b < this.nr && this.parent[a] === this.parent[b] && this.level[a] === this.level[b];
	}

	/** The first box of a level that ends right of x (maybe the level's end). */
	firstAt(level: number, x: number): number {
		let lo = this.start[level];
		let hi = this.start[level + 1];
		while (lo < hi) {
			const mid = (lo + hi) >> 1;
			if (this.end(mid) > x)
				hi = mid;
			else
				lo = mid + 1;
		}
		return lo;
	}

	/** The box of a level over x, or -1. */
	at(level: number, x: number): number {
		if (level < 0 || level >= this.depth)
			return -1;
		const box = this.firstAt(level, x);
		return box < this.start[level + 1] && this.x[box] <= x ? box : -1;
	}

	ancestors(box: number): number[] {
		const path: number[] = [];
		for (; box >= 0; box = this.parent[box])
			path.push(box);
		return path.reverse();
	}

	// A step of a path: the name, and the object only where a sibling has the same name.
	private step(box: number): string {
		const name = this.nameOf(box);
		for (let i = this.child[this.parent[box]]; this.siblings(box, i); i++)
			if (i !== box && this.nameOf(i) === name)
				return `${name}\n${this.objectOf(box)}`;
		return name;
	}

	/** The names from below the root to the box: finds it in later data too. */
	path(box: number): string[] {
		return this.ancestors(box).slice(1).map((b) => this.step(b));
	}

	/** The box of a path, or of as much of it as there is. */
	find(path: string[]): number {
		let box = 0;
		for (const step of path) {
			let next = this.child[box];
			while (next >= 0 && this.nameOf(next) !== step && `${this.nameOf(next)}\n${this.objectOf(next)}` !== step)
				next = this.siblings(next, next + 1) ? next + 1 : -1;
			if (next < 0)
				break;
			box = next;
		}
		return box;
	}

	/** Weight below zoom that has a hit on its path, each sample counted once. */
	matched(hit: Uint8Array, zoom: number): number {
		for (let b = zoom; b >= 0; b = this.parent[b])
			if (hit[this.name[b]])
				return this.total[zoom];
		const covered = new Uint8Array(this.nr);
		const from = this.x[zoom];
		const until = this.end(zoom);
		let sum = 0;
		for (let b = zoom + 1; b < this.nr; b++) {
			if (this.x[b] < from || this.end(b) > until || this.level[b] <= this.level[zoom])
				continue;
			if (covered[this.parent[b]]) {
				covered[b] = 1;
			} else if (hit[this.name[b]]) {
				covered[b] = 1;
				sum += this.total[b];
			}
		}
		return sum;
	}
}
