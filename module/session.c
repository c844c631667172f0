// SPDX-License-Identifier: GPL-2.0-only
#include "session.h"

#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/time64.h>

#include "events.h"
#include "filter.h"
#include "main.h"
#include "objects.h"
#include "probes.h"
#include "sampler.h"
#include "unwind.h"

struct kst_session *kst_session_find(u32 id)
{
	struct kst_session *s;

	lockdep_assert_held(&kst.lock);
	list_for_each_entry(s, &kst.sessions, list)
		if (s->id == id)
			return s;
	return NULL;
}

/* False: there are too many. */
static bool session_enter(struct kst_session *s)
{
	bool ok = false;

	mutex_lock(&kst.lock);
	if (kst.nr_sessions < KSTRATA_SESSIONS_MAX) {
		/* Not 0, and not one that is in use after 2^32. */
		do
			s->id = ++kst.last_id;
		while (!s->id || kst_session_find(s->id));
		list_add_tail(&s->list, &kst.sessions);
		kst.nr_sessions++;
		ok = true;
	}
	mutex_unlock(&kst.lock);
	return ok;
}

static void session_leave(struct kst_session *s)
{
	mutex_lock(&kst.lock);
	list_del(&s->list);
	kst.nr_sessions--;
	mutex_unlock(&kst.lock);
}

static void session_put(struct kst_session *s)
{
	put_pid_ns(s->pid_ns);
	free_cpumask_var(s->mask);
	mutex_destroy(&s->lock);
	kfree(s);
}

struct kst_session *kst_session_new(void)
{
	struct kst_session *s;
	int r;

	s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	if (!s)
		return ERR_PTR(-ENOMEM);
	if (!zalloc_cpumask_var(&s->mask, GFP_KERNEL_ACCOUNT)) {
		kfree(s);
		return ERR_PTR(-ENOMEM);
	}
	cpumask_setall(s->mask);
	mutex_init(&s->lock);
	init_waitqueue_head(&s->wait);
	s->opener = current->tgid;
	s->pid_ns = get_pid_ns(task_active_pid_ns(current));
	r = kst_events_begin(s);
	if (!r) {
		if (session_enter(s))
			return s;
		r = -EBUSY;
		kst_events_end(s);
	}
	session_put(s);
	return ERR_PTR(r);
}

static void free_cpus(struct kst_cpu **cpus)
{
	unsigned int cpu;

	if (!cpus)
		return;
	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		if (!cpus[cpu])
			continue;
		/* No producer is left: this one may still be on its way. */
		irq_work_sync(&cpus[cpu]->wake);
		kst_ring_free(&cpus[cpu]->ring);
		kvfree(cpus[cpu]->rules);
		kfree(cpus[cpu]);
	}
	kvfree(cpus);
}

void kst_session_free(struct kst_session *s)
{
	/* Nobody finds it any more. */
	session_leave(s);
	kst_session_stop(s);
	kst_events_end(s);
	kst_objects_free(s->objects);
	free_cpus(s->cpus);
	/* Its readers, the handlers, are gone. */
	kfree(rcu_dereference_protected(s->filters, true));
	session_put(s);
}

static void wake_fn(struct irq_work *work)
{
	struct kst_cpu *c = container_of(work, struct kst_cpu, wake);

	wake_up_interruptible_poll(&c->session->wait, EPOLLIN | EPOLLRDNORM);
}

static int session_add_cpu(struct kst_session *s, struct kst_cpu **cpus,
			   int cpu, const struct kstrata_setup *setup)
{
	struct kst_cpu *c;
	int r;

	c = kzalloc_node(sizeof(*c), GFP_KERNEL_ACCOUNT, cpu_to_node(cpu));
	if (!c)
		return -ENOMEM;
	r = kst_ring_init(&c->ring, cpu, setup->ring_bytes,
			  setup->watermark_bytes);
	if (r) {
		kfree(c);
		return r;
	}
	if (setup->flags & KSTRATA_SETUP_OBJECTS) {
		c->rules = kvzalloc_node(sizeof(*c->rules), GFP_KERNEL_ACCOUNT,
					 cpu_to_node(cpu));
		if (!c->rules) {
			kst_ring_free(&c->ring);
			kfree(c);
			return -ENOMEM;
		}
	}
	c->session = s;
	c->cpu = cpu;
	init_irq_work(&c->wake, wake_fn);
	kst_events_init_cpu(c);
	kst_sampler_init_cpu(c);
	cpus[cpu] = c;
	return 0;
}

