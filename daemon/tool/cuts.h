/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon says of cut stacks, as a line of text. */
#ifndef KSTRATA_TOOL_CUTS_H
#define KSTRATA_TOOL_CUTS_H

#include "base/buf.h"

#include <jansson.h>

/* "0.40 % (no rows 0.30 %, fault 0.10 %)" of an object of weights by reason;
 * nothing where none is cut. */
void cuts_text(const json_t *cuts, double total, struct buf *out);
/* The same from a Kstrata-Cut header: "total=1000, no_rows=3, fault=1". */
void cuts_header_text(const char *header, struct buf *out);

#endif
