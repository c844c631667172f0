// SPDX-License-Identifier: Apache-2.0
/*
 * The least that makes walks go by rows: a program is run and sampled, every object
 * that is met gets the table that was compiled elsewhere for a file of its name, and
 * the program's user stacks are printed as folded text, by their weight in ns.
 *
 *   rowload DIRECTORY SAMPLES PROGRAM [ARGUMENT...]
 *
 * DIRECTORY has NAME.rows (kstrata rows --write) for NAMEs of files and for "vdso". The
 * first second of the program does not count, nor what was before a walk for want of
 * rows: that is when objects are met. Once there are so many samples it is killed. On
 * standard error: what was sampled, and how.
 */
#include <elf.h>
#include <sys/stat.h>

#include "session.h"

#define HZ		997
#define OBJECTS		64
#define WARM_NS		INT64_C(1000000000)
/* More than the slowest of hosts needs. */
#define AT_MOST_NS	INT64_C(60000000000)
#define OFFSET_MASK	((UINT64_C(1) << KSTRATA_FRAME_OFFSET_BITS) - 1)

/* A function, by offset in its file. */
struct symbol {
	uint64_t start, end;
	const char *name;
};

static struct object {
	uint32_t id;
	char path[KSTRATA_OBJECT_PATH_MAX];
	struct symbol *symbols;
	size_t nr_symbols;
} objects[OBJECTS];
static size_t nr_objects;

static struct stack {
	struct stack *next;
	uint64_t weight;
	uint8_t reason;
	uint16_t nr;
	uint64_t frames[];
} *stacks;

static struct line {
	char *text;
	uint64_t weight;
} *lines;

static const char *directory;
static struct session session;
static pid_t pid;
static uint64_t from_ns = UINT64_MAX;
static unsigned int samples, by_rows, by_fp, signals, busy, begun;

static void *or_die(void *p)
{
	if (!p) {
		perror("rowload");
		exit(1);
	}
	return p;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* All of a file, or NULL. */
static void *slurp(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p = NULL;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && st.st_size > 0) {
		*bytes = (size_t)st.st_size;
		p = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED)
			p = NULL;
	}
	close(fd);
	return p;
}

/* ---- rows ------------------------------------------------------------------- */

static void load(uint32_t id, const char *name)
{
	struct kstrata_rows u = { .size = sizeof(u), .id = id };
	char path[512];
	size_t bytes = 0;
	void *table;

	snprintf(path, sizeof(path), "%s/%.255s.rows", directory, name);
	table = slurp(path, &bytes);
	if (table) {
		u.bytes = (uint32_t)bytes;
		u.table = (uintptr_t)table;
	} else {
		u.flags = KSTRATA_ROWS_NONE;
	}
	if (ioctl(session.fd, KSTRATA_IOC_ROWS, &u) && (table || errno != ENOENT)) {
		fprintf(stderr, "rowload: rows of %s: %s\n", name, strerror(errno));
		failed = 1;
	}
	if (table)
		munmap(table, bytes);
}

static void note_object(const struct kstrata_object *o)
{
	size_t i;

	if (o->hdr.flags & KSTRATA_OBJECT_GONE)
		return;
	for (i = 0; i < nr_objects && objects[i].id != o->id; i++)
		;
	if (i == OBJECTS)
		return;
	if (i == nr_objects) {
		objects[nr_objects++].id = o->id;
		snprintf(objects[i].path, sizeof(objects[i].path), "%.*s",
			 (int)o->path_bytes, (const char *)o + o->path_offset);
	}
	load(o->id, base_name(objects[i].path));
}

static void forget_samples(void)
{
	while (stacks) {
		struct stack *next = stacks->next;

		free(stacks);
		stacks = next;
	}
	samples = by_rows = by_fp = signals = busy = 0;
	begun++;
}

