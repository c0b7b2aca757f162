/* cachectl plugins: those that can be named without a path, or those that are given; and a new one.
 * Nothing of a plugin is run. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin-api/include/taskcache/plugin.h"
#include "tools/client.h"
#include "tools/json.h"
#include "tools/plugin_info.h"
#include "tools/plugin_new.h"
#include "tools/session.h"

struct plugin {
    char *name, *path;
    struct tc_plugin_info info;
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

static void print_table(const struct plugins *p, bool given)
{
    struct tc_table t;
    tc_table_begin(&t, 6, 1u << 3);
    for (size_t i = 0; i < 6; i++)
        tc_table_cell(&t, (const char *[]){"PLUGIN", "VERSION", "ABI", "TASKS", "CODE", "FILE"}[i]);
    for (size_t i = 0; i < p->count; i++) {
        const struct tc_plugin_info *info = &p->plugin[i].info;
        if (!info->name)
            continue;
        tc_table_cell(&t, p->plugin[i].name);
        tc_table_cell(&t, info->version);
        tc_table_cell(&t, info->abi);
        tc_table_cellf(&t, "%zu", info->tasks.count);
        tc_table_cell(&t, info->has_code ? "yes" : "");
        tc_table_cell(&t, p->plugin[i].path);
    }
    if (p->count)
        tc_table_print(&t, stdout);
    else
        puts(given ? "the config lists no plugins" : "no plugins are installed");
    tc_table_free(&t);
}

static void print_one(const struct plugin *p)
{
    const struct tc_plugin_info *info = &p->info;
    printf("%s%s%s %s", tc_style(stdout, TC_BOLD), info->name, tc_style(stdout, TC_PLAIN),
           info->version);
    printf("%s%s\n", *info->description ? "  " : "", info->description);
    printf("  file     %s\n  abi      %s\n", p->path, info->abi);
    if (*info->licence)
        printf("  licence  %s\n", info->licence);
    if (info->has_code)
        printf("  code     %s%s\n",
               info->claims & TASKCACHE_THREAD_SAFE ? "thread-safe" : "one thread at a time",
               info->claims & TASKCACHE_FORK_SAFE ? ", fork-safe" : "");
    for (size_t i = 0; i < info->tasks.count; i++)
        printf("  task     %s\n", info->tasks.word[i]);
}

static void json_one(struct tc_json *j, const struct plugin *p)
{
    const struct tc_plugin_info *info = &p->info;
    tc_json_object(j, NULL);
    tc_json_text(j, "name", p->name);
    tc_json_text(j, "path", p->path);
    if (info->name) {
        tc_json_text(j, "version", info->version);
        tc_json_text(j, "abi", info->abi);
        tc_json_text(j, "licence", info->licence);
        tc_json_text(j, "description", info->description);
        tc_json_bool(j, "code", info->has_code);
        tc_json_array(j, "tasks");
        for (size_t i = 0; i < info->tasks.count; i++)
            tc_json_text(j, NULL, info->tasks.word[i]);
        tc_json_close_array(j);
    }
    if (info->refused.reason) {
        tc_json_object(j, "refused");
        tc_json_text(j, "reason", tc_reason_info(info->refused.reason)->id);
        tc_json_text(j, "sentence", info->refused.sentence);
        tc_json_close_object(j);
    }
    tc_json_close_object(j);
}

static void print_json(const struct plugins *p)
{
    struct tc_json j;
    tc_json_begin(&j, stdout);
    tc_json_array(&j, NULL);
    for (size_t i = 0; i < p->count; i++)
        json_one(&j, &p->plugin[i]);
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
    if (p->count)
        qsort(p->plugin, p->count, sizeof *p->plugin, by_name);
}

/* Those that the words mean: paths as they are, names among the installed ones. */
static bool choose(const struct plugins *all, const struct tc_words *words, struct plugins *ret)
{
    bool found_all = true;
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->word[i];
        char *path = tc_is_plugin_path(word) ? tc_copy(word) : NULL;
        for (size_t k = 0; !path && k < all->count; k++)
            if (strcmp(all->plugin[k].name, word) == 0)
                path = tc_copy(all->plugin[k].path);
        if (!path) {
            struct tc_cause cause;
            (void)tc_cause_set(&cause, ENOENT, TC_R_NO_SUCH_PLUGIN, word, NULL);
            tc_problem(&cause);
            found_all = false;
            continue;
        }
        ret->plugin = tc_grow(ret->plugin, ret->count, &ret->allocated, sizeof *ret->plugin);
        ret->plugin[ret->count++] = (struct plugin){.name = tc_copy(word), .path = path};
    }
    return found_all;
}

