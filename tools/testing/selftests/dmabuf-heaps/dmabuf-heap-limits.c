// SPDX-License-Identifier: GPL-2.0
/* Limits of a heap: that they hold to the page, and take nothing but numbers */

#include <pthread.h>
#include <stdatomic.h>

#include "heap_account.h"

#define LIMIT	PAGES(16)

/* The last failure of the heap of the test */
#define EXPECT_LAST(reason, size) do {					\
	char last[MAX_TEXT], expected[MAX_TEXT];			\
									\
	EXPECT_EQ(0, heap_attr_read(variant->name, "failures/last", last, \
				    MAX_TEXT));				\
	snprintf(expected, MAX_TEXT, reason " %zu", size);		\
	EXPECT_STREQ(expected, last);					\
} while (0)

ACCOUNT_TEST(buffer_limit_holds_to_the_page)
{
	int fd;

	/* With somewhere to fall back to, the limit is only this heap's */
	if (heap_has_fallback(variant->name))
		SKIP(return, "another heap serves what is too large for %s",
		     variant->name);
	ASSERT_EQ(0, heap_attr_set(variant->name, "buffer_limit_bytes", LIMIT));
	EXPECT_EQ(LIMIT, heap_attr(variant->name, "buffer_limit_bytes"));

	fd = heap_alloc(self->fd, LIMIT - PAGES(1));
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	fd = heap_alloc(self->fd, LIMIT);
	ASSERT_LE(0, fd);
	EXPECT_IN_USE(1, LIMIT);
	EXPECT_FAILED(0, 0, 0, 0, 0);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, LIMIT + 1));
	EXPECT_FAILED(1, 0, 0, 0, 0);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, LIMIT + PAGES(1)));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, 1ULL << 62));
	EXPECT_FAILED(3, 0, 0, 0, 0);
	EXPECT_IN_USE(1, LIMIT);
	EXPECT_EQ(0, close(fd));

	/* It is a limit of each, not of all */
	fd = heap_alloc(self->fd, LIMIT);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));

	/* A limit counts in whole pages */
	ASSERT_EQ(0, heap_attr_set(variant->name, "buffer_limit_bytes", LIMIT - 1));
	EXPECT_EQ(LIMIT - PAGES(1), heap_attr(variant->name, "buffer_limit_bytes"));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, LIMIT));
	EXPECT_FAILED(4, 0, 0, 0, 0);

	ASSERT_EQ(0, heap_attr_set(variant->name, "buffer_limit_bytes", 0));
	EXPECT_EQ(0, heap_attr(variant->name, "buffer_limit_bytes"));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, 1));
	EXPECT_FAILED(5, 0, 0, 0, 0);
}

ACCOUNT_TEST(heap_limit_holds_to_the_page)
{
	long long limit = self->bytes + LIMIT;
	int fd, other;

	if (heap_has_fallback(variant->name))
		SKIP(return, "another heap serves what is too much for %s",
		     variant->name);
	ASSERT_EQ(0, heap_attr_set(variant->name, "heap_limit_bytes", limit));
	EXPECT_EQ(limit, heap_attr(variant->name, "heap_limit_bytes"));

	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, LIMIT + 1));
	EXPECT_FAILED(0, 1, 0, 0, 0);
	fd = heap_alloc(self->fd, LIMIT);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, 1));
	EXPECT_FAILED(0, 2, 0, 0, 0);
	EXPECT_IN_USE(1, LIMIT);
	EXPECT_EQ(0, close(fd));

	fd = heap_alloc(self->fd, LIMIT - PAGES(1));
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, PAGES(1) + 1));
	other = heap_alloc(self->fd, PAGES(1));
	ASSERT_LE(0, other);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, PAGES(1)));
	EXPECT_FAILED(0, 4, 0, 0, 0);
	EXPECT_IN_USE(2, LIMIT);

	/* Below what there is: that stays, but nothing is added */
	ASSERT_EQ(0, heap_attr_set(variant->name, "heap_limit_bytes", 0));
	EXPECT_IN_USE(2, LIMIT);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, PAGES(1)));
	EXPECT_FAILED(0, 5, 0, 0, 0);
	EXPECT_EQ(0, close(other));

	ASSERT_EQ(0, heap_attr_write(variant->name, "heap_limit_bytes", "max\n"));
	fd = heap_alloc(self->fd, LIMIT + PAGES(1));
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_FAILED(0, 5, 0, 0, 0);
}

ACCOUNT_TEST(last_failure_is_told_with_its_reason)
{
	char last[MAX_TEXT];

	ASSERT_EQ(0, heap_attr_set(variant->name, "buffer_limit_bytes", LIMIT));
	close(heap_alloc(self->fd, LIMIT + 1));
	EXPECT_LAST("too_large", LIMIT + PAGES(1));

	ASSERT_EQ(0, heap_attr_set(variant->name, "heap_limit_bytes",
				   self->bytes + PAGES(2)));
	close(heap_alloc(self->fd, PAGES(3)));
	EXPECT_LAST("limit", PAGES(3));

	/* A success changes nothing, nor does a call that is no request */
	close(heap_alloc(self->fd, PAGES(2)));
	close(heap_alloc(self->fd, 0));
	EXPECT_LAST("limit", PAGES(3));

	/* A length that no unsigned long has is as much as that has, of whole pages */
	close(heap_alloc(self->fd, 1ULL << 62));
	EXPECT_EQ(0, heap_attr_read(variant->name, "failures/last", last, MAX_TEXT));
	EXPECT_EQ(0, strncmp("too_large ", last, strlen("too_large ")));
	EXPECT_LE(1ULL << 31, strtoull(last + strlen("too_large "), NULL, 10));
}

