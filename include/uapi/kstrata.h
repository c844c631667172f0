/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * kstrata: the interface between kstrata.ko and its users. This file is the
 * whole specification; a client can be written from it alone.
 *
 * 1. The device
 * =============
 *
 * /dev/kstrata is a misc device, mode 0600. Every open() makes a *session*;
 * the session belongs to the open file, never to a task: it may be passed,
 * duplicated and used by any thread, and it ends when the last descriptor and
 * the last mapping of it are gone. Sessions are independent of each other:
 * each has its own timers and rings. At most KSTRATA_SESSIONS_MAX exist at
 * once; one more open() fails with EBUSY.
 *
 *   open    EPERM   the opener has not CAP_PERFMON (or CAP_SYS_ADMIN) in the
 *                   initial user namespace
 *           EBUSY   too many sessions
 *
 * A session goes through these states:
 *
 *   NEW --SETUP--> READY --START--> RUNNING --STOP--> READY ...
 *
 * SETUP is done once. Closing the file stops and frees everything.
 *
 * 2. ioctls
 * =========
 *
 * Every argument is a pointer to a struct whose first word, size, is the size
 * of the struct as the caller knows it. The struct only ever grows at its end:
 *
 *   - size smaller than the first published version          -> EINVAL
 *   - size larger than the module knows, and the part that it
 *     does not know is not all zero                          -> E2BIG
 *   - size smaller than the module's: the missing end is taken as zero, and
 *     only size bytes are written back
 *   - any bit of a flags word that is not defined here, any reserved word that
 *     is not zero                                            -> EINVAL
 *   - memory that cannot be read or written                  -> EFAULT
 *   - a request number that is not defined here              -> ENOTTY
 *
 * KSTRATA_IOC_VERSION  struct kstrata_version (out). Any state. A client must
 *     refuse a module whose abi_major differs from the KSTRATA_ABI_MAJOR it was
 *     built with; abi_minor only counts additions.
 *
 * KSTRATA_IOC_SETUP    struct kstrata_setup (in/out). State NEW (else EBUSY).
 *     Chooses the rate and allocates the rings, one for each CPU that is
 *     present. Zero in a field asks for its default; the values in force are
 *     written back.
 *         EINVAL  a value out of range, ring_bytes not a power of two
 *         ENOMEM  no memory for the rings (the session stays NEW)
 *
 * KSTRATA_IOC_CONFIGURE  struct kstrata_configure (in). READY or RUNNING (NEW:
 *     EINVAL). Changes the rate, the budget, the CPUs or the filters, all that
 *     is asked for or nothing. While RUNNING, when it returns every CPU follows.
 *         EINVAL  a value out of range, a filter that makes no sense, a mask
 *                 without any possible CPU, nothing to change
 *         E2BIG   more than KSTRATA_FILTERS_MAX filters, a CPU mask longer than
 *                 KSTRATA_CPUS_BYTES_MAX
 *         ENOMEM  no memory for the filters
 *
 * KSTRATA_IOC_START    struct kstrata_switch (in). READY (NEW: EINVAL, RUNNING:
 *     EALREADY). Sampling begins on every online CPU; CPUs that come online
 *     later join, those that go offline leave and keep their unread records.
 *
 * KSTRATA_IOC_STOP     struct kstrata_switch (in). RUNNING, else EINVAL. When it
 *     returns no further record is written. The last record of a ring that lost
 *     some at its end is a LOST record (room for one is always kept), before
 *     OBJECT records of what was met last.
 *
 * KSTRATA_IOC_OBJECT   struct kstrata_object_get (in/out). Any state but NEW (NEW:
 *     EINVAL). Tells of the object with a number, and opens its file, read-only,
 *     as the session's opener may: a file that is deleted, in another mount
 *     namespace or of a process that has ended opens all the same.
 *         ENOENT  no object has this number (any more)
 *         ENODATA the file is held no longer (see "Objects"), or there is none;
 *                 the rest of the struct is filled in
 *         others  as of open(2), EACCES for one
 *
 * KSTRATA_IOC_ROWS     struct kstrata_rows (in/out). Any state but NEW (NEW: EINVAL).
 *     Gives the session the unwind rows of an object (section 6), instead of those
 *     it has, if any: a walk uses the ones or the others as a whole. To make room,
 *     rows of objects that were not met for longest are dropped; those of vDSOs stay.
 *         ENOENT  no object has this number (any more), or the session has none
 *         EINVAL  no table, or one that breaks a rule of section 6
 *         E2BIG   longer than KSTRATA_ROWS_BYTES_MAX, or than all that the session
 *                 may have
 *         ENOMEM  no memory for it
 *         EOPNOTSUPP this kernel makes no look-ups in its handler (PREEMPT_RT)
 *
 * 3. The rings
 * ============
 *
 * One single-producer, single-consumer ring per CPU. Two mappings give access
 * to the ring of CPU n; both must be MAP_SHARED and have exactly the length
 * given, neither survives fork(), and neither can grow:
 *
 *   offset                          length               may be writable
 *   KSTRATA_MMAP_CONSUMER(n)        page                 yes
 *   KSTRATA_MMAP_RING(n, page)      page + 2 ring_bytes  no, now or later
 *
 *   mmap    EINVAL  wrong offset or length, a private mapping
 *           EPERM   a writable or executable mapping of the ring
 *           ENXIO   no such CPU, or it was not present at SETUP
 *           EBADFD  the session has not been set up
 *
 * where page is sysconf(_SC_PAGESIZE). The first mapping is struct
 * kstrata_ring_consumer; the second is struct kstrata_ring_producer in its
 * first page, then the data twice over, so that a record that wraps is
 * contiguous all the same:
 *
 *   | consumer | producer | data 0 .. N-1 | data 0 .. N-1 again |
 *     RW         RO         RO              RO, the same pages
 *
 * head and tail count bytes since SETUP and never wrap in practice (2^64).
 * The record at position p starts at data[p & (ring_bytes - 1)].
 *
 * Memory ordering. Let the producer P (interrupts off on CPU n) and the
 * consumer C run
 *
 *   P                                    C
 *   t = load_acquire(tail)     (A)       h = load_acquire(head)     (C)
 *   if (room(head, t)) {                 read data[tail .. h)
 *       write data                       store_release(tail, h)     (D)
 *       store_release(head)    (B)
 *   }
 *
 *   B pairs with C: what C read of head names only bytes whose writing
 *       happened before B, so C never reads a record that is not whole.
 *   D pairs with A: if P saw the new tail, C's reads of the bytes below it
 *       happened before D, so P never overwrites bytes still being read.
 *
 * Nothing else is shared. The kernel keeps its own copy of head and never
 * reads the published one back; tail is the only word of user space that it
 * reads, once per reservation, and only ever in
 *
 *       head - tail > ring_bytes - needed   =>  drop
 *
 * in unsigned arithmetic: a wild tail can make the session lose its own
 * records and do nothing else.
 *
 * When a record does not fit it is dropped: producer->lost counts it, and the
 * next record that fits is preceded by a LOST record that says how many were
 * dropped in that place and what they weighed; so is the end, at STOP and when
 * the CPU goes offline.
 *
 * poll() reports POLLIN while any ring holds at least watermark_bytes. A client
 * should drain at its own pace as well (a few times a second).
 *
 * A consumer must walk records by hdr.size, skip types it does not know, and
 * treat a size that is less than sizeof(hdr), not a multiple of 8 or beyond
 * head as the end of trust in that ring.
 *
 * 4. The records
 * ==============
 *
 * Little trust is needed to read them: every field is of fixed width, every
 * record is a multiple of 8 bytes, reserved fields are zero, and new fields
 * are only added at the end of a record's fixed part, whose length the record
 * itself tells where something of variable length follows it.
 * hdr.time is CLOCK_MONOTONIC, ns.
 *
 * Process and thread ids are as the pid namespace of the session's opener has
 * them (0: the task cannot be seen there).
 *
 * Time. On each CPU, the session's timer runs while the CPU is busy: in a task, or
 * in a soft interrupt on behalf of nobody. On the way into idleness the timer is
 * stopped, with what is left of its period, and goes on where it was when the
 * CPU has work again: periods are measured in busy time, so nothing that keeps
 * time can hide between them, and an idle CPU is not woken. Idle time is counted
 * exactly. A sample's weight is the busy time since the previous expiry.
 *
 * Objects. A session with KSTRATA_SETUP_OBJECTS gets user frames as (object, file
 * offset), looked up at the moment of the sample. The first time that an object
 * is met it gets a number, and an OBJECT record soon follows, in any ring, maybe
 * after the samples that use the number: KSTRATA_IOC_OBJECT answers at once. The
 * kernel holds the file until that ioctl has opened it, or for
 * KSTRATA_OBJECT_HOLD_NS after the last sample that met it: for so long its file
 * system may be busy to umount(8). The number stays good until an OBJECT record
 * with KSTRATA_OBJECT_GONE says that later samples do not mean it by this number.
 *
 * Where the look-up cannot be made (sample.lookup tells why) frames are raw user
 * addresses.
 *
 * Walks of user stacks. From frame to frame, the rows of the object that the code is
 * in tell where the caller's registers are. Code that rows do not cover is taken to
 * keep frame pointers, and so is all code of objects without rows and of samples
 * without a look-up; sample.walk tells what was done, sample.user_reason how the walk
 * ended. Rows are wanted for every object: its OBJECT record is the first request
 * for them. Whenever a walk meets an object whose rows were dropped, an OBJECT record
 * with KSTRATA_OBJECT_WANTED asks again, once; of one object, not more often than every
 * five seconds.
 *
 * 5. Netlink
 * ==========
 *
 * The generic netlink family KSTRATA_GENL_NAME, version KSTRATA_GENL_VERSION, tells
 * of all sessions and changes them. It exists in the initial network namespace only:
 * elsewhere it is not found (ENOENT).
 *
 * Rights. Every request needs CAP_PERFMON (or CAP_SYS_ADMIN) in the initial user
 * namespace, both of the sender and of whoever opened the socket, else EPERM.
 *
 * Requests are parsed strictly: an attribute that the command does not take or
 * that is of the wrong length, a nested one without NLA_F_NESTED, leftover bytes,
 * a reserved part of the header that is not zero (from Linux 6.1 on) are EINVAL, a
 * value out of its range is ERANGE, a command that is not defined here EOPNOTSUPP;
 * these checks may come before that of rights. Any request can end with ENOMEM. An
 * extended ACK (NETLINK_EXT_ACK) names the attribute that was refused (of dumps only
 * by newer kernels). Commands and attributes that a client does not know are to be
 * skipped in what it gets.
 *
 * Numbers are of the host's byte order; those of 64 bits are aligned to 4 only:
 * copy them. A session is named by kstrata_setup.session.
 *
 * KSTRATA_CMD_STATUS_GET  no attributes. Answer: RELEASE, ABI_MAJOR, ABI_MINOR,
 *     SESSIONS, SESSIONS_MAX, CPUS_POSSIBLE, CPUS_ONLINE.
 *
 * KSTRATA_CMD_SESSION_GET  SESSION; or as a dump (NLM_F_DUMP) of all sessions, and
 *     no attributes. Answer, one message for each: SESSION, STATE, OPENER; except
 *     in state NEW also HZ, BUDGET, CPUS, FILTERS, FLAGS, GRANTED, RING_BYTES,
 *     WATERMARK_BYTES, KERNEL_DEPTH, USER_DEPTH, OBJECTS, ROWS_KB, ROWS_HELD_KB,
 *     and STATS, summed over all CPUs. NLM_F_DUMP_INTR: sessions came or ended
 *     meanwhile, ask again.
 *         EINVAL  no SESSION; a dump with one
 *         ENOENT  no such session
 *
 * KSTRATA_CMD_SESSION_SET  SESSION and any of HZ, BUDGET, CPUS, FILTERS. Does what
 *     KSTRATA_IOC_CONFIGURE does, all or nothing. Empty FILTERS: sample everything.
 *         EINVAL  no SESSION, nothing to change, CPUS empty or not of 64-bit words
 *                 or without any possible CPU, a filter that makes no sense, a
 *                 session that has not been set up
 *         ERANGE  HZ or BUDGET out of range, CPUS longer than
 *                 KSTRATA_CPUS_BYTES_MAX
 *         E2BIG   more than KSTRATA_FILTERS_MAX filters
 *         ENOENT  no such session
 *         ENOMEM  no memory
 *
 * KSTRATA_CMD_CPU_GET  SESSION, as a dump only. Answer, one message for each CPU that
 *     has a ring (none before SETUP): SESSION, CPU, PERIOD, ASKED, THROTTLED if it
 *     is, IDLE_SINCE, STARTED, STATS.
 *         EINVAL  no SESSION
 *         ENOENT  no such session; at the end of the dump: it has ended meanwhile
 *
 * Events go to the multicast group KSTRATA_GENL_EVENTS and tell of sessions that are
 * RUNNING. An event is the state of affairs when it is sent: those of a kind and a
 * CPU that follow each other closely merge into one. They come to sockets whose
 * opener has CAP_PERFMON (or CAP_SYS_ADMIN) in the initial user namespace; others may
 * join, and hear nothing. Where the kernel cannot choose its listeners (5.17 to 6.5),
 * joining needs CAP_SYS_ADMIN, else EPERM. A listener that does not keep up gets
 * ENOBUFS from recv().
 *
 * KSTRATA_CMD_EVENT_THROTTLE  SESSION, CPU, PERIOD, ASKED, HANDLER_NS: as the THROTTLE
 *     record has it.
 *
 * KSTRATA_CMD_EVENT_LOSS  SESSION, CPU, LOST, LOST_WEIGHT: what was lost since the
 *     previous one of this CPU, or since before anybody listened. At most one a
 *     second for each CPU of a session.
 *
 * KSTRATA_CMD_EVENT_HOTPLUG  SESSION, CPU, ONLINE: a CPU that has a ring went or came.
 *
 * 6. Unwind rows
 * ==============
 *
 * What DWARF's call frame information says of an object, compiled for look-ups in a
 * hard interrupt. Code is addressed by its offset in the object's file (for a vDSO:
 * in its image), so the table holds wherever the object is mapped. It is made of
 * *rows*, each of which says by which *rule* the caller's frame is found from its own
 * offset up to the next row's. Few rules serve many rows.
 *
 * The table, everything in the machine's own byte order, each part right after the one
 * before it:
 *
 *   struct kstrata_rows_table                 the header, 64 bytes
 *   __u16  starts[nr_blocks][32]              of rows, from their block's
 *   struct kstrata_rule  rules[nr_rules]      the most used first
 *   __u32  pages[nr_pages + 1]                see below
 *   __u32  blocks[nr_blocks]                  start of each block, from first
 *   __u32  rare_rows[nr_rare]                 numbers of rows whose rule is
 *   __u16  rare_rules[nr_rare]                ... one of these
 *   __u8   row_rules[nr_blocks][32]           KSTRATA_ROW_RARE: see rare_rows
 *   padding to a multiple of 8, zero
 *
 * Rows are in blocks of 32, so that the 32 starts fill one cache line, and a row takes
 * three bytes and a bit. A row's number is its place in row_rules. To look up a
 * place x (its offset in the file, less first; there is no row at extent or
 * beyond):
 *
 *   p = x >> page_bits        blocks pages[p] to pages[p + 1]
 *   b                         the last of these that starts at or below x
 *   i                         the last row of b that starts at or below x - blocks[b]
 *   r = row_rules[b][i]       or, when r is KSTRATA_ROW_RARE, what rare_rules has
 *   rules[r]                  where rare_rows has 32 b + i
 *
 * It must hold (EINVAL otherwise), besides sizes and what is said of the fields:
 * blocks[0] is 0, blocks rise and are below extent; starts[b][0] is 0, starts
 * rise to at most KSTRATA_ROW_START_MAX, and those of rows that do not exist, at the
 * end of a block, are KSTRATA_ROW_NONE (with the rule 0 in row_rules); pages[p] is the
 * last block that starts at or below p << page_bits, the last of pages is
 * nr_blocks - 1; rare_rows rise and are exactly the rows whose row_rules say
 * KSTRATA_ROW_RARE; rules that rows name exist.
 */
