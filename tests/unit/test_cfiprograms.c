// SPDX-License-Identifier: Apache-2.0
/*
 * symbol/cfi on programs: compiled in many ways, against readelf's interpretation;
 * a vDSO; and files that are damaged. Every table must be one by the kernel's own rules.
 */
#include "scratch.h"

#include "symbol/cfi.h"

#include <elf.h>
#include <inttypes.h>

#include <kstrata/rowcheck.h>

static void check_table(const struct cfi_table *t, uint16_t machine)
{
	assert_int_equal(kst_rows_check(t->bytes, t->size, machine), 0);
}

static void assert_save(const struct kstrata_save *s, uint8_t how, uint8_t reg,
			int32_t offset)
{
	assert_int_equal(s->how, how);
	assert_int_equal(s->reg, reg);
	assert_int_equal(s->offset, offset);
}

struct file {
	const char *path;
	uint16_t machine;
	struct cfi_table table;
	struct cfi_report report;
	struct {
		uint64_t vaddr, offset, size;
	} segments[16];
	size_t nr_segments;
};

static void load(struct file *f, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char command[PATH_MAX + 64], line[512];
	FILE *p;
	int r;

	*f = (struct file){ .path = path };
	assert_true(fd >= 0);
	r = cfi_compile(fd, &f->table, &f->report);
	close(fd);
	if (r < 0)
		fail_msg("%s: %s", path, f->report.why);
	f->machine = f->report.machine;
	check_table(&f->table, f->machine);
	snprintf(command, sizeof(command), "readelf -lW %s", path);
	p = popen(command, "r");
	assert_non_null(p);
	while (fgets(line, sizeof(line), p)) {
		uint64_t offset, vaddr, size;
		int at = 0;

		if (sscanf(line, " LOAD 0x%" SCNx64 " 0x%" SCNx64
				 " 0x%*x 0x%" SCNx64 " 0x%*x%n",
			   &offset, &vaddr, &size, &at) != 3 ||
		    !strchr(line + at, 'E') || f->nr_segments == 16)
			continue;
		f->segments[f->nr_segments].vaddr = vaddr;
		f->segments[f->nr_segments].offset = offset;
		f->segments[f->nr_segments++].size = size;
	}
	pclose(p);
}

static const struct kstrata_rule *rule_of(const struct file *f, uint64_t vaddr)
{
	struct kst_rows_view v;

	kst_rows_view(&v, f->table.bytes);
	for (size_t i = 0; i < f->nr_segments; i++)
		if (vaddr - f->segments[i].vaddr < f->segments[i].size)
			return kst_rows_find(&v, vaddr - f->segments[i].vaddr +
							 f->segments[i].offset);
	return NULL;
}

static const char *reg_name(uint16_t machine, unsigned int reg)
{
	static const char *const x86[] = { "rax", "rdx", "rcx", "rbx",
					   "rsi", "rdi", "rbp", "rsp" };
	static char name[8];

	if (machine == EM_X86_64 && reg < 8)
		return x86[reg];
	if (machine == EM_AARCH64 && reg == 31)
		return "sp";
	snprintf(name, sizeof(name), "%c%u", machine == EM_X86_64 ? 'r' : 'x',
		 reg);
	return name;
}

static bool same_cfa(const struct kstrata_rule *rule, uint16_t machine,
		     const char *text)
{
	char ours[32];

	if (!strcmp(text, "exp"))
		return rule->cfa >= KSTRATA_CFA_REG;
	snprintf(ours, sizeof(ours), "%s%+d", reg_name(machine, rule->reg),
		 rule->offset);
	return rule->cfa == KSTRATA_CFA_REG && !strcmp(ours, text);
}

static bool same_save(const struct kstrata_save *s, const char *text)
{
	char ours[32] = "";

	/* "r2 (rcx)"; u in the column of another register than the usual one */
	if (s->how == KSTRATA_SAVE_IS_REG)
		return !s->offset &&
		       ((*text == 'r' &&
			 strtoul(text + 1, NULL, 10) == s->reg) ||
			(!strcmp(text, "u") && s->reg == 15));
	if (!strcmp(text, "u") || !strcmp(text, "s"))
		return s->how == KSTRATA_SAVE_SAME;
	if (!strcmp(text, "exp"))
		return s->how == KSTRATA_SAVE_AT_REG;
	if (s->how == KSTRATA_SAVE_AT_CFA)
		snprintf(ours, sizeof(ours), "c%+d", s->offset);
	return !strcmp(ours, text);
}

/* Which columns are whose. */
static void read_columns(char *line, const char *fp, int *fp_at, int *sp_at,
			 int *ra_at)
{
	char *save = NULL;
	int i = 0;

	*fp_at = *sp_at = *ra_at = -1;
	for (char *word = strtok_r(line, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save), i++) {
		if (!strcmp(word, fp))
			*fp_at = i;
		else if (!strcmp(word, "rsp") || !strcmp(word, "sp"))
			*sp_at = i;
		else if (!strcmp(word, "ra"))
			*ra_at = i;
	}
}