ACCOUNT_TEST(limits_take_numbers_only)
{
	static const char *const wrong[] = {
		"\n", " ", "-1", "x", "1x", "1 1", "0x", "1.5", "4k", "Max",
		"maximum", "max max", "--1", "18446744073709551616",
		"99999999999999999999999999",
	};
	char text[MAX_TEXT];
	int i, j;

	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++) {
		const char *attr = limit_attrs[i];

		ASSERT_EQ(0, heap_attr_write(variant->name, attr, "max"));
		EXPECT_EQ(0, heap_attr_read(variant->name, attr, text, MAX_TEXT));
		EXPECT_STREQ("max", text);
		ASSERT_EQ(0, heap_attr_write(variant->name, attr, "0x100000\n"));
		for (j = 0; j < ARRAY_SIZE(wrong); j++) {
			EXPECT_EQ(-EINVAL, heap_attr_write(variant->name, attr,
							   wrong[j]))
				TH_LOG("'%s' for %s", wrong[j], attr);
			EXPECT_EQ(MIB(1), heap_attr(variant->name, attr));
		}
		/* As much as can be said, and no less than that */
		ASSERT_EQ(0, heap_attr_write(variant->name, attr,
					     "18446744073709551615"));
		EXPECT_EQ(0, heap_attr_read(variant->name, attr, text, MAX_TEXT));
		/* All that a kernel of 32 bits can say; a 32-bit program may have either */
		if (sizeof(long) < sizeof(long long) && !strcmp("max", text))
			continue;
		EXPECT_EQ(ULLONG_MAX & ~(page_size() - 1ULL),
			  strtoull(text, NULL, 10));
	}
}

/* A heap without limits still refuses impossible lengths */
ACCOUNT_TEST(impossible_lengths_are_refused_without_limit)
{
	ASSERT_EQ(0, heap_attr_write(variant->name, "buffer_limit_bytes", "max"));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, 1ULL << 62));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, (1ULL << 63) + PAGES(1)));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, UINT64_MAX - PAGES(2)));
	EXPECT_IN_USE(0, 0);
}

#define CLIMBERS	8
#define LIMIT_PAGES	100
#define REFUSALS	10000

static atomic_bool climb_over;
static atomic_long climb_refused;
static atomic_long pages_held;
static atomic_long most_held;

struct climber {
	pthread_t thread;
	int heap_fd;
	__u64 state;
	atomic_bool runs;
	int error;
};

/*
 * Counted after they are there and before they go, so that what is seen too much
 * was too much.
 */
static void *climb(void *data)
{
	struct climber *climber = data;
	int fds[32], pages[32], count = 0, i;
	long held, most;

	while (!climb_over && !climber->error) {
		climber->runs = true;
		pages[count] = 1 + pseudo_random(&climber->state) % 16;
		fds[count] = heap_alloc(climber->heap_fd,
					pages[count] * page_size());
		if (fds[count] >= 0) {
			held = pages_held += pages[count++];
			most = most_held;
			while (held > most &&
			       !atomic_compare_exchange_weak(&most_held, &most,
							     held))
				;
		} else if (fds[count] == -ENOMEM) {
			climb_refused++;
		} else {
			climber->error = fds[count];
		}
		if (count == ARRAY_SIZE(fds) ||
		    (count && fds[count] < 0 &&
		     pseudo_random(&climber->state) % 4 == 0)) {
			i = pseudo_random(&climber->state) % count;
			pages_held -= pages[i];
			close(fds[i]);
			fds[i] = fds[--count];
			pages[i] = pages[count];
		}
	}
	while (count--) {
		pages_held -= pages[count];
		close(fds[count]);
	}

	return NULL;
}

ACCOUNT_TEST(heap_limit_holds_under_load)
{
	const long long limit = self->bytes + LIMIT_PAGES * page_size();
	struct climber climbers[CLIMBERS] = { };
	long long peak;
	int i;

	if (heap_has_fallback(variant->name))
		SKIP(return, "another heap serves what is too much for %s",
		     variant->name);
	ASSERT_EQ(0, heap_attr_set(variant->name, "heap_limit_bytes", limit));
	ASSERT_EQ(0, heap_attr_write(variant->name, "peak_bytes", "0"));
	for (i = 0; i < CLIMBERS; i++) {
		climbers[i].heap_fd = self->fd;
		climbers[i].state = i;
		ASSERT_EQ(0, pthread_create(&climbers[i].thread, NULL, climb,
					    &climbers[i]));
	}
	for (i = 0; i < CLIMBERS; i++)
		EXPECT_TRUE(WAIT_FOR(climbers[i].runs));
	EXPECT_TRUE(WAIT_FOR(climb_refused >= REFUSALS &&
			     most_held > LIMIT_PAGES - 16))
		TH_LOG("%ld refused, %ld pages held", climb_refused, most_held);
	climb_over = true;
	for (i = 0; i < CLIMBERS; i++) {
		ASSERT_EQ(0, pthread_join(climbers[i].thread, NULL));
		EXPECT_EQ(0, climbers[i].error);
	}
	EXPECT_GE(LIMIT_PAGES, most_held);
	/* Each refusal has been counted, and nothing else */
	EXPECT_FAILED(0, climb_refused, 0, 0, 0);
	EXPECT_IN_USE(0, 0);
	peak = heap_attr(variant->name, "peak_bytes");
	EXPECT_GE(limit, peak);
	/* Nobody has held more than what was counted at some time */
	EXPECT_LE(self->bytes + most_held * page_size(), peak);
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_account_fixture_object);

	return test_harness_run(argc, argv);
}
