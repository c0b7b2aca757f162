#include "tools/chosen_config.h"

#include <errno.h>

#include "cache/places.h"
#include "tools/task_text.h"

extern char **environ;

int tc_chosen_config(struct tc_session *s, const char *config, const struct tc_words *tasks,
                     const struct tc_words *plugins, unsigned want, struct tc_cause *ret_cause)
{
    char cache[TC_PATH_BYTES];
    struct tc_text text = {0};
    TC_CLEANUP(tc_free_text) char *path = NULL;
    if (tasks->count + plugins->count == 0)
        return tc_session_open(s, config, want, ret_cause);
    *s = (struct tc_session){.client.fd = -1};
    int r = tc_task_text_config(tasks, plugins, &text, ret_cause);
    if (r == 0 && tc_cache_dir(environ, NULL, cache, sizeof cache) < 0)
        r = tc_cause_set(ret_cause, ENOENT, TC_R_NO_CACHE_DIR, "cache", NULL);
    if (r == 0)
        r = tc_task_text_store(cache, &text, &path, ret_cause);
    if (r == 0)
        r = tc_session_open(s, path, want, ret_cause);
    tc_text_free(&text);
    return r;
}