/* Every row of readelf's, at its first byte. */
static size_t compare(const struct file *f)
{
	const char *fp = f->machine == EM_X86_64 ? "rbp" : "x29";
	char command[PATH_MAX + 64], line[1024];
	uint64_t start = 0, end = 0;
	int fp_at = -1, sp_at = -1, ra_at = -1;
	size_t nr = 0;
	FILE *p;

	snprintf(command, sizeof(command),
		 "readelf -W --debug-dump=frames-interp %s 2>/dev/null",
		 f->path);
	p = popen(command, "r");
	assert_non_null(p);
	while (fgets(line, sizeof(line), p)) {
		char *words[32], *at, *save = NULL;
		const struct kstrata_rule *rule;
		uint64_t pc;
		int n = 0;

		at = strstr(line, " pc=");
		if (strstr(line, " CIE "))
			end = 0;
		if (at && sscanf(at, " pc=%" SCNx64 "..%" SCNx64, &start,
				 &end) == 2)
			continue;
		if (strstr(line, "LOC") && strstr(line, "CFA")) {
			read_columns(line, fp, &fp_at, &sp_at, &ra_at);
			continue;
		}
		for (char *word = strtok_r(line, " \n", &save);
		     word && n < 32; word = strtok_r(NULL, " \n", &save))
			words[n++] = word;
		if (n < 2 || strlen(words[0]) != 16 || !end)
			continue;
		pc = strtoull(words[0], NULL, 16);
		if (pc < start || pc >= end)
			continue;
		rule = rule_of(f, pc);
		assert_non_null(rule);
		nr++;
		if (rule->cfa == KSTRATA_CFA_SIGNAL)
			continue;
		if (ra_at >= 0 && ra_at < n && !strcmp(words[ra_at], "u") &&
		    f->machine == EM_X86_64) {
			assert_int_equal(rule->cfa, KSTRATA_CFA_END);
			continue;
		}
		/* What longjmp says of SP, rules say of the CFA. */
		if (rule->cfa == KSTRATA_CFA_END ||
		    (sp_at >= 0 && sp_at < n && strcmp(words[sp_at], "u") != 0))
			continue;
		if (!same_cfa(rule, f->machine, words[1]) ||
		    !same_save(&rule->fp, fp_at >= 0 && fp_at < n ?
						  words[fp_at] :
						  "u") ||
		    !same_save(&rule->ra, ra_at >= 0 && ra_at < n ?
						  words[ra_at] :
						  "u"))
			fail_msg("%s: %s cfa %s: ours is %d: reg %d%+d", f->path,
				 words[0], words[1], rule->cfa, rule->reg,
				 rule->offset);
	}
	pclose(p);
	return nr;
}

static const char program[] =
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"#include <string.h>\n"
	"__attribute__((noinline)) int leaf(int x) { return x * 7 + 1; }\n"
	"__attribute__((noinline)) int vla(int n)\n"
	"{\n"
	"	char *b = __builtin_alloca(n + 1);\n"
	"	memset(b, 'x', n); b[n] = 0;\n"
	"	return (int)strlen(b) + leaf(n);\n"
	"}\n"
	"__attribute__((noinline)) int aligned(int n)\n"
	"{\n"
	"	_Alignas(64) char b[64];\n"
	"	memset(b, n, sizeof(b));\n"
	"	return vla(n) + b[n & 63];\n"
	"}\n"
	"static int by_value(const void *a, const void *b)\n"
	"{\n"
	"	return *(const int *)a - *(const int *)b;\n"
	"}\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	int v[4] = { argc, 3, 2, 1 };\n"
	"	if (argc > 100) abort();\n"
	"	qsort(v, 4, sizeof(*v), by_value);\n"
	"	printf(\"%d %s\\n\", aligned(v[0]), argv[0]);\n"
	"	return 0;\n"
	"}\n";

static bool have(const char *tool)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", tool);
	return !system(command);
}