/* Defaults for zeroes, then bounds. */
static int check_setup(struct kstrata_setup *u)
{
	if (u->flags & ~KSTRATA_SETUP_FLAGS || u->session)
		return -EINVAL;
	if (!u->sample_hz)
		u->sample_hz = KSTRATA_HZ_DEFAULT;
	if (!u->ring_bytes)
		u->ring_bytes = max_t(u32, KSTRATA_RING_BYTES_DEFAULT,
				      PAGE_SIZE);
	if (!u->watermark_bytes)
		u->watermark_bytes = u->ring_bytes / 2;
	if (!u->kernel_depth)
		u->kernel_depth = KSTRATA_KERNEL_DEPTH_MAX;
	if (!u->user_depth)
		u->user_depth = KSTRATA_USER_DEPTH_MAX;
	if (!u->budget)
		u->budget = KSTRATA_BUDGET_DEFAULT;
	if (u->flags & KSTRATA_SETUP_OBJECTS) {
		if (!u->objects)
			u->objects = KSTRATA_OBJECTS_DEFAULT;
		if (u->objects < KSTRATA_OBJECTS_MIN ||
		    u->objects > KSTRATA_OBJECTS_MAX)
			return -EINVAL;
		u->objects = roundup_pow_of_two(u->objects);
		if (!u->rows_kb)
			u->rows_kb = KSTRATA_ROWS_KB_DEFAULT;
		if (u->rows_kb > KSTRATA_ROWS_KB_MAX)
			return -EINVAL;
	} else if (u->objects || u->rows_kb) {
		return -EINVAL;
	}
	if (u->sample_hz > KSTRATA_HZ_MAX ||
	    u->ring_bytes < max_t(u32, KSTRATA_RING_BYTES_MIN, PAGE_SIZE) ||
	    u->ring_bytes > KSTRATA_RING_BYTES_MAX ||
	    !is_power_of_2(u->ring_bytes) ||
	    u->watermark_bytes >= u->ring_bytes ||
	    u->kernel_depth > KSTRATA_KERNEL_DEPTH_MAX ||
	    u->user_depth > KSTRATA_USER_DEPTH_MAX || u->budget > 1000)
		return -EINVAL;
	return 0;
}

int kst_session_setup(struct kst_session *s, struct kstrata_setup *setup,
		      bool kernel_addr)
{
	struct kst_objects *objects = NULL;
	struct kst_cpu **cpus;
	int cpu, r;

	r = check_setup(setup);
	if (r)
		return r;
	setup->granted = kernel_addr ? KSTRATA_GRANT_KERNEL_ADDR : 0;
	setup->nr_cpus = nr_cpu_ids;
	setup->session = s->id;

	mutex_lock(&s->lock);
	if (s->state != KST_NEW) {
		r = -EBUSY;
		goto out;
	}
	if (setup->flags & KSTRATA_SETUP_OBJECTS) {
		objects = kst_objects_new(s, setup->objects,
					  setup->rows_kb);
		if (IS_ERR(objects)) {
			r = PTR_ERR(objects);
			goto out;
		}
	}
	cpus = kvcalloc(nr_cpu_ids, sizeof(*cpus), GFP_KERNEL_ACCOUNT);
	if (!cpus) {
		r = -ENOMEM;
		goto err_objects;
	}
	for_each_present_cpu(cpu) {
		r = session_add_cpu(s, cpus, cpu, setup);
		if (r)
			goto err_cpus;
	}
	s->objects = objects;
	s->setup = *setup;
	s->period = div_u64(NSEC_PER_SEC, setup->sample_hz);
	/* Pairs with _mmap(), _poll() and _objects(), which take no lock. */
	smp_store_release(&s->cpus, cpus);
	s->state = KST_READY;
out:
	mutex_unlock(&s->lock);
	return r;

err_cpus:
	free_cpus(cpus);
err_objects:
	kst_objects_free(objects);
	goto out;
}

/* The ABI's mask to the kernel's. -EINVAL: it has no CPU that could be. */
static int mask_of(const struct kst_config *config, struct cpumask *mask)
{
	unsigned int cpu;

	cpumask_clear(mask);
	for_each_possible_cpu(cpu)
		if (cpu / 64 < config->nr_cpu_words &&
		    config->cpus[cpu / 64] & BIT_ULL(cpu % 64))
			cpumask_set_cpu(cpu, mask);
	return cpumask_empty(mask) ? -EINVAL : 0;
}

static int check_config(const struct kst_config *config)
{
	if (!config->what || config->what & ~KSTRATA_CONFIGURE_ALL)
		return -EINVAL;
	if (config->what & KSTRATA_CONFIGURE_HZ &&
	    (config->sample_hz < KSTRATA_HZ_MIN ||
	     config->sample_hz > KSTRATA_HZ_MAX))
		return -EINVAL;
	if (config->what & KSTRATA_CONFIGURE_BUDGET &&
	    (!config->budget || config->budget > 1000))
		return -EINVAL;
	return 0;
}

/* Nothing fails from here on. Consumes filters; mask stays the caller's. */
static void session_follow(struct kst_session *s, const struct kst_config *config,
			   const struct cpumask *mask,
			   struct kst_filters *filters)
{
	if (config->what & KSTRATA_CONFIGURE_FILTERS) {
		filters = rcu_replace_pointer(s->filters, filters,
					      lockdep_is_held(&s->lock));
		if (filters)
			kfree_rcu(filters, rcu);
	}
	/* Against CPUs that come online: they read mask and period. */
	cpus_read_lock();
	if (config->what & KSTRATA_CONFIGURE_BUDGET)
		WRITE_ONCE(s->setup.budget, config->budget);
	if (config->what & KSTRATA_CONFIGURE_HZ) {
		s->setup.sample_hz = config->sample_hz;
		s->period = div_u64(NSEC_PER_SEC, config->sample_hz);
	}
	if (config->what & KSTRATA_CONFIGURE_CPUS)
		cpumask_copy(s->mask, mask);
	if (s->state == KST_RUNNING)
		kst_sampler_follow(s);
	cpus_read_unlock();
}