static void free_all(struct plugins *p)
{
    for (size_t i = 0; i < p->count; i++) {
        tc_plugin_info_free(&p->plugin[i].info);
        free(p->plugin[i].name);
        free(p->plugin[i].path);
    }
    free(p->plugin);
}

/* True: none of them is refused. */
static bool read_all(struct plugins *p)
{
    bool fine = true;
    for (size_t i = 0; i < p->count; i++) {
        (void)tc_plugin_info_read(p->plugin[i].path, &p->plugin[i].info);
        fine = fine && !p->plugin[i].info.refused.reason;
    }
    return fine;
}

static void print_text(const struct plugins *p, bool in_full, bool given)
{
    if (!in_full)
        print_table(p, given);
    for (size_t i = 0; i < p->count; i++) {
        if (in_full && p->plugin[i].info.name)
            print_one(&p->plugin[i]);
        if (p->plugin[i].info.refused.reason)
            tc_problem(&p->plugin[i].info.refused);
    }
}

static char *name_of(const char *path)
{
    const char *name = tc_basename(path);
    size_t n = strlen(name);
    return tc_copyn(name, n > 3 && strcmp(name + n - 3, ".so") == 0 ? n - 3 : n);
}

/* Those that a config lists: the files that it was compiled with. */
static bool search_config(struct plugins *p, const char *config)
{
    TC_CLEANUP(tc_session_close) struct tc_session s;
    struct tc_cause cause;
    int r = tc_session_open(&s, config, TC_WANT_CONFIG, &cause);
    unsigned errors = tc_session_print_problems(&s);
    if (r < 0 && errors == 0)
        tc_problem(&cause);
    if (r < 0)
        return false;
    const struct tc_span span = s.config->deps;
    const struct tc_dep *dep = tc_flat_at(&s.config_flat, span.off, span.count, sizeof *dep);
    for (uint32_t i = 0; dep && i < span.count; i++) {
        const char *path = tc_flat_str(&s.config_flat, dep[i].path);
        struct stat st;
        /* The others are places where something was looked for in vain. */
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
            add(p, name_of(path), tc_copy(path));
    }
    return errors == 0;
}

static int list(const struct tc_parsed *parsed)
{
    struct plugins all = {0}, chosen = {0}, *shown = parsed->words.count ? &chosen : &all;
    bool fine = true;
    if (parsed->common.config)
        fine = search_config(&all, parsed->common.config);
    else
        search_all(&all);
    if (parsed->words.count)
        fine = choose(&all, &parsed->words, &chosen) && fine;
    fine = read_all(shown) && fine;
    if (parsed->common.json)
        print_json(shown);
    else
        print_text(shown, parsed->words.count > 0, parsed->common.config != NULL);
    free_all(&chosen);
    free_all(&all);
    return fine ? TC_EXIT_DONE : TC_EXIT_FOUND;
}

static int run_plugins(const struct tc_command *self, int argc, char **argv)
{
    TC_CLEANUP(tc_parsed_free) struct tc_parsed parsed;
    int status;
    if (!tc_options_parse(self, NULL, TC_OPTIONS_ANYWHERE, argc, argv, &parsed, &status))
        return status;
    if (!parsed.words.count || strcmp(parsed.words.word[0], "new") != 0)
        return list(&parsed);
    if (parsed.words.count != 2)
        return tc_usage(self, "`new` takes one name");
    return tc_plugin_new(self, parsed.words.word[1]);
}

const struct tc_command tc_command_plugins = {
    .name = "plugins",
    .summary = "List plugins, or begin a new one",
    .usage = "plugins [OPTION...] [NAME|FILE...]\n       cachectl plugins new NAME",
    .help = "",
    .config = "those that this config lists",
    .run = run_plugins,
};
