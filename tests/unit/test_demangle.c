// SPDX-License-Identifier: Apache-2.0
/* symbol/demangle: known names, c++filt's opinion, and hostile ones. */
#include "scratch.h"

#include "symbol/demangle.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void check(const char *symbol, const char *expected)
{
	char *name = demangle(symbol);

	assert_non_null(name);
	assert_string_equal(name, expected);
	/* What has no business there is told apart beforehand. */
	if (strcmp(symbol, expected) != 0)
		assert_true(demangle_changes(symbol));
	free(name);
}

static void test_known(void **state)
{
	static const char *const pairs[][2] = {
		{ "main", "main" },
		{ "", "" },
		{ "_", "_" },
		{ "@", "@" },
		{ "_start", "_start" },
		{ "_Z", "_Z" },
		{ "_ZN2ns3boxIiE3getEi", "ns::box<int>::get" },
		{ "_ZNKSt6vectorIiSaIiEE4sizeEv",
		  "std::vector<int, std::allocator<int> >::size" },
		{ "_Z3fooi", "foo" },
		{ "_Z3fooi.part.0", "foo.part.0" },
		{ "_Z3foov.constprop.1.cold", "foo.constprop.1.cold" },
		{ "_Z3foov.llvm.123456", "foo" },
		{ "copy.isra.0", "copy.isra.0" },
		{ "_Z3foov@@BAR_1.0", "foo" },
		{ "memcpy@@GLIBC_2.14", "memcpy" },
		{ "memcpy@GLIBC_2.2.5", "memcpy" },
		{ "puts@plt", "puts@plt" },
		{ "_Z3foov@plt", "foo@plt" },
		{ "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE",
		  "core::fmt::Write::write_fmt" },
		{ "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE.llvm.42",
		  "core::fmt::Write::write_fmt" },
		{ "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo.."
		  "Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE",
		  "<Test + 'static as foo::Bar<Test>>::bar" },
		{ "_RNvC6_123foo3bar", "123foo::bar" },
		{ "_RNvNtNtCs1234_7mycrate3foo3bar3baz",
		  "mycrate::foo::bar::baz" },
		{ "_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9"
		  "hlq6y", "utf8_idents::\u10e1\u10d0\u10ed\u10db\u10d4\u10da"
			   "\u10d0\u10d3_\u10d2\u10d4\u10db\u10e0\u10d8\u10d4"
			   "\u10da\u10d8_\u10e1\u10d0\u10d3\u10d8\u10da\u10d8" },
		{ "_D8demangle4testFaZv", "demangle.test" },
		{ "_Dunno", "_Dunno" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		check(pairs[i][0], pairs[i][1]);
}

/* A shared library full of templates: as c++filt -p -i has them. */
static void test_cxxfilt(void **state)
{
	static const char libs[] = "/usr/lib/*-linux-gnu/libstdc++.so.6";
	char mangled[16384], expected[65536];
	size_t seen = 0, wrong = 0;
	FILE *m, *x;

	(void)state;
	scratch_run("nm -D --defined-only --without-symbol-versions %s | "
		    "awk '{ print $3 }' | grep ^_Z > mangled; "
		    "c++filt -p -i < mangled > plain", libs);
	m = fopen(scratch_path("mangled"), "r");
	x = fopen(scratch_path("plain"), "r");
	assert_non_null(m);
	assert_non_null(x);
	while (fgets(mangled, sizeof(mangled), m) &&
	       fgets(expected, sizeof(expected), x)) {
		char *name;

		mangled[strcspn(mangled, "\n")] = '\0';
		expected[strcspn(expected, "\n")] = '\0';
		name = demangle(mangled);
		assert_non_null(name);
		if (strcmp(name, expected) != 0 && wrong++ < 10)
			print_message("%s: %s, c++filt: %s\n", mangled, name,
				      expected);
		free(name);
		seen++;
	}
	fclose(m);
	fclose(x);
	assert_int_equal(wrong, 0);
	assert_true(seen > 1000);
}

static void test_too_long(void **state)
{
	static char symbol[40000];
	char *name;

	(void)state;
	/* A name of 30,000 letters is its own. */
	snprintf(symbol, sizeof(symbol), "_Z30000");
	memset(symbol + 7, 'a', 30000);
	symbol[30007] = 'v';
	name = demangle(symbol);
	assert_non_null(name);
	assert_string_equal(name, symbol);
	free(name);
	for (const char *c = "PKRQAS_N"; *c; c++) {
		memset(symbol, *c, sizeof(symbol) - 1);
		for (size_t len = 100; len < sizeof(symbol); len *= 2) {
			char last = symbol[len];

			symbol[len] = '\0';
			for (const char *p = "ZRD"; *p; p++) {
				symbol[0] = '_';
				symbol[1] = *p;
				name = demangle(symbol);
				assert_non_null(name);
				if (len > 16384)
					assert_string_equal(name, symbol);
				else
					assert_true(strlen(name) <= 16384);
				free(name);
			}
			symbol[len] = last;
		}
	}
}

/* Each level names the one before twice: 2^levels names when written out. */
static void test_exponential(void **state)
{
	char symbol[4096];
	char *name;
	size_t at;

	(void)state;
	/* S_ is f, S0_ p, S1_ a, S2_ p<a, a>, S3_ p<S2_, S2_>, ... */
	at = (size_t)snprintf(symbol, sizeof(symbol), "_Z1fI1pI1aS1_E");
	for (int i = 2; i < 8; i++)
		at += (size_t)snprintf(symbol + at, sizeof(symbol) - at,
				       "S0_IS%d_S%d_E", i, i);
	/* So far it is a name like others ... */
	strcpy(symbol + at, "Evv");
	name = demangle(symbol);
	assert_non_null(name);
	assert_int_equal(strncmp(name, "f<p<a, a>, p<p<a, a>, p<a, a> >", 31),
			 0);
	free(name);
	for (int i = 8; i < 34; i++)
		at += (size_t)snprintf(symbol + at, sizeof(symbol) - at,
				       "S0_IS%c_S%c_E",
				       i < 10 ? '0' + i : 'A' + i - 10,
				       i < 10 ? '0' + i : 'A' + i - 10);
	strcpy(symbol + at, "Evv");
	/* ... and now one of gigabytes. */
	name = demangle(symbol);
	assert_non_null(name);
	assert_string_equal(name, symbol);
	free(name);
	/* The same in Rust: a tuple of two of the tuple before. */
	at = (size_t)snprintf(symbol, sizeof(symbol), "_RINvC1a1fT");
	for (int i = 0; i < 40; i++)
		at += (size_t)snprintf(symbol + at, sizeof(symbol) - at, "T");
	at += (size_t)snprintf(symbol + at, sizeof(symbol) - at, "hhE");
	for (int i = 0; i < 40; i++) {
		/* Back reference: base 62 of where the inner tuple begins. */
		int pos = 8 + 40 - i;

		at += (size_t)snprintf(
			symbol + at, sizeof(symbol) - at, "B%c_E",
			pos - 1 < 10 ? '0' + pos - 1 :
			pos - 1 < 36 ? 'a' + pos - 11 :
				       'A' + pos - 37);
	}
	snprintf(symbol + at, sizeof(symbol) - at, "E");
	name = demangle(symbol);
	assert_non_null(name);
	assert_true(strlen(name) < 20000);
	free(name);
}

/* Mangled-looking noise. */
static void test_noise(void **state)
{
	static const char letters[] =
		"0123456789NSIEKPRQTLXZabcdefghijlmnoprstuvwxyzBCDM_.$@";
	uint64_t seed = 3;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char symbol[128] = "_Z";
		size_t len = 2 + scratch_random(&seed) % 120;
		char *name;

		symbol[1] = "ZZZRD"[scratch_random(&seed) % 5];
		for (size_t at = 2; at < len; at++)
			symbol[at] = letters[scratch_random(&seed) %
					     (sizeof(letters) - 1)];
		symbol[len] = '\0';
		name = demangle(symbol);
		assert_non_null(name);
		free(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_cxxfilt),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_exponential),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
