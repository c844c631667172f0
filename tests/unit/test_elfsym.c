// SPDX-License-Identifier: Apache-2.0
/*
 * symbol/elfsym: names against nm's and eu-addr2line's, programs of every kind
 * of linking, and files cut short or with flipped bytes.
 */
#include "scratch.h"

#include "symbol/elfsym.h"

#include <inttypes.h>
#include <sys/mman.h>

#define SAMPLES 3000
#define SEGMENTS_MAX 32

struct truth {
	uint64_t start, end; /* file offsets */
	char *name;
};

struct oracle {
	struct truth *v;
	size_t nr;
	struct {
		uint64_t vaddr, offset, size;
	} segments[SEGMENTS_MAX];
	size_t nr_segments;
};

static struct elfsym *load(const char *path)
{
	struct elfsym *e = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(elfsym_load(&e, fd), 0);
	close(fd);
	return e;
}

static int by_start(const void *a, const void *b)
{
	const struct truth *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static bool to_offset(const struct oracle *o, uint64_t vaddr, uint64_t *offset)
{
	for (size_t i = 0; i < o->nr_segments; i++) {
		if (vaddr - o->segments[i].vaddr >= o->segments[i].size)
			continue;
		*offset = vaddr - o->segments[i].vaddr +
			  o->segments[i].offset;
		return true;
	}
	return false;
}

static uint64_t to_vaddr(const struct oracle *o, uint64_t offset)
{
	for (size_t i = 0; i < o->nr_segments; i++)
		if (offset - o->segments[i].offset < o->segments[i].size)
			return offset - o->segments[i].offset +
			       o->segments[i].vaddr;
	return 0;
}

/* Functions with a size as nm has them, through readelf's segments. */
static void ask_binutils(struct oracle *o, const char *path, bool dynamic)
{
	char command[PATH_MAX + 128], line[8192];
	FILE *f;

	snprintf(command, sizeof(command), "readelf -lW %s", path);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		uint64_t offset, vaddr, size;

		if (sscanf(line, " LOAD 0x%" SCNx64 " 0x%" SCNx64
				 " 0x%*x 0x%" SCNx64, &offset, &vaddr,
			   &size) != 3)
			continue;
		assert_true(o->nr_segments < SEGMENTS_MAX);
		o->segments[o->nr_segments].vaddr = vaddr;
		o->segments[o->nr_segments].offset = offset;
		o->segments[o->nr_segments++].size = size;
	}
	pclose(f);
	/* Without parameters, std::string for what it is in full. */
	snprintf(command, sizeof(command),
		 "nm -S --defined-only --without-symbol-versions %s %s | "
		 "c++filt -p -i", dynamic ? "-D" : "", path);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		uint64_t vaddr, size, offset;
		char type;
		int at = 0;

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%" SCNx64 " %" SCNx64 " %c %n", &vaddr, &size,
			   &type, &at) != 3 ||
		    !strchr("tTwWi", type) || !size || !line[at] ||
		    !to_offset(o, vaddr, &offset))
			continue;
		if (!(o->nr & (o->nr + 1)))
			o->v = realloc(o->v, 2 * (o->nr + 1) * sizeof(*o->v));
		o->v[o->nr++] = (struct truth){ offset, offset + size,
						strdup(line + at) };
	}
	pclose(f);
	qsort(o->v, o->nr, sizeof(*o->v), by_start);
}

static void forget(struct oracle *o)
{
	for (size_t i = 0; i < o->nr; i++)
		free(o->v[i].name);
	free(o->v);
}

/*
 * A clone, "f.isra.0" to us, is "f" to c++filt without parameters and in DWARF.
 */
static bool same_function(const char *name, const char *plain)
{
	size_t len = strlen(plain);

	return !strncmp(name, plain, len) && (!name[len] || name[len] == '.');
}

/* Whether name is one of those of the innermost functions at offset. */
static bool agrees(const struct oracle *o, size_t near, uint64_t offset,
		   const char *name)
{
	size_t i = near, top;

	while (i + 1 < o->nr && o->v[i + 1].start <= offset)
		i++;
	for (top = i;; i--) {
		if (offset < o->v[i].end && same_function(name, o->v[i].name))
			return true;
		/* Folded identical code has hundreds of names. */
		if (!i || top - i > 2000)
			return false;
	}
}