int kst_session_configure(struct kst_session *s, const struct kst_config *config)
{
	struct kst_filters *filters = NULL;
	cpumask_var_t mask;
	int r;

	r = check_config(config);
	if (r)
		return r;
	if (!alloc_cpumask_var(&mask, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	if (config->what & KSTRATA_CONFIGURE_CPUS) {
		r = mask_of(config, mask);
		if (r)
			goto out;
	}
	if (config->what & KSTRATA_CONFIGURE_FILTERS) {
		filters = kst_filters_new(config->filters, config->nr_filters);
		r = PTR_ERR_OR_ZERO(filters);
		if (r)
			goto out;
	}
	mutex_lock(&s->lock);
	if (s->state == KST_NEW) {
		kfree(filters);
		r = -EINVAL;
	} else {
		session_follow(s, config, mask, filters);
	}
	mutex_unlock(&s->lock);
out:
	free_cpumask_var(mask);
	return r;
}

int kst_session_start(struct kst_session *s)
{
	int r;

	mutex_lock(&s->lock);
	if (s->state != KST_READY) {
		r = s->state == KST_NEW ? -EINVAL : -EALREADY;
		goto out;
	}
	/* First: a CPU that parks at once must be seen to wake up. */
	r = kst_probes_hold(s);
	if (r)
		goto out;
	WRITE_ONCE(s->telling, !(s->setup.flags & KSTRATA_SETUP_NO_TASKS));
	r = kst_sampler_start(s);
	if (r) {
		WRITE_ONCE(s->telling, false);
		kst_probes_drop(s);
		goto out;
	}
	kst_objects_start(s->objects);
	s->state = KST_RUNNING;
out:
	mutex_unlock(&s->lock);
	return r;
}

int kst_session_stop(struct kst_session *s)
{
	int r = -EINVAL;

	mutex_lock(&s->lock);
	if (s->state == KST_RUNNING) {
		/*
		 * Before each CPU flushes its ring in kst_sampler_stop(), on
		 * that CPU: no TASK record follows.
		 */
		WRITE_ONCE(s->telling, false);
		kst_sampler_stop(s);
		kst_objects_stop(s->objects);
		kst_probes_drop(s);
		s->state = KST_READY;
		r = 0;
	}
	mutex_unlock(&s->lock);
	return r;
}

bool kst_session_objects(struct kst_session *s, struct kst_objects **objects)
{
	/* Pairs with the release in kst_session_setup(). */
	if (!smp_load_acquire(&s->cpus))
		return false;
	*objects = s->objects;
	return true;
}

int kst_session_mmap(struct kst_session *s, struct vm_area_struct *vma)
{
	/* Pairs with the release in kst_session_setup(). */
	struct kst_cpu **cpus = smp_load_acquire(&s->cpus);
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	unsigned long length = vma->vm_end - vma->vm_start;
	u32 cpu = upper_32_bits(offset), part = lower_32_bits(offset);
	struct kst_ring *ring;

	/* MAYSHARE: a shared mapping of a read-only descriptor lacks SHARED. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (!cpus)
		return -EBADFD;
	if (cpu >= nr_cpu_ids)
		return -ENXIO;
	cpu = array_index_nospec(cpu, nr_cpu_ids);
	if (!cpus[cpu])
		return -ENXIO;
	ring = &cpus[cpu]->ring;
	if (part == 0 && length == PAGE_SIZE) {
		if (vma->vm_flags & VM_EXEC)
			return -EPERM;
		return kst_ring_map_consumer(ring, vma);
	}
	if (part == PAGE_SIZE && length == PAGE_SIZE + 2ul * ring->bytes) {
		if (vma->vm_flags & (VM_WRITE | VM_EXEC))
			return -EPERM;
		return kst_ring_map_data(ring, vma);
	}
	return -EINVAL;
}

__poll_t kst_session_poll(struct kst_session *s, struct file *file,
			  poll_table *wait)
{
	/* Pairs with the release in kst_session_setup(). */
	struct kst_cpu **cpus = smp_load_acquire(&s->cpus);
	unsigned int cpu;

	poll_wait(file, &s->wait, wait);
	if (!cpus)
		return EPOLLERR;
	for (cpu = 0; cpu < nr_cpu_ids; cpu++)
		if (cpus[cpu] && kst_ring_readable(&cpus[cpu]->ring))
			return EPOLLIN | EPOLLRDNORM;
	return 0;
}

void *kst_cpu_reserve(struct kst_cpu *c, u32 max, u64 now, u64 weight)
{
	void *rec = kst_ring_reserve(&c->ring, max, now, weight);

	if (unlikely(!rec))
		kst_event_loss(c);
	return rec;
}

void kst_cpu_commit(struct kst_cpu *c)
{
	if (kst_ring_commit(&c->ring))
		irq_work_queue(&c->wake);
}
