/*
 * What every sub-command of cachectl needs: memory, texts, files. Running out of memory ends the
 * program with `tc_own_failure`; all else returns negative errno values. One thread.
 */
#ifndef TC_TOOLS_BASE_H
#define TC_TOOLS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/reason.h"
#include "cache/task.h"

#define TC_CLEANUP(f) __attribute__((cleanup(f)))

enum tc_exit {
    TC_EXIT_DONE = 0,
    TC_EXIT_FOUND = 1,
    TC_EXIT_USAGE = 2,
    TC_EXIT_RUN_FAILED = 125, /* `cachectl run`, as env(1) has them */
    TC_EXIT_NOT_EXECUTABLE = 126,
    TC_EXIT_NOT_FOUND = 127,
};

/* The exit status of our own failures: TC_EXIT_USAGE, in `run` TC_EXIT_RUN_FAILED. */
extern int tc_own_failure;

void *tc_alloc(size_t bytes); /* zeroed */
char *tc_copy(const char *s);
char *tc_copyn(const char *s, size_t bytes);
char *tc_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* An array with room for one more entry; `*allocated` counts entries. */
void *tc_grow(void *array, size_t count, size_t *allocated, size_t entry_bytes);

/* Cleanup handlers. */
void tc_free_text(char **p);
void tc_close_fd(int *fd);

/* A growable text, NUL-terminated once something was added. */
struct tc_text {
    char *data;
    size_t bytes, allocated;
};
void tc_text_addn(struct tc_text *t, const char *s, size_t bytes);
void tc_text_add(struct tc_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tc_text_free(struct tc_text *t);

/* One cause for a person: who, why, in words. The remedy is the reason's, unless one is given. */
struct tc_cause {
    enum tc_reason reason;
    char subject[512], sentence[2048], remedy[256];
};
/* Returns -`error`. A sentence of NULL is the reason's own. */
int tc_cause_set(struct tc_cause *c, int error, enum tc_reason reason, const char *subject,
                 const char *sentence, ...) __attribute__((format(printf, 5, 6)));

/* A file mapped read-only. */
struct tc_mapping {
    const unsigned char *base;
    size_t bytes;
};
/* The whole file; -EPERM if it belongs to neither us nor root, -ENODATA if it is empty. */
int tc_map_file(const char *path, struct tc_mapping *ret);
void tc_unmap(struct tc_mapping *m);

void tc_file_id_of(const void *struct_stat, struct tc_file_id *ret);
int tc_file_id(const char *path, struct tc_file_id *ret);
bool tc_file_id_equal(const struct tc_file_id *a, const struct tc_file_id *b);

/* mkdir -p with mode 0700. */
int tc_make_dirs(const char *path);

/* Now, ns since the epoch; test builds read it from the file TASKCACHE_CLOCK_FILE. */
int64_t tc_now_ns(void);
/* For deadlines. */
int64_t tc_monotonic_ms(void);

/* The last component of a path. */
const char *tc_basename(const char *path);

#endif
