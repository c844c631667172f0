/* SPDX-License-Identifier: Apache-2.0 */
/* What collecting has to say of itself. */
#ifndef KSTRATA_COLLECT_REPORT_H
#define KSTRATA_COLLECT_REPORT_H

#include "base/json.h"
#include "collect/collector.h"

/* An object for /api/v1/status; hz: the rate that was asked for. */
void report_status(const struct collector *collector,
		   const struct device *device,
		   const struct symbolizer *symbolizer, uint32_t hz,
		   struct json *j);
/* For /metrics. */
void report_metrics(const struct collector *collector,
		    const struct device *device,
		    const struct symbolizer *symbolizer, struct buf *out);

#endif
