/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work whose true profile is known: hot_a and hot_b, called from one place, with
 * the same loop in both and 7:3 of its rounds, in slices of random length.
 */
#ifndef KSTRATA_TESTS_VM_WORK_HOT_H
#define KSTRATA_TESTS_VM_WORK_HOT_H

#include <stdint.h>

#define SLICE 2000 /* rounds, mean */

/* Each in a section of its own: the linker names its ends. */
#define noinline(name)                                                         \
	__attribute__((noinline, noclone, noipa, section("code_" #name)))
/* A function that does not touch the stack gets no frame without this. */
#define frame() __asm__ volatile("" : : "r"(__builtin_frame_address(0)))

struct hot {
	uint64_t seed;
	uint64_t rounds_a;
	uint64_t rounds_b;
	uint64_t sum;
};

static inline __attribute__((always_inline)) uint64_t hot_loop(uint64_t x,
							       uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return x;
}

static noinline(hot_a) uint64_t hot_a(uint64_t x, uint64_t rounds)
{
	frame();
	return hot_loop(x, rounds);
}

static noinline(hot_b) uint64_t hot_b(uint64_t x, uint64_t rounds)
{
	frame();
	return hot_loop(x, rounds);
}

static noinline(work) void work(struct hot *h)
{
	for (int i = 0; i < 64; i++) {
		uint64_t slice;

		h->seed = h->seed * UINT64_C(6364136223846793005) + 1;
		slice = 1 + (h->seed >> 33) % (2 * SLICE / 10);
		h->sum += hot_a(h->seed | 1, 7 * slice);
		h->sum += hot_b(h->seed | 1, 3 * slice);
		h->rounds_a += 7 * slice;
		h->rounds_b += 3 * slice;
	}
}

#endif