static void note_sample(const struct kstrata_sample *s)
{
	const uint64_t *frames = (const void *)((const char *)s + s->frames_offset);
	struct stack *stack;

	if (s->pid != (uint32_t)pid || s->hdr.time < from_ns || !s->nr_user)
		return;
	if (s->walk & KSTRATA_WALK_PENDING) {
		forget_samples();
		return;
	}
	samples++;
	by_rows += !!(s->walk & KSTRATA_WALK_ROWS);
	by_fp += !!(s->walk & KSTRATA_WALK_FP);
	signals += !!(s->walk & KSTRATA_WALK_SIGNAL);
	/* No rows without a look-up. */
	if (s->lookup != KSTRATA_LOOKUP_DONE) {
		busy++;
		return;
	}
	stack = or_die(malloc(sizeof(*stack) + s->nr_user * sizeof(*frames)));
	*stack = (struct stack){
		.next = stacks,
		.weight = s->weight,
		.reason = s->user_reason,
		.nr = s->nr_user,
	};
	memcpy(stack->frames, frames + s->nr_kernel, s->nr_user * sizeof(*frames));
	stacks = stack;
}

static void note(const struct kstrata_record *r, void *userdata)
{
	(void)userdata;
	if (r->type == KSTRATA_RECORD_OBJECT)
		note_object((const void *)r);
	if (r->type == KSTRATA_RECORD_SAMPLE)
		note_sample((const void *)r);
}

static void drain_all(void)
{
	for (uint32_t cpu = 0; cpu < session.nr_cpus; cpu++)
		if (session.producer[cpu] && !drain(&session, cpu, note, NULL))
			failed = 1;
}

/* ---- names ------------------------------------------------------------------ */

static int by_start(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Files of this machine's own C library and of ours: they are what they say. */
static void read_symbols(struct object *o)
{
	size_t bytes, nr = 0;
	const char *file = slurp(o->path, &bytes);
	const Elf64_Ehdr *e = (const void *)file;
	const Elf64_Shdr *sections, *table = NULL;
	const Elf64_Phdr *segments;
	const Elf64_Sym *symbols;

	if (!file || bytes < sizeof(*e) || memcmp(file, ELFMAG, SELFMAG))
		return;
	sections = (const void *)(file + e->e_shoff);
	segments = (const void *)(file + e->e_phoff);
	for (size_t i = 0; i < e->e_shnum; i++)
		if (sections[i].sh_type == SHT_SYMTAB ||
		    (!table && sections[i].sh_type == SHT_DYNSYM))
			table = &sections[i];
	if (!table)
		return;
	symbols = (const void *)(file + table->sh_offset);
	o->symbols = or_die(calloc(table->sh_size / sizeof(*symbols),
				   sizeof(*o->symbols)));
	for (size_t i = 0; i < table->sh_size / sizeof(*symbols); i++) {
		const Elf64_Sym *s = &symbols[i];

		if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || !s->st_shndx)
			continue;
		for (size_t k = 0; k < e->e_phnum; k++) {
			const Elf64_Phdr *p = &segments[k];

			if (p->p_type != PT_LOAD || s->st_value < p->p_vaddr ||
			    s->st_value - p->p_vaddr >= p->p_filesz)
				continue;
			o->symbols[nr].start = s->st_value - p->p_vaddr + p->p_offset;
			o->symbols[nr].end = o->symbols[nr].start + s->st_size;
			o->symbols[nr++].name = file +
				sections[table->sh_link].sh_offset + s->st_name;
			break;
		}
	}
	qsort(o->symbols, nr, sizeof(*o->symbols), by_start);
	o->nr_symbols = nr;
}

/* NULL: none. Which one, of names for the same place, is by chance. */
static const char *symbol_at(const struct object *o, uint64_t at)
{
	size_t low = 0, high = o->nr_symbols;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->symbols[mid].start <= at)
			low = mid + 1;
		else
			high = mid;
	}
	/* Some have no size. */
	for (size_t i = low; i && low - i < 8; i--)
		if (at < o->symbols[i - 1].end)
			return o->symbols[i - 1].name;
	return NULL;
}

static void print_frame(FILE *out, uint64_t frame, bool leaf)
{
	uint64_t at = (frame & OFFSET_MASK) - !leaf;
	const struct object *o = NULL;
	uint32_t id;

	if (!(frame & KSTRATA_FRAME_OBJECT)) {
		fputs(frame & KSTRATA_FRAME_NOWHERE ? "[nowhere]" :
		      frame & KSTRATA_FRAME_ANON ? "[anon]" : "[unknown]", out);
		return;
	}
	id = (frame & ~KSTRATA_FRAME_OBJECT) >> KSTRATA_FRAME_OFFSET_BITS;
	if (id == KSTRATA_OBJECT_VDSO) {
		fputs("[vdso]", out);
		return;
	}
	for (size_t i = 0; i < nr_objects && !o; i++)
		if (objects[i].id == id)
			o = &objects[i];
	if (o && symbol_at(o, at)) {
		fputs(symbol_at(o, at), out);
		return;
	}
	fprintf(out, "[%s]", o ? base_name(o->path) : "unknown");
}

