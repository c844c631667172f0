// SPDX-License-Identifier: Apache-2.0
/*
 * Mutated messages to the generic netlink family, the same for the same seed.
 *
 *   genlfuzz SEED COUNT
 */
#include "genlclient.h"

static uint64_t random_state;

static uint32_t rnd(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % below;
}

static void random_attr(struct message *m, uint32_t id)
{
	static const uint16_t kinds[] = { 0, 1, 2, 3, 9 };
	char junk[64];
	struct nlattr *nest;
	uint64_t value;

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (char)rnd(256);
	switch (rnd(8)) {
	case 0:
	case 1:
		put_u32(m, KSTRATA_ATTR_SESSION, id);
		break;
	case 2:
		put_u32(m, KSTRATA_ATTR_HZ, rnd(4) ? 1 + rnd(2000) : rnd(20000));
		break;
	case 3:
		put_u32(m, KSTRATA_ATTR_BUDGET, rnd(1100));
		break;
	case 4:
		value = rnd(8);
		put(m, KSTRATA_ATTR_CPUS, &value, rnd(4) ? 8 : rnd(9));
		break;
	case 5:
		nest = put(m, KSTRATA_ATTR_FILTERS | (rnd(8) ? NLA_F_NESTED : 0),
			   NULL, 0);
		for (uint32_t n = rnd(rnd(8) ? 4 : 70); n; n--) {
			value = rnd(5000);
			put(m, kinds[rnd(5)], &value, rnd(8) ? 8 : rnd(9));
		}
		end_nest(m, nest);
		break;
	case 6:
		put(m, (uint16_t)rnd(64), junk, rnd(64));
		break;
	default:
		put(m, (uint16_t)rnd(65536), junk, rnd(64));
	}
}

static void fuzz(int fd, uint64_t seed, unsigned long count)
{
	static char buf[65536];
	int session = device();
	uint32_t id = setup(session, 199, 1u << 14, 0).session;
	struct answer a;
	unsigned long answers = 0;

	random_state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	switched(session, KSTRATA_IOC_START);
	for (unsigned long i = 0; i < count; i++) {
		struct message m = request(family,
					   (uint8_t)(rnd(8) ? 1 + rnd(4) :
							      rnd(256)),
					   rnd(3) ? NLM_F_ACK : NLM_F_DUMP);
		uint32_t len, n;

		/* What makes sense, more often than not. */
		if (rnd(4))
			put_u32(&m, KSTRATA_ATTR_SESSION, id);
		for (n = rnd(5); n; n--)
			random_attr(&m, id);
		len = m.nl.nlmsg_len;
		/* Anything behind the type: others' families are not ours. */
		for (n = rnd(2) ? rnd(6) : 0; n; n--)
			((char *)&m)[8 + rnd(len - 8)] = (char)rnd(256);
		if (!rnd(8))
			m.nl.nlmsg_len = rnd(len + 64);
		if (!rnd(8))
			m.nl.nlmsg_flags ^= (uint16_t)(1u << rnd(16));
		/* Nothing behind the message: it would be one of any type. */
		if (len > m.nl.nlmsg_len)
			len = m.nl.nlmsg_len ? m.nl.nlmsg_len : 1;
		send(fd, &m, rnd(8) ? len : rnd(len) + 1, MSG_DONTWAIT);
		/* A dump goes on as it is read, and ends. */
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			answers++;
	}
	printf("# fuzz: %lu messages, %lu answers\n", count, answers);
	close(fd);
	fd = open_socket();
	answered("the session is there after fuzzing", get_session(fd, id, &a), 0);
	answered("the session can be set after fuzzing",
	       set_u32(fd, id, KSTRATA_ATTR_HZ, 99), 0);
	verdict(answers > count / 4, "fuzzing is answered", "%lu times", answers);
	switched(session, KSTRATA_IOC_STOP);
	close(session);
}

int main(int argc, char **argv)
{
	int fd = open_socket();

	if (argc != 3) {
		fprintf(stderr, "usage: genlfuzz SEED COUNT\n");
		return 2;
	}
	answered("the family is found", find_family(fd), 0);
	if (!family)
		return 1;
	fuzz(fd, strtoull(argv[1], NULL, 0), strtoul(argv[2], NULL, 0));
	return failed;
}