static void test_programs(void **state)
{
	static const struct {
		const char *cc, *flags;
	} ways[] = {
		{ "gcc", "-O0" },
		{ "gcc", "-O2" },
		{ "gcc", "-O3 -static" },
		{ "gcc", "-O2 -static-pie" },
		{ "gcc", "-O2 -no-pie" },
		{ "gcc", "-O2 -Wl,--no-eh-frame-hdr" },
		{ "gcc", "-O2 -mavx2 -fno-omit-frame-pointer" },
		{ "gcc", "-O2 -g -fno-asynchronous-unwind-tables" },
		{ "gcc", "-O2 -g -gz=zlib -fno-asynchronous-unwind-tables" },
		{ "clang", "-O1" },
		{ "clang", "-O2 -mstackrealign" },
		{ "musl-gcc", "-O2 -static" },
		{ "aarch64-linux-gnu-gcc", "-O0" },
		{ "aarch64-linux-gnu-gcc", "-O2 -mbranch-protection=standard" },
		{ "aarch64-linux-gnu-gcc", "-O2 -fomit-frame-pointer -static" },
	};
	size_t nr_done = 0;

	scratch_write("program.c", program, sizeof(program) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct file f;
		size_t nr;

		if (!have(ways[i].cc)) {
			print_message("no %s here\n", ways[i].cc);
			continue;
		}
		scratch_run("%s %s -o program program.c", ways[i].cc,
			    ways[i].flags);
		load(&f, scratch_path("program"));
		nr = compare(&f);
		if (nr < 10)
			fail_msg("%s %s: only %zu rows", ways[i].cc,
				 ways[i].flags, nr);
		cfi_table_release(&f.table);
		nr_done++;
	}
	assert_true(nr_done >= 8);
	(void)state;
}

static const char vdso[] =
	".text\n"
	"nop\n"
	".globl __kernel_rt_sigreturn\n"
	"__kernel_rt_sigreturn: mov x8, #139\n" /* +0 */
	"svc #0\n"
	".globl __kernel_getrandom\n"
	"__kernel_getrandom: cbz x0, 3f\n"	  /* +8 */
	"stp x29, x30, [sp, #-64]!\n"
	"mov x29, sp\n"			  /* +16 */
	"sub sp, sp, #32\n"
	"b 2f\n"				  /* +24 */
	"1: bl local\n"			  /* +28: by a changed b alone */
	"2: add sp, sp, #32\n"			  /* +32 */
	"ldp x29, x30, [sp], #64\n"
	"ret\n"				  /* +40 */
	"3: mov x0, #1\n"			  /* +44 */
	"ret\n"
	"local: str x19, [sp, #-16]!\n"		  /* +52 */
	"mov x0, #2\n"				  /* +56 */
	"ldr x19, [sp], #16\n"
	"ret\n";				  /* +64 */

/* No call frame information at all: by its instructions. */
static void test_vdso(void **state)
{
	static const struct {
		int at, cfa, kept;
	} truth[] = {
		{ 8, 0, 0 },	{ 12, 0, 0 },	 { 16, 64, 64 },
		{ 20, 64, 64 }, { 24, 96, 64 },	 { 28, 96, 64 },
		{ 32, 96, 64 }, { 36, 64, 64 },	 { 40, 0, 0 },
		{ 44, 0, 0 },	{ 52, 0, 0 },	 { 56, 16, 0 },
		{ 60, 16, 0 },	{ 64, 0, 0 },
	};
	char command[PATH_MAX + 64], line[128];
	uint64_t base = 0;
	struct file f;
	FILE *p;

	if (!have("aarch64-linux-gnu-gcc"))
		skip();
	scratch_write("vdso.s", vdso, sizeof(vdso) - 1);
	scratch_run("aarch64-linux-gnu-gcc -shared -nostdlib -o vdso vdso.s");
	snprintf(command, sizeof(command),
		 "aarch64-linux-gnu-nm -D %s | grep rt_sigreturn",
		 scratch_path("vdso"));
	p = popen(command, "r");
	assert_non_null(p);
	assert_non_null(fgets(line, sizeof(line), p));
	pclose(p);
	base = strtoull(line, NULL, 16);
	load(&f, scratch_path("vdso"));
	assert_int_equal(rule_of(&f, base - 4)->cfa, KSTRATA_CFA_SIGNAL);
	assert_int_equal(rule_of(&f, base)->cfa, KSTRATA_CFA_SIGNAL);
	assert_int_equal(rule_of(&f, base + 7)->cfa, KSTRATA_CFA_SIGNAL);
	for (size_t i = 0; i < ARRAY_SIZE(truth); i++) {
		const struct kstrata_rule *rule =
			rule_of(&f, base + (uint64_t)truth[i].at);
		int kept = truth[i].kept;

		assert_non_null(rule);
		assert_int_equal(rule->cfa, KSTRATA_CFA_REG);
		assert_int_equal(rule->reg, 31);
		assert_int_equal(rule->offset, truth[i].cfa);
		assert_save(&rule->fp, kept ? KSTRATA_SAVE_AT_CFA :
					      KSTRATA_SAVE_SAME, 0, -kept);
		assert_save(&rule->ra, kept ? KSTRATA_SAVE_AT_CFA :
					      KSTRATA_SAVE_SAME, 0,
			    kept ? 8 - kept : 0);
	}
	cfi_table_release(&f.table);
	(void)state;
}

/*
 * Go keeps frame pointers, and .debug_frame does not say so: rows only where nothing is
 * on the stack yet and nothing is called.
 */
