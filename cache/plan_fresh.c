#include "cache/plan_fresh.h"

#include <string.h>
#include <sys/stat.h>

int tc_plans_fresh(const struct tc_flat *plans, const struct tc_file_id *object)
{
    const struct tc_object *o = tc_plans_find(plans, object);
    struct tc_file_id now = {0};
    struct stat st;

    if (o == NULL || o->debug_path.off == 0)
        return o != NULL;
    if (stat(tc_flat_str(plans, o->debug_path), &st) == 0 && S_ISREG(st.st_mode))
        now =
            (struct tc_file_id){.dev = st.st_dev,
                                .ino = st.st_ino,
                                .size = (uint64_t)st.st_size,
                                .mtime_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec,
                                .ctime_ns = st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec};
    return memcmp(&now, &o->debug_id, sizeof now) == 0;
}