#ifndef _UAPI_KSTRATA_H
#define _UAPI_KSTRATA_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define KSTRATA_DEVICE		"/dev/kstrata"

#define KSTRATA_ABI_MAJOR	1
#define KSTRATA_ABI_MINOR	2

#define KSTRATA_SESSIONS_MAX	8

#define KSTRATA_HZ_MIN		1
#define KSTRATA_HZ_MAX		10000
#define KSTRATA_HZ_DEFAULT	99

#define KSTRATA_RING_BYTES_MIN		(1U << 14)
#define KSTRATA_RING_BYTES_MAX		(1U << 26)
#define KSTRATA_RING_BYTES_DEFAULT	(1U << 18)

#define KSTRATA_KERNEL_DEPTH_MAX	127
#define KSTRATA_USER_DEPTH_MAX		255

#define KSTRATA_BUDGET_DEFAULT	250	/* per mille of one CPU's time */

#define KSTRATA_OBJECTS_MIN	64
#define KSTRATA_OBJECTS_MAX	65536
#define KSTRATA_OBJECTS_DEFAULT	4096
#define KSTRATA_OBJECT_HOLD_NS	10000000000ULL

#define KSTRATA_ROWS_KB_MAX	(1U << 20)	/* of a session */
#define KSTRATA_ROWS_KB_DEFAULT	(1U << 15)
#define KSTRATA_ROWS_BYTES_MAX	(1U << 26)	/* of an object */

