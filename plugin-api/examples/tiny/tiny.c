/*
 * A plugin in one page. It makes two functions of an imaginary libslow cacheable:
 *
 *     double slow_sum(const double *x, int n);
 *     int slow_pack(const void *in, size_t n, unsigned char *out, size_t capacity);
 *
 * Build it and run a program with it:
 *
 *     cc -shared -fPIC -I../../include -o tiny.so tiny.c
 *     cachectl run --plugin ./tiny.so -- ./program
 */
#include <taskcache/plugin.h>

static const struct taskcache_task tasks[] = {
    TASKCACHE_TASK(.symbol = "slow_sum", .prototype = "double slow_sum(const double x[n], int n)"),

    /* The result's length is known only afterwards: `<=` says how much room this call has. A
     * negative return is an error, which shouldn't be replayed. */
    TASKCACHE_TASK(.symbol = "slow_pack@libslow.so*",
                   .prototype = "int slow_pack(const void in[n], size_t n,"
                                " out uint8_t packed[return <= capacity], size_t capacity)",
                   .cache_policy = "INPUTS + TASK_SOURCE", .skip = "n == 0",
                   .success = "return >= 0", .cache_expiration = "7d"),
};

TASKCACHE_PLUGIN("tiny", "1.0", "MIT", "Functions of an imaginary libslow", tasks);
