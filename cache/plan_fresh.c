#include "cache/plan_fresh.h"

#include <string.h>
#include <sys/stat.h>

static int is_as_it_was(const struct tc_flat *plans, const struct tc_dep *file)
{
    struct tc_file_id now = {0};
    struct stat st;

    if (stat(tc_flat_str(plans, file->path), &st) == 0 && S_ISREG(st.st_mode))
        now =
            (struct tc_file_id){.dev = st.st_dev,
                                .ino = st.st_ino,
                                .size = (uint64_t)st.st_size,
                                .mtime_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec,
                                .ctime_ns = st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec};
    return memcmp(&now, &file->id, sizeof now) == 0;
}

int tc_plans_fresh(const struct tc_flat *plans, const struct tc_file_id *object)
{
    const struct tc_object *o = tc_plans_find(plans, object);
    const struct tc_dep *files;

    if (o == NULL)
        return 0;
    files = tc_flat_at(plans, o->debug_files.off, o->debug_files.count, sizeof *files);
    for (uint32_t i = 0; files != NULL && i < o->debug_files.count; i++)
        if (!is_as_it_was(plans, &files[i]))
            return 0;
    return 1;
}