#define KSTRATA_FILTERS_MAX	64
#define KSTRATA_CPUS_BYTES_MAX	1024

#define KSTRATA_COMM_LEN	16

/* ---- ioctls ---------------------------------------------------------- */

/**
 * struct kstrata_version - who answers
 * @size:	sizeof(struct kstrata_version)
 * @abi_major:	out: must equal KSTRATA_ABI_MAJOR
 * @abi_minor:	out: counts additions
 * @release:	out: the module's version, NUL-terminated
 */
struct kstrata_version {
	__u32 size;
	__u16 abi_major;
	__u16 abi_minor;
	char release[32];
};

/* kstrata_setup.flags */
#define KSTRATA_SETUP_NO_KERNEL	(1U << 0)	/* no kernel stacks */
#define KSTRATA_SETUP_NO_USER	(1U << 1)	/* no user stacks */
#define KSTRATA_SETUP_NO_TASKS	(1U << 2)	/* no TASK records */
#define KSTRATA_SETUP_OBJECTS	(1U << 3)	/* frames as objects (minor 1) */
#define KSTRATA_SETUP_FLAGS	(KSTRATA_SETUP_NO_KERNEL | \
				 KSTRATA_SETUP_NO_USER | \
				 KSTRATA_SETUP_NO_TASKS | \
				 KSTRATA_SETUP_OBJECTS)