static void test_go(void **state)
{
	static const char go[] =
		"package main\n"
		"//go:noinline\n"
		"func leaf(x int) int { return x*7 + 1 }\n"
		"//go:noinline\n"
		"func middle(x int) int { return leaf(x) + leaf(x+1) }\n"
		"func main() { println(middle(3)) }\n";
	char command[PATH_MAX + 64], line[256], name[128];
	size_t nr = 0;
	uint64_t at;
	struct file f;
	FILE *p;

	if (!have("go"))
		skip();
	scratch_write("main.go", go, sizeof(go) - 1);
	scratch_run("GOCACHE=$PWD/cache GO111MODULE=off CGO_ENABLED=0 "
		    "go build -o go main.go");
	load(&f, scratch_path("go"));
	assert_true(f.report.go);
	snprintf(command, sizeof(command), "nm %s", scratch_path("go"));
	p = popen(command, "r");
	assert_non_null(p);
	while (fgets(line, sizeof(line), p)) {
		const struct kstrata_rule *rule;

		if (sscanf(line, "%" SCNx64 " T %127s", &at, name) != 2 &&
		    sscanf(line, "%" SCNx64 " t %127s", &at, name) != 2)
			continue;
		if (!strcmp(name, "main.leaf") || !strcmp(name, "main.middle")) {
			rule = rule_of(&f, at);
			assert_non_null(rule);
			assert_int_equal(rule->cfa, KSTRATA_CFA_REG);
			assert_int_equal(rule->reg, 7);
			assert_int_equal(rule->offset, 8);
			assert_save(&rule->fp, KSTRATA_SAVE_SAME, 0, 0);
			nr++;
		}
		/* In its frame, or on another stack. */
		if (!strcmp(name, "main.middle"))
			assert_int_equal(rule_of(&f, at + 24)->cfa,
					 KSTRATA_CFA_NONE);
		if (!strcmp(name, "runtime.systemstack.abi0"))
			assert_int_equal(rule_of(&f, at + 40)->cfa,
					 KSTRATA_CFA_NONE);
	}
	pclose(p);
	assert_int_equal(nr, 2);
	cfi_table_release(&f.table);
	(void)state;
}

/* What is mapped speaks for itself: no section headers are needed. */
static void test_no_sections(void **state)
{
	static const Elf64_Ehdr zero;
	struct file with, without;
	FILE *f;

	scratch_write("program.c", program, sizeof(program) - 1);
	scratch_run("gcc -O2 -o with program.c && cp with without");
	f = fopen(scratch_path("without"), "r+");
	assert_non_null(f);
	fseek(f, offsetof(Elf64_Ehdr, e_shoff), SEEK_SET);
	fwrite(&zero.e_shoff, sizeof(zero.e_shoff), 1, f);
	fseek(f, offsetof(Elf64_Ehdr, e_shnum), SEEK_SET);
	fwrite(&zero.e_shnum, sizeof(zero.e_shnum), 1, f);
	fclose(f);
	load(&with, scratch_path("with"));
	load(&without, scratch_path("without"));
	/* Stubs and .init are found by their sections' names only. */
	assert_true(without.report.rows + 10 >= with.report.rows);
	assert_int_equal(with.report.fdes, without.report.fdes);
	assert_true(compare(&with) > 10);
	cfi_table_release(&with.table);
	cfi_table_release(&without.table);
	(void)state;
}

/* Flipped, zeroed and cut: an error or a table that is one. */
static void test_damage(void **state)
{
	static uint8_t whole[1 << 20], copy[1 << 20];
	uint64_t random = 1;
	size_t len, tables = 0;
	FILE *f;

	scratch_write("program.c", program, sizeof(program) - 1);
	scratch_run("gcc -O2 -g -o program program.c");
	f = fopen(scratch_path("program"), "r");
	assert_non_null(f);
	len = fread(whole, 1, sizeof(whole), f);
	fclose(f);
	for (int i = 0; i < 3000; i++) {
		struct cfi_report report;
		struct cfi_table table;
		size_t cut = len;

		memcpy(copy, whole, len);
		for (uint64_t n = scratch_random(&random) % 8; n; n--) {
			/* A third in the headers, the rest anywhere. */
			uint64_t at = scratch_random(&random) %
				      (n % 3 ? len : 1024);

			copy[at] = (uint8_t)(scratch_random(&random) >> 8);
		}
		if (i % 4 == 0)
			cut = scratch_random(&random) % len;
		if (cfi_compile_image(copy, cut, &table, &report) < 0) {
			assert_non_null(report.why);
			assert_null(table.bytes);
			continue;
		}
		check_table(&table, report.machine);
		tables++;
		cfi_table_release(&table);
	}
	assert_true(tables > 500);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_go),
		cmocka_unit_test(test_no_sections),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