static void compare(const char *path, bool dynamic, size_t at_least)
{
	struct elfsym *e = load(path);
	struct oracle o = { 0 };
	uint64_t seed = 42;
	size_t wrong = 0;

	ask_binutils(&o, path, dynamic);
	if (o.nr < at_least)
		fail_msg("%s: nm knows %zu functions only", path, o.nr);
	for (size_t n = 0; n < SAMPLES; n++) {
		size_t i = scratch_random(&seed) % o.nr;
		const struct truth *t = &o.v[i];
		uint64_t offset = t->start +
				  scratch_random(&seed) % (t->end - t->start);
		const char *name = elfsym_lookup(e, offset);

		if (name && agrees(&o, i, offset, name))
			continue;
		if (wrong++ < 10)
			print_message("%s: %#" PRIx64 ": %s, nm: %s\n", path,
				      offset, name ? name : "NULL", t->name);
	}
	assert_int_equal(wrong, 0);
	forget(&o);
	elfsym_free(e);
}

static void test_real_files(void **state)
{
	static const struct {
		const char *path;
		bool dynamic;
		size_t at_least;
	} files[] = {
		{ "/proc/self/exe", false, 100 },
		{ "/bin/bash", true, 1000 },
		{ "/lib/aarch64-linux-gnu/libc.so.6", true, 1000 },
		{ "/usr/lib/x86_64-linux-gnu/libstdc++.so.6", true, 1000 },
		{ "/usr/bin/python3", true, 100 },
		{ "/usr/lib/x86_64-linux-gnu/libnode.so.108", true, 10000 },
		{ "/lib/x86_64-linux-gnu/libc.so.6", true, 1000 },
	};
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[PATH_MAX];

		if (!realpath(files[i].path, path))
			continue;
		compare(path, files[i].dynamic, files[i].at_least);
		seen++;
	}
	assert_true(seen >= 2);
}

/* elfutils finds functions in another way than nm lists them. */
static void test_eu_addr2line(void **state)
{
	char self[PATH_MAX], line[8192];
	struct elfsym *e = load("/proc/self/exe");
	struct oracle o = { 0 };
	uint64_t offsets[500], seed = 7;
	FILE *f;

	(void)state;
	if (system("command -v eu-addr2line >/dev/null") != 0) {
		elfsym_free(e);
		skip();
	}
	assert_non_null(realpath("/proc/self/exe", self));
	ask_binutils(&o, self, false);
	f = fopen(scratch_path("addresses"), "w");
	assert_non_null(f);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		const struct truth *t = &o.v[scratch_random(&seed) % o.nr];

		offsets[i] = t->start;
		fprintf(f, "%#" PRIx64 "\n", to_vaddr(&o, t->start));
	}
	fclose(f);
	scratch_run("eu-addr2line -f -e %s < addresses > names", self);
	f = fopen(scratch_path("names"), "r");
	assert_non_null(f);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		const char *name = elfsym_lookup(e, offsets[i]);
		const char *plain;
		size_t at = 0;

		assert_non_null(name);
		assert_non_null(fgets(line, sizeof(line), f));
		line[strcspn(line, "\n")] = '\0';
		/* "x inlined at file:1:2 in function" */
		plain = strstr(line, " inlined at ") ? strrchr(line, ' ') + 1 :
						       line;
		/* An alias at the same address is as true. */
		while (at < o.nr && o.v[at].start != offsets[i])
			at++;
		for (; at < o.nr && o.v[at].start == offsets[i]; at++)
			if (same_function(o.v[at].name, plain))
				break;
		if (at == o.nr || o.v[at].start != offsets[i])
			fail_msg("%s, eu-addr2line: %s", name, line);
		assert_true(agrees(&o, at, offsets[i], name));
		assert_non_null(fgets(line, sizeof(line), f));
	}
	fclose(f);
	forget(&o);
	elfsym_free(e);
}

static const char c_source[] =
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"static __attribute__((noinline)) int inner(int x) { return x * 3; }\n"
	"__attribute__((noinline)) int outer(int x) { return inner(x) + 1; }\n"
	"int alias(int x) __attribute__((alias(\"outer\")));\n"
	"__asm__(\".text\\n.globl by_hand\\nby_hand: nop; nop; nop; ret\\n\"\n"
	"	\".globl with_label\\n.type with_label,@function\\n\"\n"
	"	\"with_label: nop\\nin_between: nop\\nret\\n\"\n"
	"	\".size with_label, . - with_label\\n\");\n"
	"int main(int c, char **v) { (void)v; puts(\"x\"); abort();\n"
	"	return outer(c); }\n";

static const char cxx_source[] =
	"#include <vector>\n"
	"namespace ns { template <class T> struct box { T v;\n"
	"	__attribute__((noinline)) T get(int i) { return v + (T)i; } };\n"
	"	struct op { bool operator<(const op &) const; };\n"
	"	__attribute__((noinline)) bool op::operator<(const op &) const\n"
	"	{ return true; } }\n"
	"int main(int c, char **) { ns::box<int> b{c}; ns::box<double> d{1};\n"
	"	ns::op o; return b.get(c) + (int)d.get(c) + (o < o); }\n";