/* kstrata_setup.granted */
#define KSTRATA_GRANT_KERNEL_ADDR	(1U << 0)

/**
 * struct kstrata_setup - configure a session
 * @size:	sizeof(struct kstrata_setup)
 * @flags:	KSTRATA_SETUP_*
 * @sample_hz:	mean samples per second and CPU, KSTRATA_HZ_MIN to _MAX
 * @ring_bytes:	data bytes of each ring: a power of two, at least a page,
 *		KSTRATA_RING_BYTES_MIN to _MAX
 * @watermark_bytes: unread bytes in a ring that make poll() report it; less
 *		than ring_bytes. Default: half of the ring
 * @kernel_depth: kernel frames kept of each stack, at most
 *		KSTRATA_KERNEL_DEPTH_MAX (the default)
 * @user_depth:	user frames kept of each stack, at most
 *		KSTRATA_USER_DEPTH_MAX (the default)
 * @budget:	share of a CPU that its own sampling may take, in 1/1000, 1 to
 *		1000. Beyond it the rate is halved, see THROTTLE
 * @granted:	out: KSTRATA_GRANT_*. Without KERNEL_ADDR (the opener has not
 *		CAP_SYSLOG, or the kernel is locked down) every kernel stack is
 *		the single frame KSTRATA_FRAME_HIDDEN
 * @nr_cpus:	out: rings are numbered 0 to nr_cpus - 1; those of CPUs that are
 *		not present do not exist (mmap: ENXIO)
 * @session:	out, zero in: the session's number, for netlink (minor 1)
 * @objects:	how many objects are known at once, KSTRATA_OBJECTS_MIN to _MAX,
 *		rounded up to a power of two; zero without KSTRATA_SETUP_OBJECTS
 *		(minor 1)
 * @rows_kb:	KiB that the rows of all objects may take, at most
 *		KSTRATA_ROWS_KB_MAX; zero without KSTRATA_SETUP_OBJECTS (minor 2)
 */
struct kstrata_setup {
	__u32 size;
	__u32 flags;
	__u32 sample_hz;
	__u32 ring_bytes;
	__u32 watermark_bytes;
	__u16 kernel_depth;
	__u16 user_depth;
	__u32 budget;
	__u32 granted;
	__u32 nr_cpus;
	__u32 session;
	__u32 objects;
	__u32 rows_kb;
};

/* The size that minor 0 knew. */
#define KSTRATA_SETUP_SIZE_0	40

/* kstrata_configure.what */
#define KSTRATA_CONFIGURE_HZ		(1U << 0)
#define KSTRATA_CONFIGURE_BUDGET	(1U << 1)
#define KSTRATA_CONFIGURE_CPUS		(1U << 2)
#define KSTRATA_CONFIGURE_FILTERS	(1U << 3)
#define KSTRATA_CONFIGURE_ALL		((1U << 4) - 1)

enum kstrata_filter_kind {
	KSTRATA_FILTER_PID	= 1,	/* a process, all of its threads */
	/* a cgroup and all below it, at most 63 levels */
	KSTRATA_FILTER_CGROUP	= 2,
};

/**
 * struct kstrata_filter - whom to sample
 * @kind:	enum kstrata_filter_kind
 * @reserved:	zero
 * @id:		process id, as the opener's pid namespace has it; or cgroup id, as
 *		in struct kstrata_sample
 */
struct kstrata_filter {
	__u16 kind;
	__u16 reserved[3];
	__u64 id;
};

/**
 * struct kstrata_configure - change a session, running or not
 * @size:	sizeof(struct kstrata_configure)
 * @what:	KSTRATA_CONFIGURE_*: the fields that count, the others are ignored
 * @sample_hz:	as in struct kstrata_setup, but zero is no default
 * @budget:	likewise
 * @cpus:	address of a mask of the CPUs to sample: bit n % 64 of the __u64 at
 *		n / 64. CPUs beyond its end are not sampled
 * @cpus_bytes:	length of the mask, a multiple of 8
 * @nr_filters:	number of filters; 0: sample everything
 * @filters:	address of struct kstrata_filter[@nr_filters]. A sample is made
 *		when any of them fits its task
 */
struct kstrata_configure {
	__u32 size;
	__u32 what;
	__u32 sample_hz;
	__u32 budget;
	__u64 cpus;
	__u32 cpus_bytes;
	__u32 nr_filters;
	__u64 filters;
};

enum kstrata_object_kind {
	KSTRATA_OBJECT_FILE	= 1,	/* a mapped file */
	KSTRATA_OBJECT_VDSO	= 2,	/* code that the kernel maps into programs */
	KSTRATA_OBJECT_VDSO32	= 3,	/* the same, for 32-bit programs */
};

/* The vDSO's number is its kind. There is no file, nor a record. */
#define KSTRATA_OBJECT_ID_FIRST	16	/* of a file */

/* kstrata_object_get.flags */
#define KSTRATA_OBJECT_GET_NO_FD	(1U << 0)	/* tell, do not open */

/**
 * struct kstrata_object_get - tell of an object and open its file
 * @size:	sizeof(struct kstrata_object_get)
 * @flags:	KSTRATA_OBJECT_GET_*
 * @id:		its number
 * @kind:	out: enum kstrata_object_kind
 * @fd:		out: a new descriptor, read-only and close-on-exec, or -1
 * @generation:	out, with the next three: as in struct kstrata_object
 * @dev_major:	see there
 * @dev_minor:	see there
 * @ino:	see there
 * @path:	address for the path, NUL-terminated; 0: not wanted
 * @path_bytes:	in: the room there. out: what the path takes, with its NUL; 0 when
 *		the file is held no longer. A longer path loses its beginning
 * @reserved:	zero
 */
struct kstrata_object_get {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 kind;
	__s32 fd;
	__u32 generation;
	__u32 dev_major;
	__u32 dev_minor;
	__u64 ino;
	__u64 path;
	__u32 path_bytes;
	__u32 reserved;
};

/* kstrata_rows.flags */
#define KSTRATA_ROWS_NONE	(1U << 0)	/* it has none: do not ask again */

