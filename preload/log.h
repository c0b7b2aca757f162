/*
 * Lines for people, formatted without libc. Nothing is printed unless TASKCACHE_LOG (or the
 * config's log level) is set; errors then go to the service's log. No descriptor is kept:
 * TASKCACHE_LOG_FILE is opened for each line. Async-signal-safe.
 */
#ifndef TC_PRELOAD_LOG_H
#define TC_PRELOAD_LOG_H

#include <stdint.h>

#include "cache/wire.h"

#define TC_LINE_BYTES 512u

struct tc_line {
    char text[TC_LINE_BYTES];
    unsigned bytes;
};

void tc_log_init(void);
int tc_log_wanted(enum tc_log_level level);

/* "12:30:01.120 | INFO    | " (UTC) */
void tc_line_begin(struct tc_line *l, enum tc_log_level level);
void tc_line_text(struct tc_line *l, const char *text);
void tc_line_textn(struct tc_line *l, const char *text, size_t bytes);
void tc_line_number(struct tc_line *l, uint64_t n);
void tc_line_hex(struct tc_line *l, uint64_t n, int digits);
void tc_line_duration(struct tc_line *l, int64_t ns);
void tc_line_end(struct tc_line *l, enum tc_log_level level);

/* "subject: reason-id: sentence; remedy", at `level`; errors and warnings go to the service's log
 * if none is wanted here. */
void tc_log_reason(enum tc_log_level level, const char *subject, uint32_t reason,
                   const char *detail);
/* Likewise, a text that says all of it, in several lines. */
void tc_log_problem(enum tc_log_level level, uint32_t reason, const char *text);

#endif
