#include "service/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/config_values.h"

static int number(const char *text, int *ret)
{
    char *end;
    long n;

    errno = 0;
    n = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || n < 0 || n > INT_MAX)
        return -EINVAL;
    *ret = (int)n;
    return 0;
}

static int take(struct tc_options *o, int option, struct tc_failure *f)
{
    switch (option) {
    case 'c':
        o->config = optarg;
        return 0;
    case 'C':
        o->cache = optarg;
        return 0;
    case 'p':
        o->plugin = optarg;
        return 0;
    case 's':
        o->source = optarg;
        return 0;
    case 'm':
        if (tc_parse_size(optarg, &o->max_size_bytes) == 0 && o->max_size_bytes != 0)
            return 0;
        return tc_fail(f, TC_R_SYNTAX, EINVAL, "'%s' isn't a size", optarg);
    case 'f':
        o->foreground = 1;
        return 0;
    case 'h':
        o->show_help = 1;
        return 0;
    case 'V':
        o->show_version = 1;
        return 0;
    case 'r':
    case 'i':
        if (number(optarg, option == 'r' ? &o->ready_fd : &o->idle_exit_s) == 0)
            return 0;
        return tc_fail(f, TC_R_SYNTAX, EINVAL, "'%s' isn't a number", optarg);
    default:
        return tc_fail(f, TC_R_SYNTAX, EINVAL, "unknown option, or one without its value");
    }
}

int tc_options_parse(struct tc_options *o, int argc, char **argv, struct tc_failure *f)
{
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"cache", required_argument, NULL, 'C'},
                                          {"ready-fd", required_argument, NULL, 'r'},
                                          {"idle-exit", required_argument, NULL, 'i'},
                                          {"max-size", required_argument, NULL, 'm'},
                                          {"read-plugin", required_argument, NULL, 'p'},
                                          {"read-source", required_argument, NULL, 's'},
                                          {"foreground", no_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {NULL, 0, NULL, 0}};
    int option;

    memset(o, 0, sizeof *o);
    o->ready_fd = -1;
    o->idle_exit_s = 60;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int r = take(o, option, f);
        if (r < 0)
            return r;
    }
    if (optind < argc)
        return tc_fail(f, TC_R_SYNTAX, EINVAL, "unexpected argument '%s'", argv[optind]);
    if (o->show_help || o->show_version || o->plugin != NULL || o->source != NULL)
        return 0;
    if (o->config == NULL && o->cache == NULL)
        return tc_fail(f, TC_R_NO_CONFIG, EINVAL, "give --config FILE or --cache DIR");
    return 0;
}

const char *tc_options_help(void)
{
    return "Usage: taskcached --config FILE | --cache DIR [OPTION]...\n"
           "The service of a cache: resolves configs and objects, keeps the records.\n"
           "One serves a cache directory; a second one leaves with success.\n"
           "\n"
           "  --config FILE        compile FILE and serve the cache that it names\n"
           "  --cache DIR          serve the cache in DIR\n"
           "  --ready-fd N         write \"ok\" or \"error REASON text\" to descriptor N\n"
           "  --foreground         stay in the session of the caller, log to stderr too\n"
           "  --idle-exit SECONDS  leave that long after the last client (60; 0: never)\n"
           "  --max-size SIZE      the limit of a cache without a config (10GiB)\n"
           "  --read-plugin FILE   say what the plugin FILE says of itself, and leave\n"
           "  --read-source FILE   say what enters source digests of FILE, as stdin asks\n"
           "  --version, --help\n";
}