/**
 * struct kstrata_rows - give an object its unwind rows (minor 2)
 * @size:	sizeof(struct kstrata_rows)
 * @flags:	KSTRATA_ROWS_*. With NONE, @table and @bytes are zero, and rows that
 *		the object has are dropped
 * @id:		the object's number, that of a vDSO too
 * @bytes:	length of the table
 * @table:	its address
 * @held_kb:	out: KiB that the session's rows take now
 * @dropped:	out: objects whose rows were dropped to make room
 */
struct kstrata_rows {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 bytes;
	__u64 table;
	__u32 held_kb;
	__u32 dropped;
};

/**
 * struct kstrata_switch - start or stop a session
 * @size:	sizeof(struct kstrata_switch)
 * @flags:	zero
 */
struct kstrata_switch {
	__u32 size;
	__u32 flags;
};

/* The sizes are in the structs, so that they can grow: _IO, not _IOWR. */
#define KSTRATA_IOC_MAGIC	0xb5
#define KSTRATA_IOC_VERSION	_IO(KSTRATA_IOC_MAGIC, 0)
#define KSTRATA_IOC_SETUP	_IO(KSTRATA_IOC_MAGIC, 1)
#define KSTRATA_IOC_START	_IO(KSTRATA_IOC_MAGIC, 2)
#define KSTRATA_IOC_STOP	_IO(KSTRATA_IOC_MAGIC, 3)
#define KSTRATA_IOC_CONFIGURE	_IO(KSTRATA_IOC_MAGIC, 4)	/* minor 1 */
#define KSTRATA_IOC_OBJECT	_IO(KSTRATA_IOC_MAGIC, 5)	/* minor 1 */
#define KSTRATA_IOC_ROWS	_IO(KSTRATA_IOC_MAGIC, 6)	/* minor 2 */

/* ---- rings ----------------------------------------------------------- */

#define KSTRATA_MMAP_CONSUMER(cpu)	((__u64)(cpu) << 32)
#define KSTRATA_MMAP_RING(cpu, page)	(((__u64)(cpu) << 32) + (page))

/**
 * struct kstrata_ring_consumer - the page that user space writes
 * @tail:	bytes consumed, ever
 */
struct kstrata_ring_consumer {
	__u64 tail;
};

/**
 * struct kstrata_ring_producer - the page that the kernel writes
 * @head:	bytes produced, ever; see "Memory ordering"
 * @ring_bytes:	data bytes, a power of two
 * @cpu:	the CPU that this ring belongs to
 * @samples:	SAMPLE records produced
 * @lost:	records of any type dropped because the ring was full
 * @lost_weight: ns that dropped SAMPLE records stood for
 * @idle:	how often the CPU became idle
 * @idle_weight: ns that it was idle, up to @idle_since
 * @missed:	periods that passed without an expiry of their own; the time is
 *		part of the next sample's weight
 * @handler_ns:	ns spent in the sampling handler
 * @idle_since:	CLOCK_MONOTONIC ns since when it is idle; 0: it is not; 1:
 *		@idle_weight is being changed. Read before and after
 *		@idle_weight: equal and not 1 means that they belong together
 *		(minor 1, as all that follow)
 * @filtered:	samples that no filter wanted: no record is made
 * @filtered_weight: ns that these stood for
 * @raw_busy:	samples whose frames could not be looked up, KSTRATA_LOOKUP_BUSY
 * @raw_full:	frames left raw because no more objects could be taken in
 * @started:	CLOCK_MONOTONIC ns when sampling here began; 0: it is off
 * @on_weight:	ns for which sampling was on here, up to @started
 * @frames_rows: user frames found by rows (minor 2, as all that follow)
 * @frames_fp:	user frames found by a frame pointer
 *
 * Counters never go back. On each CPU, from START to STOP, sampled weight +
 * @lost_weight + @filtered_weight + @idle_weight equals the time for which
 * sampling was on there, less what has passed since the last expiry.
 */
struct kstrata_ring_producer {
	__u64 head;
	__u64 reserved0[7];
	__u32 ring_bytes;
	__u32 cpu;
	__u64 samples;
	__u64 lost;
	__u64 lost_weight;
	__u64 idle;
	__u64 idle_weight;
	__u64 missed;
	__u64 handler_ns;
	__u64 idle_since;
	__u64 filtered;
	__u64 filtered_weight;
	__u64 raw_busy;
	__u64 raw_full;
	__u64 started;
	__u64 on_weight;
	__u64 frames_rows;
	__u64 frames_fp;
};

/* ---- records --------------------------------------------------------- */

enum kstrata_record_type {
	KSTRATA_RECORD_SAMPLE	= 1,
	KSTRATA_RECORD_LOST	= 2,
	KSTRATA_RECORD_TASK	= 3,
	KSTRATA_RECORD_THROTTLE	= 4,
	KSTRATA_RECORD_OBJECT	= 5,	/* minor 1 */
};

/**
 * struct kstrata_record - what every record starts with
 * @type:	enum kstrata_record_type
 * @flags:	by type; undefined bits are zero
 * @size:	of the whole record, this header included; a multiple of 8
 * @time:	CLOCK_MONOTONIC, ns
 */
struct kstrata_record {
	__u16 type;
	__u16 flags;
	__u32 size;
	__u64 time;
};

/* What a sample's weight counts. Later minors add off-CPU time, faults, ... */
enum kstrata_profile {
	KSTRATA_PROFILE_CPU	= 1,	/* ns of CPU time */
};

/* kstrata_sample.hdr.flags */
#define KSTRATA_SAMPLE_USER	(1U << 0)	/* user code was interrupted */
#define KSTRATA_SAMPLE_KTHREAD	(1U << 1)	/* a task of the kernel's own */
#define KSTRATA_SAMPLE_COMPAT	(1U << 2)	/* user code of 32 bits */
#define KSTRATA_SAMPLE_IDLE	(1U << 3)	/* interrupt work on an idle CPU; pid 0 */

/* Why the walk of a stack ended. */
enum kstrata_reason {
	KSTRATA_REASON_NONE	= 0,	/* there is no such stack */
	KSTRATA_REASON_COMPLETE	= 1,	/* the outermost frame was reached */
	KSTRATA_REASON_DEPTH	= 2,	/* the depth limit */
	KSTRATA_REASON_FAULT	= 3,	/* a stack word could not be read */
	KSTRATA_REASON_BAD_FRAME = 4,	/* a frame pointer, or address, that is none */
	KSTRATA_REASON_UNSUPPORTED = 5,	/* not walked (32-bit user code) */
	/* minor 2: */
	KSTRATA_REASON_NO_ROWS	= 6,	/* neither rows nor a frame pointer */
	KSTRATA_REASON_BAD_RULE	= 7,	/* the row's rule cannot be followed */
	KSTRATA_REASON_NOT_RESIDENT = 8, /* a stack page is not in memory */
};