/* The file offset of nm's symbol. */
static uint64_t offset_of(const char *path, const char *symbol)
{
	char command[PATH_MAX + 128];
	struct oracle o = { 0 };
	uint64_t vaddr = 0, offset = 0;
	FILE *f;

	ask_binutils(&o, path, false);
	snprintf(command, sizeof(command),
		 "nm %s | awk '$3 == \"%s\" { print $1 }'", path, symbol);
	f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%" SCNx64, &vaddr), 1);
	pclose(f);
	assert_true(to_offset(&o, vaddr, &offset));
	forget(&o);
	return offset;
}

static void test_kinds_of_linking(void **state)
{
	static const char *const flags[] = {
		"-O2 -fPIE -pie", "-O2 -no-pie", "-O2 -static",
		"-O1 -static-pie", "-O2 -g -gz", "-O2 -rdynamic -Wl,-z,now",
		"-O2 -m32",
	};
	char path[PATH_MAX];
	uint64_t at;

	(void)state;
	scratch_write("c.c", c_source, sizeof(c_source) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct elfsym *e;

		snprintf(path, sizeof(path), "%s/c%zu", scratch, i);
		/* 32 bit and static libraries need not be there. */
		if (strstr(flags[i], "-m32") &&
		    system("echo 'int main(){}' | cc -m32 -x c - -o /dev/null "
			   "2>/dev/null") != 0)
			continue;
		scratch_run("cc %s -o c%zu c.c", flags[i], i);
		compare(path, false, 4);
		e = load(path);
		assert_string_equal(elfsym_lookup(e, offset_of(path, "inner")),
				    "inner");
		/* "alias", not "outer": as long, and first by letter. */
		assert_string_equal(elfsym_lookup(e, offset_of(path, "outer")),
				    "alias");
		at = offset_of(path, "by_hand");
		assert_string_equal(elfsym_lookup(e, at + 3), "by_hand");
		at = offset_of(path, "with_label");
		assert_string_equal(elfsym_lookup(e, at), "with_label");
		assert_string_equal(elfsym_lookup(e, at + 1), "with_label");
		assert_int_equal(strlen(elfsym_build_id(e)), 40);
		elfsym_free(e);
	}
}

static void test_cxx(void **state)
{
	struct elfsym *e;
	char path[PATH_MAX];

	(void)state;
	scratch_write("x.cc", cxx_source, sizeof(cxx_source) - 1);
	scratch_run("c++ -O1 -o x x.cc");
	snprintf(path, sizeof(path), "%s/x", scratch);
	e = load(path);
	assert_string_equal(
		elfsym_lookup(e, offset_of(path, "_ZN2ns3boxIiE3getEi")),
		"ns::box<int>::get");
	assert_string_equal(
		elfsym_lookup(e, offset_of(path, "_ZNK2ns2opltERKS0_")),
		"ns::op::operator<");
	/* A second time: from the memo. */
	assert_string_equal(
		elfsym_lookup(e, offset_of(path, "_ZN2ns3boxIdE3getEi")),
		"ns::box<double>::get");
	elfsym_free(e);
}

static void test_stripped(void **state)
{
	struct elfsym *e;
	char path[PATH_MAX];
	uint64_t inner, outer;

	(void)state;
	scratch_write("c.c", c_source, sizeof(c_source) - 1);
	scratch_run("cc -O2 -rdynamic -o whole c.c && strip -o bare whole");
	snprintf(path, sizeof(path), "%s/whole", scratch);
	inner = offset_of(path, "inner");
	outer = offset_of(path, "outer");
	e = load(scratch_path("bare"));
	assert_string_equal(elfsym_lookup(e, outer), "alias");
	/* A static function is nobody's, not its neighbour's. */
	assert_null(elfsym_lookup(e, inner));
	assert_null(elfsym_lookup(e, UINT64_MAX));
	assert_null(elfsym_lookup(e, 0));
	elfsym_free(e);
}