/* The outermost first, as the daemon prints them. */
static char *text_of(const struct stack *s)
{
	static const char *const reasons[] = {
		[KSTRATA_REASON_DEPTH] = "depth",
		[KSTRATA_REASON_FAULT] = "fault",
		[KSTRATA_REASON_BAD_FRAME] = "bad frame",
		[KSTRATA_REASON_UNSUPPORTED] = "unsupported",
		[KSTRATA_REASON_NO_ROWS] = "no rows",
		[KSTRATA_REASON_BAD_RULE] = "bad rule",
		[KSTRATA_REASON_NOT_RESIDENT] = "not resident",
	};
	char *text = NULL;
	size_t bytes;
	FILE *out = or_die(open_memstream(&text, &bytes));

	if (s->reason != KSTRATA_REASON_COMPLETE)
		fprintf(out, "[cut: %s];",
			s->reason < sizeof(reasons) / sizeof(*reasons) &&
			reasons[s->reason] ? reasons[s->reason] : "?");
	for (unsigned int i = s->nr; i--;) {
		print_frame(out, s->frames[i], !i);
		if (i)
			putc(';', out);
	}
	fclose(out);
	return text;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

static void print_stacks(void)
{
	size_t nr = 0;

	for (size_t i = 0; i < nr_objects; i++)
		read_symbols(&objects[i]);
	lines = or_die(calloc(samples + 1, sizeof(*lines)));
	for (const struct stack *s = stacks; s; s = s->next) {
		lines[nr].text = text_of(s);
		lines[nr++].weight = s->weight;
	}
	qsort(lines, nr, sizeof(*lines), by_text);
	for (size_t i = 0; i < nr; i++) {
		uint64_t weight = lines[i].weight;

		for (; i + 1 < nr && !by_text(&lines[i], &lines[i + 1]); i++)
			weight += lines[i + 1].weight;
		printf("%s %llu\n", lines[i].text, (unsigned long long)weight);
	}
}

int main(int argc, char **argv)
{
	struct kstrata_setup setup = setup_of(HZ, 1 << 20);
	unsigned int enough;
	int64_t until;
	int status = 0;

	if (argc < 4) {
		fprintf(stderr, "usage: rowload DIRECTORY SAMPLES PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	page = (size_t)sysconf(_SC_PAGESIZE);
	directory = argv[1];
	enough = (unsigned int)atoi(argv[2]);
	setup.flags = KSTRATA_SETUP_OBJECTS | KSTRATA_SETUP_NO_KERNEL;
	setup.user_depth = KSTRATA_USER_DEPTH_MAX;
	session_begin(&session, setup);
	load(KSTRATA_OBJECT_VDSO, "vdso");
	if (toggle(session.fd, KSTRATA_IOC_START)) {
		perror("START");
		return 1;
	}
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	from_ns = (uint64_t)(now_ns() + WARM_NS);
	until = now_ns() + AT_MOST_NS;
	while (samples < enough && now_ns() < until) {
		struct timespec ts = { 0, 20000000 };

		nanosleep(&ts, NULL);
		drain_all();
	}
	if (waitpid(pid, &status, WNOHANG)) {
		fprintf(stderr, "rowload: the program has ended: %x\n",
			(unsigned int)status);
		failed = 1;
	} else {
		reap(pid);
	}
	toggle(session.fd, KSTRATA_IOC_STOP);
	drain_all();
	if (samples < enough) {
		fprintf(stderr, "rowload: not enough samples; ");
		failed = 1;
	}
	print_stacks();
	session_end(&session);
	fprintf(stderr, "%u samples, %u by rows, %u by frame pointers, %u across signals, %u without look-ups; begun %u times anew\n",
		samples, by_rows, by_fp, signals, busy, begun);
	return failed;
}
