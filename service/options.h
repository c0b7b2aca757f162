/*
 * The command line of taskcached.
 */
#ifndef TC_SERVICE_OPTIONS_H
#define TC_SERVICE_OPTIONS_H

#include <stdint.h>

#include "service/failure.h"

struct tc_options {
    const char *config; /* --config P, NULL */
    const char *cache;  /* --cache DIR, NULL */
    const char *plugin; /* --read-plugin FILE, NULL */
    const char *source; /* --read-source FILE, NULL */
    int ready_fd;       /* -1: none */
    int foreground;
    int idle_exit_s;         /* 0: never */
    uint64_t max_size_bytes; /* 0: not given */
    int show_help, show_version;
};

/* 0 or -EINVAL. The strings stay argv's. */
int tc_options_parse(struct tc_options *o, int argc, char **argv, struct tc_failure *f);

const char *tc_options_help(void);

#endif
