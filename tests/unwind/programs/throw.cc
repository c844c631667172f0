// SPDX-License-Identifier: Apache-2.0
/* Exceptions thrown through frames that must be cleaned up; callbacks; templates. */
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "truth.h"

unsigned long spins = 2;
static volatile long sink;

FUNC static long leaf_throw(long x)
{
	SPIN();
	return x + 1;
}

/* Its end is where an exception goes by: code that only unwinding reaches. */
struct Guard {
	long x;

	FUNC ~Guard()
	{
		sink += leaf_throw(x);
		STAY();
	}
};

FUNC static long thrower(long n)
{
	Guard guard{n};

	if (n == 0)
		throw std::runtime_error("deep enough");
	n = thrower(n - 1) + leaf_throw(n);
	STAY();
	return n;
}

FUNC static long rethrower(long n)
{
	Guard guard{n};

	try {
		return thrower(n);
	} catch (const std::exception &e) {
		sink += leaf_throw(e.what()[0]);
		throw;
	}
}

FUNC static void scene_throw()
{
	try {
		sink += rethrower(3);
	} catch (const std::runtime_error &) {
		sink += leaf_throw(9);
	}
	STAY();
}

struct Base {
	virtual ~Base() = default;
	virtual long visit(long x) = 0;
};

struct Other {
	virtual ~Other() = default;
	virtual long look(long x) = 0;
};

/* look() of the second base is reached by a thunk. */
struct Both : Base, Other {
	FUNC long visit(long x) override
	{
		x = leaf_throw(x);
		STAY();
		return x;
	}
	FUNC long look(long x) override
	{
		x = leaf_throw(x) * 2;
		STAY();
		return x;
	}
};

FUNC static void scene_virtual()
{
	Both both;
	Base *base = &both;
	Other *other = &both;
	std::function<long(long)> f = [base](long x) { return base->visit(x) + 1; };

	__asm__ volatile("" : "+r" (base), "+r" (other));
	sink += base->visit(1) + other->look(2) + f(3);
	STAY();
}

FUNC static void scene_library()
{
	std::vector<long> v = { 5, 2, 8, 1, 9, 3 };
	std::map<std::string, long> m;

	std::sort(v.begin(), v.end(),
		  [](long a, long b) { return leaf_throw(a) < leaf_throw(b); });
	for (long x : v)
		m[std::to_string(x) + " is longer than what fits in it"] = x;
	sink += m.begin()->second;
	STAY();
}

int main(int argc, char **argv)
{
	long rounds = 1;

	if (argc > 1)
		spins = strtoul(argv[1], nullptr, 10);
	if (argc > 2)
		rounds = strtol(argv[2], nullptr, 10);
	/* What the unwinder sets up once takes a while. */
	mark(MARK_SKIP, nullptr, 0);
	try {
		throw 1;
	} catch (int) {
	}
	mark(MARK_RESUME, nullptr, 0);
	mark(MARK_BEGIN, nullptr, 0);
	while (rounds-- > 0) {
		scene_throw();
		scene_virtual();
		scene_library();
	}
	mark(MARK_END, nullptr, 0);
	return 0;
}
