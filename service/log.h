/*
 * The log, CACHE/log: one line a message, "TIME PID LEVEL REASON-ID text". Of more than 1 MiB it
 * becomes CACHE/log.1. Targets' lines and the service's own go into it; more than a burst of them
 * is dropped and counted, so that a failing target can't fill a disk.
 *
 * Nothing here fails: a log that can't be written is lost. One thread.
 */
#ifndef TC_SERVICE_LOG_H
#define TC_SERVICE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "cache/reason.h"
#include "cache/wire.h"

struct tc_log {
    int dirfd; /* of the cache directory, not owned; -1: lines go to stderr only */
    int to_stderr;
    int64_t window_ms; /* start of the second in which `in_window` lines were written */
    unsigned in_window, dropped;
};

#define TC_LOG_TEXT_BYTES 2048u

void tc_log_text(struct tc_log *log, enum tc_log_level level, unsigned reason, uint32_t pid,
                 const char *text, size_t bytes);
/* The service's own lines. */
void tc_log_line(struct tc_log *log, enum tc_log_level level, enum tc_reason reason,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