/* kstrata_sample.walk: what the walk of the user stack went by. */
#define KSTRATA_WALK_ROWS	(1U << 0)	/* some frames: by rows */
#define KSTRATA_WALK_FP		(1U << 1)	/* some: by frame pointers */
#define KSTRATA_WALK_PENDING	(1U << 2)	/* of these, some for want of rows */
#define KSTRATA_WALK_SIGNAL	(1U << 3)	/* across a signal frame */
#define KSTRATA_WALK_CODE	(1U << 4)	/* the leaf: by its instructions */

/* Were user frames looked up? (minor 1) */
enum kstrata_lookup {
	KSTRATA_LOOKUP_NONE	= 0,	/* nothing to look up, or not asked for */
	KSTRATA_LOOKUP_DONE	= 1,	/* each frame says what was found */
	KSTRATA_LOOKUP_BUSY	= 2,	/* the process was changing its mappings */
	KSTRATA_LOOKUP_UNSUPPORTED = 3,	/* not on this kernel (PREEMPT_RT) */
};

/*
 * A frame is one word. Kernel frames are kernel addresses, or the one word
 * KSTRATA_FRAME_HIDDEN. Of user frames, the high bits tell the kind:
 *
 *   bit 63     an object frame: bits 62-40 the object's number, bits 39-0 the
 *              offset in its file (for a vDSO, in its image)
 *   bits 62-61 what the look-up found at a user address (bits 60-0)
 *        0     it was not made, or found an object that has no number yet
 *        1     executable memory that is no file's: a JIT's, say
 *        2     no executable memory: the walk went astray
 *
 * The leaf frame holds the interrupted instruction, every other frame a return
 * address: subtract one before looking it up. So the instruction that a signal has
 * interrupted, and the code that its handler returns to, have one added.
 */
#define KSTRATA_FRAME_HIDDEN	(~(__u64)0)
#define KSTRATA_FRAME_OBJECT	((__u64)1 << 63)
#define KSTRATA_FRAME_ANON	((__u64)1 << 61)
#define KSTRATA_FRAME_NOWHERE	((__u64)2 << 61)
#define KSTRATA_FRAME_KIND	((__u64)7 << 61)	/* mask of non-object kinds */
#define KSTRATA_FRAME_OFFSET_BITS	40
#define KSTRATA_FRAME_OBJECT_BITS	23

/**
 * struct kstrata_sample - one observation
 * @hdr:	type KSTRATA_RECORD_SAMPLE, flags KSTRATA_SAMPLE_*
 * @weight:	what it stands for, in the unit of @profile. For
 *		KSTRATA_PROFILE_CPU: ns since the previous expiry on this CPU
 * @cgroup:	id of the task's cgroup in the default hierarchy, 0: not known.
 *		The inode number of its directory under /sys/fs/cgroup
 * @pid:	process (thread group) id
 * @tid:	thread id
 * @comm:	the thread's name, NUL-terminated
 * @profile:	enum kstrata_profile
 * @frames_offset: bytes from the start of the record to the first frame
 * @nr_kernel:	kernel frames, leaf first
 * @nr_user:	user frames, leaf first, after the kernel frames
 * @kernel_reason: enum kstrata_reason
 * @user_reason: enum kstrata_reason
 * @lookup:	enum kstrata_lookup (minor 1)
 * @walk:	KSTRATA_WALK_* (minor 2)
 * @reserved:	zero
 *
 * followed, at @frames_offset, by @nr_kernel + @nr_user words.
 */
struct kstrata_sample {
	struct kstrata_record hdr;
	__u64 weight;
	__u64 cgroup;
	__u32 pid;
	__u32 tid;
	char comm[KSTRATA_COMM_LEN];
	__u16 profile;
	__u16 frames_offset;
	__u16 nr_kernel;
	__u16 nr_user;
	__u8 kernel_reason;
	__u8 user_reason;
	__u8 lookup;
	__u8 walk;
	__u8 reserved[4];
};

/**
 * struct kstrata_lost - records were dropped here
 * @hdr:	type KSTRATA_RECORD_LOST; @hdr.time is that of the record before
 *		which this one stands
 * @lost:	records dropped since the previous record of this ring
 * @weight:	ns of CPU time that the SAMPLE records among them stood for
 */
struct kstrata_lost {
	struct kstrata_record hdr;
	__u64 lost;
	__u64 weight;
};

enum kstrata_task_event {
	KSTRATA_TASK_EXEC	= 1,	/* a new program; comm is its name */
	KSTRATA_TASK_COMM	= 2,	/* a new name; comm is the new one */
	KSTRATA_TASK_EXIT	= 3,	/* a thread ended */
	KSTRATA_TASK_FORK	= 4,	/* a new thread, or process (minor 1) */
};

/* kstrata_task.hdr.flags */
#define KSTRATA_TASK_LAST	(1U << 0)	/* EXIT: of its process's last thread */
#define KSTRATA_TASK_KTHREAD	(1U << 1)	/* a task of the kernel's own (minor 1) */
#define KSTRATA_TASK_COMPAT	(1U << 2)	/* EXEC: a 32-bit program (minor 1) */

/**
 * struct kstrata_task - something happened to a task
 * @hdr:	type KSTRATA_RECORD_TASK, flags KSTRATA_TASK_*
 * @pid:	process (thread group) id
 * @tid:	thread id. Differs from @pid: not the process's first thread
 * @comm:	the thread's name, NUL-terminated
 * @event:	enum kstrata_task_event
 * @reserved:	zero
 * @parent_pid:	FORK: process id of the creator, else 0 (minor 1)
 * @parent_tid:	FORK: thread id of the creator, else 0 (minor 1)
 * @cgroup:	the task's cgroup, as in struct kstrata_sample (minor 1)
 */
struct kstrata_task {
	struct kstrata_record hdr;
	__u32 pid;
	__u32 tid;
	char comm[KSTRATA_COMM_LEN];
	__u16 event;
	__u16 reserved[3];
	__u32 parent_pid;
	__u32 parent_tid;
	__u64 cgroup;
};

