// SPDX-License-Identifier: Apache-2.0
// window.kstrata: what a canvas shows, for tests and for the curious. Read-only.

import type { Page } from "./page";
import { toUrl } from "./state";

export interface Inspector {
	/** Boxes in view, in pixels of the window. */
	boxes(): object[];
	/** Where unix second t is on the timeline, in pixels of the window. */
	timelineX(t: number): number;
	zoomed(): string;
	/** How many answers were drawn. */
	loads(): number;
	url(): string;
}

export function inspector(page: Page): Inspector {
	return Object.freeze({
		boxes: () => page.flameView.rects().map(({ box, ...rect }) => ({
			...rect,
			name: page.flame?.nameOf(box),
			object: page.flame?.objectOf(box),
			total: page.flame?.total[box],
			self: page.flame?.self[box],
			level: page.flame?.level[box],
		})),
		timelineX: (t: number) => page.timeline.place(t),
		zoomed: () => page.flame?.nameOf(page.zoomed) ?? "",
		loads: () => page.loader.count,
		url: () => toUrl(page.state),
	});
}
