#include "cache/nearest.h"

#include <limits.h>
#include <string.h>

#define LONGEST 63u

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned replace_cost(char a, char b)
{
    if (a == b)
        return 0;
    return lower(a) == lower(b) ? 1 : 2;
}

/* Optimal string alignment: three rows of the edit matrix. */
unsigned tc_word_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    unsigned row[3][LONGEST + 1];

    if (a_bytes > LONGEST || b_bytes > LONGEST)
        return UINT_MAX;
    for (size_t j = 0; j <= b_bytes; j++)
        row[0][j] = (unsigned)(2 * j);
    for (size_t i = 1; i <= a_bytes; i++) {
        unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *two_before = row[(i + 1) % 3];

        now[0] = (unsigned)(2 * i);
        for (size_t j = 1; j <= b_bytes; j++) {
            now[j] = before[j - 1] + replace_cost(a[i - 1], b[j - 1]);
            now[j] = least(now[j], least(before[j], now[j - 1]) + 2);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], two_before[j - 2] + 2);
        }
    }
    return row[a_bytes % 3][b_bytes];
}

int tc_near_enough(unsigned distance, size_t bytes)
{
    size_t edits = bytes <= 2 ? 1 : bytes <= 5 ? 2 : bytes / 3 + 1;

    /* Any letter is one edit from any other. */
    return bytes == 1 ? distance <= 1 : distance <= 2 * edits;
}

const char *tc_nearest(const char *word, size_t bytes, const char *const *known)
{
    const char *best = NULL;
    unsigned best_distance = UINT_MAX;

    for (; *known != NULL; known++) {
        unsigned d = tc_word_distance(word, bytes, *known, strlen(*known));

        if (d < best_distance) {
            best = *known;
            best_distance = d;
        }
    }
    return best != NULL && tc_near_enough(best_distance, bytes) ? best : NULL;
}