/* The size that minor 0 knew. */
#define KSTRATA_TASK_SIZE_0	48

/**
 * struct kstrata_throttle - the sampling rate of this CPU changed
 * @hdr:	type KSTRATA_RECORD_THROTTLE
 * @period:	mean ns between samples from now on
 * @asked:	mean ns between samples that SETUP asked for. Equal to @period:
 *		the throttle is off again
 * @handler_ns:	what the handler took of late, ns per sample
 */
struct kstrata_throttle {
	struct kstrata_record hdr;
	__u64 period;
	__u64 asked;
	__u64 handler_ns;
};

/* kstrata_object.hdr.flags */
#define KSTRATA_OBJECT_GONE	(1U << 0)	/* its number means nothing any more */
#define KSTRATA_OBJECT_CUT	(1U << 1)	/* the path has lost its beginning */
#define KSTRATA_OBJECT_WANTED	(1U << 2)	/* its rows, once more (minor 2) */

/**
 * struct kstrata_object - a file that holds code (minor 1)
 * @hdr:	type KSTRATA_RECORD_OBJECT, flags KSTRATA_OBJECT_*. With GONE or
 *		WANTED only @id is filled in; with GONE @hdr.time is that of the
 *		last sample that may mean it
 * @id:		its number in frames
 * @kind:	enum kstrata_object_kind
 * @path_offset: bytes from the start of the record to the path
 * @path_bytes:	length of the path with its NUL, at most
 *		KSTRATA_OBJECT_PATH_MAX
 * @reserved:	zero
 * @generation:	of the inode, where the file system has it
 * @dev_major:	of the file system, as the kernel knows it
 * @dev_minor:	likewise
 * @ino:	inode number
 *
 * followed, at @path_offset, by the path as seen from the root of the file's own
 * mount namespace (once that has ended: of the file's mount); " (deleted)" is
 * appended when it has no name any more. Empty when the file is held no longer.
 */
struct kstrata_object {
	struct kstrata_record hdr;
	__u32 id;
	__u16 kind;
	__u16 path_offset;
	__u16 path_bytes;
	__u16 reserved;
	__u32 generation;
	__u32 dev_major;
	__u32 dev_minor;
	__u64 ino;
};

#define KSTRATA_OBJECT_PATH_MAX	1024

/* ---- unwind rows (minor 2) -------------------------------------------- */

/* How the caller's frame address, the CFA, is found: that is what its SP was. */
enum kstrata_cfa {
	KSTRATA_CFA_NONE	= 0,	/* not known: no rows here */
	KSTRATA_CFA_END		= 1,	/* there is no caller */
	KSTRATA_CFA_BAD		= 2,	/* known, but not to be said in a rule */
	KSTRATA_CFA_SIGNAL	= 3,	/* SP is at the kernel's rt_sigframe */
	KSTRATA_CFA_REG		= 4,	/* reg + offset */
	KSTRATA_CFA_DEREF	= 5,	/* the word at reg + offset, + add */
	KSTRATA_CFA_INDEX	= 6,	/* the word at reg + offset + 8 index, + add */
	KSTRATA_CFA_PLT		= 7,	/* reg + offset, + 8 if PC % 16 >= add */
};

/* How the caller's value of a register is found. */
enum kstrata_save_how {
	KSTRATA_SAVE_SAME	= 0,	/* it is still in it */
	KSTRATA_SAVE_LOST	= 1,	/* it is not known any more */
	KSTRATA_SAVE_AT_CFA	= 2,	/* the word at CFA + offset */
	KSTRATA_SAVE_IS_CFA	= 3,	/* CFA + offset */
	KSTRATA_SAVE_AT_REG	= 4,	/* the word at reg + offset */
	KSTRATA_SAVE_IS_REG	= 5,	/* reg + offset */
};

/**
 * struct kstrata_save - where one register of the caller is
 * @how:	enum kstrata_save_how
 * @reg:	AT_REG, IS_REG: number of a register of the callee, else zero
 * @reserved:	zero
 * @offset:	see there; zero with SAME and LOST
 */
struct kstrata_save {
	__u8 how;
	__u8 reg;
	__u16 reserved;
	__s32 offset;
};

/**
 * struct kstrata_rule - from a frame to its caller's
 * @cfa:	enum kstrata_cfa. Up to SIGNAL, all that follows is zero
 * @reg:	number of a register: DWARF's numbers, those of general registers
 *		and of SP only
 * @index:	INDEX: another one, else zero
 * @reserved:	zero
 * @offset:	see enum kstrata_cfa
 * @add:	likewise; PLT: 0 to 15; REG: zero
 * @ra:		the return address. SAME: it is in the register that holds it at
 *		the function's entry (arm64: 30; x86-64 has none: EINVAL)
 * @fp:		the frame pointer, x86-64: 6 (RBP), arm64: 29
 * @aux:	the register kstrata_rows_table.aux
 */
struct kstrata_rule {
	__u8 cfa;
	__u8 reg;
	__u8 index;
	__u8 reserved;
	__s32 offset;
	__s32 add;
	struct kstrata_save ra;
	struct kstrata_save fp;
	struct kstrata_save aux;
};

#define KSTRATA_ROWS_MAGIC	0x776f726bU	/* "krow" */
#define KSTRATA_ROWS_VERSION	1

#define KSTRATA_ROWS_PER_BLOCK	32
#define KSTRATA_ROW_START_MAX	0xfffe
#define KSTRATA_ROW_NONE	0xffff
#define KSTRATA_ROW_RARE	0xff		/* so rules 0 to 254 are not rare */
#define KSTRATA_ROWS_AUX_NONE	0xff
#define KSTRATA_ROWS_RULES_MAX	0xffff
#define KSTRATA_ROWS_PAGE_BITS_MIN	8
#define KSTRATA_ROWS_PAGE_BITS_MAX	31

