/*
 * The known word nearest to one that somebody mistyped, for remedies. Host code, pure, any thread.
 */
#ifndef TC_CACHE_NEAREST_H
#define TC_CACHE_NEAREST_H

#include <stddef.h>

/* Edits (insert, delete, replace, swap of neighbours; another case is half of one) from a to b, in
 * halves. Words above 63 bytes are infinitely far. */
unsigned tc_word_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

/* Of a NULL-terminated list, the word that is near enough to be what was meant; NULL if none is. */
const char *tc_nearest(const char *word, size_t bytes, const char *const *known);

/* Is a word of `bytes` bytes at this distance probably a slip? */
int tc_near_enough(unsigned distance, size_t bytes);

#endif
