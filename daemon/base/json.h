/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A streaming JSON writer onto a struct buf. Commas are its own affair; text
 * that is not UTF-8 has its bad bytes replaced by U+FFFD. Errors stick in the
 * buf.
 */
#ifndef KSTRATA_BASE_JSON_H
#define KSTRATA_BASE_JSON_H

#include "base/buf.h"

struct json {
	struct buf *out;
	bool comma;
};

static inline struct json json_to(struct buf *out)
{
	return (struct json){ .out = out };
}

void json_object(struct json *j); /* { */
void json_end_object(struct json *j);
void json_array(struct json *j); /* [ */
void json_end_array(struct json *j);
void json_key(struct json *j, const char *key);
void json_str(struct json *j, const char *s);
void json_strn(struct json *j, const char *s, size_t len);
void json_u64(struct json *j, uint64_t v);
void json_i64(struct json *j, int64_t v);
void json_double(struct json *j, double v);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);

#endif
