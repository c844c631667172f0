// SPDX-License-Identifier: Apache-2.0
/*
 * Functions whose frames are not the usual ones, for the sake of their call frame
 * information: nothing calls most of them.
 */
#include <alloca.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int odd_sum(int n, ...);
int odd_alloca(size_t n);
int odd_large(int x);
int odd_huge(int x);
int odd_jump(int x);
int odd_aligned(int x);
int odd_many(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j);
int odd_loop(int (*f)(int), int n);
void odd_end(int code) __attribute__((noreturn));

static jmp_buf place;
static volatile int sink;

int odd_sum(int n, ...)
{
	va_list args;
	int sum = 0;

	va_start(args, n);
	while (n--)
		sum += va_arg(args, int);
	va_end(args);
	return sum;
}

int odd_alloca(size_t n)
{
	char *p = alloca(n);

	memset(p, sink, n);
	sink = p[n / 2];
	return p[n - 1];
}

int odd_large(int x)
{
	char room[1 << 17];

	memset(room, x, sizeof(room));
	sink = room[x & 0xffff];
	return room[sink & 0xffff];
}

int odd_huge(int x)
{
	char room[1 << 26];

	memset(room, x, sizeof(room));
	sink = room[x & 0xffff];
	return room[sink & 0xffff];
}

int odd_jump(int x)
{
	if (setjmp(place))
		return sink;
	sink = odd_sum(3, x, x, x);
	longjmp(place, 1);
}

/* What it keeps is aligned more than the stack is. */
int odd_aligned(int x)
{
	int room[64] __attribute__((aligned(256)));

	memset(room, x, sizeof(room));
	sink = room[x & 63];
	return odd_alloca((size_t)room[sink & 63] + 1) + room[3];
}

int odd_many(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j)
{
	int first = odd_sum(10, a, b, c, d, e, f, g, h, i, j);
	int second = odd_sum(10, j, i, h, g, f, e, d, c, b, a);

	return odd_sum(12, first, second, a, b, c, d, e, f, g, h, i, j);
}

int odd_loop(int (*f)(int), int n)
{
	int sum = 0;

	if (n < 0)
		return 0;
	for (int i = 0; i < n; i++)
		sum += f(i) * f(sum);
	return sum;
}

void odd_end(int code)
{
	sink = code;
	abort();
}
