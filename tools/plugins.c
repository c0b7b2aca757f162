/* cachectl plugins: the plugins that can be named without a path. Nothing of them is run or read.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/client.h"
#include "tools/json.h"
#include "tools/options.h"

struct plugin {
    char *name, *path;
};

struct plugins {
    struct plugin *plugin;
    size_t count, allocated;
};

static void add(struct plugins *p, char *name, char *path)
{
    bool known = access(path, F_OK) != 0;
    /* The first directory that has a name wins. */
    for (size_t i = 0; !known && i < p->count; i++)
        known = strcmp(p->plugin[i].name, name) == 0;
    if (known) {
        free(name);
        free(path);
        return;
    }
    p->plugin = tc_grow(p->plugin, p->count, &p->allocated, sizeof *p->plugin);
    p->plugin[p->count++] = (struct plugin){.name = name, .path = path};
}

/* DIR/NAME/NAME.so or DIR/NAME.so, as the service finds them. */
static void search(struct plugins *p, const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (e->d_name[0] == '.')
            continue;
        if (n > 3 && strcmp(e->d_name + n - 3, ".so") == 0)
            add(p, tc_copyn(e->d_name, n - 3), tc_format("%s/%s", dir, e->d_name));
        else
            add(p, tc_copy(e->d_name), tc_format("%s/%s/%s.so", dir, e->d_name, e->d_name));
    }
    if (d)
        (void)closedir(d);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct plugin *)a)->name, ((const struct plugin *)b)->name);
}

static void print_text(const struct plugins *p)
{
    struct tc_table t;
    tc_table_begin(&t, 2, 0);
    tc_table_cell(&t, "PLUGIN");
    tc_table_cell(&t, "FILE");
    for (size_t i = 0; i < p->count; i++) {
        tc_table_cell(&t, p->plugin[i].name);
        tc_table_cell(&t, p->plugin[i].path);
    }
    if (p->count)
        tc_table_print(&t, stdout);
    else
        puts("no plugins are installed");
    tc_table_free(&t);
}

static void print_json(const struct plugins *p)
{
    struct tc_json j;
    tc_json_begin(&j, stdout);
    tc_json_array(&j, NULL);
    for (size_t i = 0; i < p->count; i++) {
        tc_json_object(&j, NULL);
        tc_json_text(&j, "name", p->plugin[i].name);
        tc_json_text(&j, "path", p->plugin[i].path);
        tc_json_close_object(&j);
    }
    tc_json_close_array(&j);
    tc_json_end(&j);
}

static void search_all(struct plugins *p)
{
    char service[TC_PATH_BYTES];
    const char *home = getenv("HOME");
    if (home && *home == '/') {
        TC_CLEANUP(tc_free_text) char *own = tc_format("%s/.local/lib/taskcache/plugins", home);
        search(p, own);
    }
    if (tc_find_service(service, sizeof service) == 0) {
        char *slash = strrchr(service, '/');
        *slash = 0;
        TC_CLEANUP(tc_free_text) char *beside = tc_format("%s/../plugins", service);
        TC_CLEANUP(tc_free_text) char *real = realpath(beside, NULL);
        if (real)
            search(p, real);
    }
    search(p, TC_LIBDIR "/plugins");
}

static int run_plugins(const struct tc_command *self, int argc, char **argv)
{
    struct plugins found = {0};
    TC_CLEANUP(tc_parsed_free) struct tc_parsed parsed;
    int status;
    if (!tc_options_parse(self, NULL, TC_OPTIONS_ANYWHERE, argc, argv, &parsed, &status))
        return status;
    if (parsed.words.count)
        return tc_usage(self, "it takes no arguments");
    search_all(&found);
    if (found.count)
        qsort(found.plugin, found.count, sizeof *found.plugin, by_name);
    if (parsed.common.json)
        print_json(&found);
    else
        print_text(&found);
    for (size_t i = 0; i < found.count; i++) {
        free(found.plugin[i].name);
        free(found.plugin[i].path);
    }
    free(found.plugin);
    return TC_EXIT_DONE;
}

const struct tc_command tc_command_plugins = {
    .name = "plugins",
    .summary = "List the plugins that can be named",
    .usage = "plugins [OPTION...]",
    .help = "",
    .run = run_plugins,
};