/**
 * struct kstrata_rows_table - what a table starts with
 * @magic:	KSTRATA_ROWS_MAGIC
 * @version:	KSTRATA_ROWS_VERSION
 * @machine:	ELF's number: EM_X86_64 (62) or EM_AARCH64 (183), the kernel's own
 * @first:	offset in the file of the first byte that rows cover
 * @extent:	bytes from there to the end of the last row
 * @bytes:	of the whole table
 * @nr_rules:	1 to KSTRATA_ROWS_RULES_MAX
 * @nr_pages:	@extent in pages of 1 << @page_bits bytes, rounded up
 * @nr_blocks:	at least 1
 * @nr_rare:	number of rows whose rule is not among the first 255
 * @page_bits:	KSTRATA_ROWS_PAGE_BITS_MIN to _MAX
 * @aux:	a third register whose value rules keep, besides SP and the frame
 *		pointer, or KSTRATA_ROWS_AUX_NONE (every rule's aux is zero then)
 * @reserved:	zero
 */
struct kstrata_rows_table {
	__u32 magic;
	__u16 version;
	__u16 machine;
	__u64 first;
	__u32 extent;
	__u32 bytes;
	__u32 nr_rules;
	__u32 nr_pages;
	__u32 nr_blocks;
	__u32 nr_rare;
	__u8 page_bits;
	__u8 aux;
	__u8 reserved[22];
};

/* ---- netlink (minor 1) ------------------------------------------------ */

#define KSTRATA_GENL_NAME	"kstrata"
#define KSTRATA_GENL_VERSION	1
#define KSTRATA_GENL_EVENTS	"events"	/* the multicast group */

enum kstrata_cmd {
	KSTRATA_CMD_STATUS_GET		= 1,
	KSTRATA_CMD_SESSION_GET		= 2,
	KSTRATA_CMD_SESSION_SET		= 3,
	KSTRATA_CMD_CPU_GET		= 4,
	/* 5 to 31: requests to come */
	KSTRATA_CMD_EVENT_THROTTLE	= 32,
	KSTRATA_CMD_EVENT_LOSS		= 33,
	KSTRATA_CMD_EVENT_HOTPLUG	= 34,
};

/* u32 unless something else is said. 6 to 31: of requests to come. */
enum kstrata_attr {
	KSTRATA_ATTR_SESSION		= 1,	/* its number, not 0 */
	KSTRATA_ATTR_HZ			= 2,	/* kstrata_setup.sample_hz */
	KSTRATA_ATTR_BUDGET		= 3,	/* kstrata_setup.budget */
	KSTRATA_ATTR_CPUS		= 4,	/* kstrata_configure.cpus: u64s */
	/* nested: type enum kstrata_filter_kind, u64 id */
	KSTRATA_ATTR_FILTERS		= 5,
	KSTRATA_ATTR_RELEASE		= 32,	/* kstrata_version.release: string */
	KSTRATA_ATTR_ABI_MAJOR		= 33,
	KSTRATA_ATTR_ABI_MINOR		= 34,
	KSTRATA_ATTR_SESSIONS		= 35,	/* how many there are */
	KSTRATA_ATTR_SESSIONS_MAX	= 36,	/* how many there can be */
	KSTRATA_ATTR_CPUS_POSSIBLE	= 37,	/* how many */
	KSTRATA_ATTR_CPUS_ONLINE	= 38,	/* how many */
	KSTRATA_ATTR_STATE		= 39,	/* enum kstrata_state */
	/* process id in the initial pid namespace */
	KSTRATA_ATTR_OPENER		= 40,
	KSTRATA_ATTR_FLAGS		= 41,	/* KSTRATA_SETUP_* */
	KSTRATA_ATTR_GRANTED		= 42,	/* KSTRATA_GRANT_* */
	KSTRATA_ATTR_RING_BYTES		= 43,	/* as in kstrata_setup, to: */
	KSTRATA_ATTR_WATERMARK_BYTES	= 44,
	KSTRATA_ATTR_KERNEL_DEPTH	= 45,
	KSTRATA_ATTR_USER_DEPTH		= 46,
	KSTRATA_ATTR_OBJECTS		= 47,
	/* nested: type enum kstrata_stat, u64 */
	KSTRATA_ATTR_STATS		= 48,
	KSTRATA_ATTR_CPU		= 49,
	/* u64: mean ns between samples, in force */
	KSTRATA_ATTR_PERIOD		= 50,
	KSTRATA_ATTR_ASKED		= 51,	/* u64: the same, as asked for */
	KSTRATA_ATTR_THROTTLED		= 52,	/* flag: PERIOD is not ASKED */
	/* u64: kstrata_ring_producer; it belongs to the STATS beside it */
	KSTRATA_ATTR_IDLE_SINCE		= 53,
	KSTRATA_ATTR_STARTED		= 54,	/* u64: kstrata_ring_producer */
	KSTRATA_ATTR_HANDLER_NS		= 55,	/* u64: kstrata_throttle */
	KSTRATA_ATTR_LOST		= 56,	/* u64: records of any type */
	KSTRATA_ATTR_LOST_WEIGHT	= 57,	/* u64: ns of the samples among them */
	KSTRATA_ATTR_ONLINE		= 58,	/* 1: it came, 0: it went */
	KSTRATA_ATTR_ROWS_KB		= 59,	/* kstrata_setup.rows_kb (minor 2) */
	KSTRATA_ATTR_ROWS_HELD_KB	= 60,	/* kstrata_rows.held_kb (minor 2) */
};

enum kstrata_state {
	KSTRATA_STATE_NEW	= 0,
	KSTRATA_STATE_READY	= 1,
	KSTRATA_STATE_RUNNING	= 2,
};

/* The counters of struct kstrata_ring_producer. */
enum kstrata_stat {
	KSTRATA_STAT_SAMPLES		= 1,
	KSTRATA_STAT_LOST		= 2,
	KSTRATA_STAT_LOST_WEIGHT	= 3,
	KSTRATA_STAT_IDLE		= 4,
	KSTRATA_STAT_IDLE_WEIGHT	= 5,
	KSTRATA_STAT_MISSED		= 6,
	KSTRATA_STAT_HANDLER_NS		= 7,
	KSTRATA_STAT_FILTERED		= 8,
	KSTRATA_STAT_FILTERED_WEIGHT	= 9,
	KSTRATA_STAT_RAW_BUSY		= 10,
	KSTRATA_STAT_RAW_FULL		= 11,
	KSTRATA_STAT_ON_WEIGHT		= 12,
	KSTRATA_STAT_FRAMES_ROWS	= 13,	/* minor 2 */
	KSTRATA_STAT_FRAMES_FP		= 14,	/* minor 2 */
};

#endif /* _UAPI_KSTRATA_H */
