/* cachectl source: what enters source digests, and what of them differs in two builds. */
#include <stdio.h>

#include "tools/source_forms.h"
#include "tools/source_tree.h"

static int run_function(const struct tc_source_wish *w)
{
    const char *path = w->words->word[0], *symbol = w->words->word[1];
    struct tc_source_child child;
    struct tc_tree t;
    struct tc_json j;
    tc_source_child_open(&child, path);
    bool ok = tc_tree_of_name(&child, symbol, w->deep, &t);
    tc_source_child_close(&child);
    if (ok && w->json) {
        tc_json_begin(&j, stdout);
        tc_json_object(&j, NULL);
        tc_json_text(&j, "symbol", symbol);
        tc_json_text(&j, "object", path);
        tc_tree_json(&t, &j);
        tc_json_close_object(&j);
        tc_json_end(&j);
    } else if (ok) {
        printf("%s%s%s in %s: %s\n", tc_style(stdout, TC_BOLD), symbol, tc_style(stdout, TC_PLAIN),
               path, t.digest);
        tc_tree_print(&t, 1);
    }
    tc_tree_free(&t);
    return ok ? TC_EXIT_DONE : TC_EXIT_USAGE;
}

static int run_form(const struct tc_source_wish *w)
{
    size_t count = w->words->count;
    if (w->config && w->tasks.count + w->plugins.count)
        return tc_usage(w->self, "-c goes with neither --task nor --plugin");
    if (w->diff)
        return count >= 2 ? tc_source_diff(w) : tc_usage(w->self, "give two files");
    if (count < 1 || count > 2)
        return tc_usage(w->self, "give a program, or an object's file and a function");
    if (count == 1 || (!w->deep && tc_source_means_tasks(w)))
        return w->deep ? tc_usage(w->self, "a task's policy says how deep it is followed")
                       : tc_source_tasks(w);
    return run_function(w);
}

static int run_source(const struct tc_command *self, int argc, char **argv)
{
    struct tc_source_wish w = {.self = self};
    const struct tc_option options[] = {{0, "deep", TC_OPTION_FLAG, &w.deep},
                                        {0, "diff", TC_OPTION_FLAG, &w.diff},
                                        {0, "task", TC_OPTION_LIST, &w.tasks},
                                        {0, "plugin", TC_OPTION_LIST, &w.plugins},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    TC_CLEANUP(tc_parsed_free) struct tc_parsed parsed;
    int status;
    if (tc_options_parse(self, options, TC_OPTIONS_ANYWHERE, argc, argv, &parsed, &status)) {
        w.words = &parsed.words;
        w.config = parsed.common.config;
        w.json = parsed.common.json;
        status = run_form(&w);
    }
    tc_words_free(&w.tasks);
    tc_words_free(&w.plugins);
    return status;
}

const struct tc_command tc_command_source = {
    .name = "source",
    .summary = "Show what enters functions' source digests, and what differs in two builds",
    .usage = "source [-c FILE | --task 'PROTOTYPE@OBJECT'... --plugin NAME...] [--json] PROGRAM "
             "[TASK]\n"
             "       cachectl source [--deep] [--json] FILE FUNCTION\n"
             "       cachectl source --diff [--deep] [--json] OLD NEW [FUNCTION...]",
    .help = "  --deep               as TASK_SOURCE_DEEP follows it, inside of the file\n"
            "  --diff               say what of it differs in two builds\n"
            "      --task 'PROTO@OBJECT'  as `cachectl run` has it\n"
            "      --plugin NAME          as `cachectl run` has it\n",
    .run = run_source,
};
