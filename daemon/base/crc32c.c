// SPDX-License-Identifier: Apache-2.0
#include "base/crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t
crc32c_hw(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = crc;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		c = _mm_crc32_u64(c, w);
	}
	for (; len; p++, len--)
		c = _mm_crc32_u8((uint32_t)c, *p);
	return (uint32_t)c;
}

static bool crc32c_have_hw(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t crc32c_hw(uint32_t crc, const uint8_t *p, size_t len)
{
	(void)p;
	(void)len;
	return crc;
}

static bool crc32c_have_hw(void)
{
	return false;
}
#endif

static uint32_t crc32c_soft(uint32_t crc, const uint8_t *p, size_t len)
{
	for (; len; p++, len--) {
		crc ^= *p;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (UINT32_C(0x82f63b78) & -(crc & 1));
	}
	return crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	crc = ~crc;
	crc = crc32c_have_hw() ? crc32c_hw(crc, data, len) :
				 crc32c_soft(crc, data, len);
	return ~crc;
}
