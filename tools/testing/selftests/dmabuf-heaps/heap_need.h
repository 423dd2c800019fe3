/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a machine is known to have, so that no test may be skipped for the lack of it:
 * NEED in the environment lists it, in words with commas in between. heap_need.c has
 * all words, and what each says of the machine.
 */
#ifndef HEAP_NEED_H
#define HEAP_NEED_H

#include <stdbool.h>

/* Ends the program if the word is in no list */
bool is_needed(const char *word);

/*
 * As SKIP(), for what the machine lacks: fails the test if NEED has the word. A test
 * that has failed already stays so. SKIP() itself is for what a heap is not meant for,
 * whatever the machine.
 */
#define SKIP_UNLESS_NEEDED(statement, word, ...) do {			\
	const char *_word = word;					\
									\
	if (is_needed(_word))						\
		TH_LOG(__VA_ARGS__);					\
	ASSERT_FALSE(is_needed(_word))					\
		TH_LOG("NEED names %s", _word);				\
	ASSERT_NE(KSFT_FAIL, _metadata->exit_code);			\
	SKIP(statement, __VA_ARGS__);					\
} while (0)

/* The same for all tests of a program, to be called before any: ends the program */
void skip_all(const char *word, const char *why);

#endif /* HEAP_NEED_H */
