/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every file needs.
 *
 * Errors, everywhere in the daemon: a function that can fail returns 0 or
 * more when it worked, a negative errno when we or the system failed (memory,
 * I/O), and, where its header says so, EINVAL-like codes of the input's fault
 * together with a message for whoever sent that input.
 */
#ifndef KSTRATA_BASE_UTIL_H
#define KSTRATA_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define NSEC_PER_SEC INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)

#define cleanup(fn) __attribute__((cleanup(fn)))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr)-offsetof(type, member)))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Read a clock, ns. */
int64_t clock_monotonic_ns(void);
int64_t clock_realtime_ns(void);

/* cleanup() helpers: close (and -1 from then on), free. */
void util_closep(int *fd);
void util_freep(void *p);

/* write() all of it; 0 or -errno. */
int util_write_all(int fd, const void *data, size_t len);

/*
 * Read a whole file of at most max bytes into *data (malloc'ed, one NUL more
 * than *len). -EFBIG when it is larger. Works on /proc files, whose size is
 * not known before.
 */
int util_read_file(const char *path, size_t max, char **data, size_t *len);

/* mkdir -p; 0 or -errno. */
int util_mkdirs(const char *path, unsigned int mode);

/* Number with optional suffix K, M, G, T (powers of 1024); 0 or -EINVAL. */
int util_parse_size(const char *s, uint64_t *out);
/* Duration: digits and one of ns us ms s m h d w (bare: s), to ns. */
int util_parse_duration(const char *s, int64_t *ns);
/*
 * A list such as "0-3,8", to bit n % 64 of mask[n / 64]; 0, -EINVAL, -ERANGE
 * for what does not fit in so many words.
 */
int util_parse_cpus(const char *s, uint64_t *mask, size_t words);
/* Whole string is one unsigned decimal number; 0, -EINVAL or -ERANGE. */
int util_parse_u64(const char *s, uint64_t *out);

#endif