/* The stubs as objdump names them. */
static void test_plt(void **state)
{
	static const char *const flags[] = { "-fcf-protection=none -Wl,-z,lazy",
					     "-fcf-protection=full",
					     "-Wl,-z,now -no-pie" };
	char path[PATH_MAX], line[512];

	(void)state;
#ifndef __x86_64__
	skip();
#endif
	scratch_write("c.c", c_source, sizeof(c_source) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct oracle o = { 0 };
		struct elfsym *e;
		size_t seen = 0;
		FILE *f;

		scratch_run("cc -O2 %s -o p c.c && objdump -d p | "
			    "sed -n 's/^\\([0-9a-f]*\\) <\\(.*@plt\\)>:/\\1 "
			    "\\2/p' > stubs", flags[i]);
		snprintf(path, sizeof(path), "%s/p", scratch);
		ask_binutils(&o, path, false);
		e = load(path);
		f = fopen(scratch_path("stubs"), "r");
		assert_non_null(f);
		while (fgets(line, sizeof(line), f)) {
			uint64_t vaddr, offset;
			char name[256];

			assert_int_equal(sscanf(line, "%" SCNx64 " %255s",
						&vaddr, name), 2);
			assert_true(to_offset(&o, vaddr, &offset));
			assert_non_null(elfsym_lookup(e, offset));
			assert_string_equal(elfsym_lookup(e, offset), name);
			seen++;
		}
		assert_true(seen >= 2);
		fclose(f);
		elfsym_free(e);
		forget(&o);
	}
}

static void use(struct elfsym *e, size_t len)
{
	for (uint64_t at = 0; at < len; at += 64)
		elfsym_lookup(e, at);
	elfsym_lookup(e, UINT64_MAX);
	assert_true(elfsym_memory(e) < 64u << 20);
	elfsym_free(e);
}

/* From a memfd, so that files of every length cost little. */
static bool try(int fd, const void *data, size_t len)
{
	struct elfsym *e;
	int r;

	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, data, len, 0), len);
	r = elfsym_load(&e, fd);
	if (!r)
		use(e, len);
	return !r;
}

static void test_hostile(void **state)
{
	static const char source[] =
		"int f(int x) { return x; }\n"
		"int _start(void) { return f(1); }\n";
	int fd = memfd_create("hostile", MFD_CLOEXEC);
	uint8_t image[32768], copy[32768];
	uint64_t seed = 1;
	size_t len, loaded = 0;
	FILE *f;

	(void)state;
	assert_true(fd >= 0);
	scratch_write("s.c", source, sizeof(source) - 1);
	scratch_run("cc -O1 -nostdlib -fPIC -shared -Wl,-z,noseparate-code "
		    "-Wl,-z,max-page-size=64 -o s s.c");
	f = fopen(scratch_path("s"), "r");
	assert_non_null(f);
	len = fread(image, 1, sizeof(image), f);
	fclose(f);
	assert_true(len > 1000 && len < sizeof(image));
	assert_true(try(fd, image, len));
	for (size_t cut = 0; cut < len; cut++)
		try(fd, image, cut);
	for (int i = 0; i < 20000; i++) {
		int flips = 1 + (int)(scratch_random(&seed) % 4);

		memcpy(copy, image, len);
		while (flips--) {
			/* Half of them where they hurt: the headers. */
			size_t at = scratch_random(&seed) % len;

			if (scratch_random(&seed) % 2)
				at = at % 2 ? at % 64 : len - 1 - at % 1024;
			copy[at] = (uint8_t)scratch_random(&seed);
		}
		loaded += try(fd, copy, len);
	}
	assert_true(loaded > 100);
	close(fd);
}

/* A sparse file can back any count in its header. */
static void test_sparse(void **state)
{
	uint8_t header[64] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	int fd = memfd_create("sparse", MFD_CLOEXEC);
	struct elfsym *e;

	(void)state;
	header[16] = 3; /* ET_DYN */
	header[18] = 62;
	header[20] = 1;
	header[40] = 64; /* e_shoff */
	header[52] = 64;
	header[58] = 64; /* e_shentsize; e_shnum 0: see section 0 */
	assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
	/* Its sh_size: 2^32 sections. */
	assert_int_equal(pwrite(fd, "\0\0\0\0\1", 5, 64 + 32), 5);
	assert_int_equal(ftruncate(fd, INT64_C(1) << 40), 0);
	assert_int_equal(elfsym_load(&e, fd), -EFBIG);
	close(fd);
}

static void test_not_elf(void **state)
{
	struct elfsym *e;
	int fd;

	(void)state;
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(elfsym_load(&e, fd), -ENOEXEC);
	close(fd);
	fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	assert_int_equal(elfsym_load(&e, fd), -ENOEXEC);
	close(fd);
	assert_int_equal(elfsym_load(&e, -1), -EBADF);
	elfsym_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_files),
		cmocka_unit_test(test_eu_addr2line),
		cmocka_unit_test(test_kinds_of_linking),
		cmocka_unit_test(test_cxx),
		cmocka_unit_test(test_stripped),
		cmocka_unit_test(test_plt),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_not_elf),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
