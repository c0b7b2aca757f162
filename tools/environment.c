#include "tools/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/policy.h"
#include "tools/base.h"
#include "tools/output.h"

static void tell(const char *name, const char *value, enum tc_reason reason, const char *what)
{
    struct tc_cause cause;
    (void)tc_cause_set(&cause, EINVAL, reason, name, "'%.60s' %s, and counts as not set", value,
                       what);
    tc_warning(&cause);
}

static bool is_level(const char *value)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(levels[i], value) == 0)
            return true;
    return false;
}

void tc_environment_check(void)
{
    static const char *const switches[] = {
        "TASKCACHE_DISABLE_CACHING",  "TASKCACHE_REFRESH_CACHE", "TASKCACHE_DEFAULT_PERSIST_RESULT",
        "TASKCACHE_DEFAULT_NO_CACHE", "TASKCACHE_AUTOSTART",
    };
    const char *value;
    uint32_t share;
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        value = getenv(switches[i]);
        if (value && *value && tc_boolean(value) == TC_UNSET)
            tell(switches[i], value, TC_R_BAD_BOOLEAN, "is neither true nor false");
    }
    value = getenv("TASKCACHE_VERIFY");
    if (value && *value && tc_share(value, &share) < 0)
        tell("TASKCACHE_VERIFY", value, TC_R_BAD_SHARE, "is no share of the hits");
    value = getenv("TASKCACHE_LOG");
    if (value && *value && !is_level(value))
        tell("TASKCACHE_LOG", value, TC_R_BAD_VALUE, "is none of error, warn, info, debug");
    value = getenv("TASKCACHE_CONFIG");
    if (value && *value && *value != '/')
        tell("TASKCACHE_CONFIG", value, TC_R_BAD_VALUE, "isn't an absolute path");
}
