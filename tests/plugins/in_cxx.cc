/* The header in C++11. */
#include <taskcache/plugin.h>

static const struct taskcache_task tasks[] = {
    TASKCACHE_TASK("from_cxx", "int from_cxx(int x)", "INPUTS", nullptr, "return > 0", nullptr,
                   nullptr, nullptr, nullptr, nullptr, nullptr),
};
TASKCACHE_PLUGIN("in_cxx", "1.0", "MIT", "From C++11", tasks);
