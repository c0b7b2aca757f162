#include "tools/options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void tc_words_add(struct tc_words *w, const char *word)
{
    w->word = tc_grow(w->word, w->count, &w->allocated, sizeof *w->word);
    w->word[w->count++] = word;
}

void tc_words_free(struct tc_words *w)
{
    free(w->word);
    *w = (struct tc_words){0};
}

void tc_parsed_free(struct tc_parsed *p)
{
    tc_words_free(&p->words);
}

int tc_usage(const struct tc_command *command, const char *format, ...)
{
    va_list ap;
    fprintf(stderr, "cachectl %s: ", command->name);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\nusage: cachectl %s\n", command->usage);
    return tc_own_failure;
}

struct reader {
    const struct tc_command *command;
    const struct tc_option *own;
    struct tc_option common[6];
    const char *color;
    bool help;
    char **argv;
    int argc, at;
};

static const struct tc_option *find(const struct reader *r, char letter, const char *name,
                                    size_t bytes)
{
    const struct tc_option *tables[] = {r->own, r->common};
    for (size_t t = 0; t < 2; t++)
        for (const struct tc_option *o = tables[t]; o && o->name; o++)
            if (letter ? o->letter == letter
                       : strlen(o->name) == bytes && memcmp(o->name, name, bytes) == 0)
                return o;
    return NULL;
}

/* `value` is what came with the word itself, NULL if nothing did. */
static bool take(struct reader *r, const struct tc_option *o, const char *word, const char *value)
{
    if (o->kind == TC_OPTION_FLAG) {
        if (value) {
            tc_usage(r->command, "%s takes no value", word);
            return false;
        }
        *(bool *)o->target = true;
        return true;
    }
    if (o->kind == TC_OPTION_OPTIONAL) {
        *(struct tc_optional *)o->target = (struct tc_optional){.given = true, .value = value};
        return true;
    }
    /* What looks like a long option is one: its value was forgotten. */
    if (!value && r->at < r->argc && strncmp(r->argv[r->at], "--", 2) != 0)
        value = r->argv[r->at++];
    if (!value) {
        tc_usage(r->command, "%s needs a value", word);
        return false;
    }
    if (o->kind == TC_OPTION_VALUE)
        *(const char **)o->target = value;
    else
        tc_words_add(o->target, value);
    return true;
}

static bool read_option(struct reader *r, const char *word)
{
    const char *value = NULL;
    const struct tc_option *o;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        o = find(r, 0, word + 2, equals ? (size_t)(equals - word) - 2 : strlen(word + 2));
        value = equals ? equals + 1 : NULL;
    } else {
        o = find(r, word[1], NULL, 0);
        value = word[2] ? word + 2 : NULL;
    }
    if (!o) {
        tc_usage(r->command, "there is no option %s", word);
        return false;
    }
    return take(r, o, word, value);
}

static bool set_color(const struct reader *r)
{
    static const char *const names[] = {"auto", "always", "never"};
    for (int i = 0; r->color && i < 3; i++) {
        if (strcmp(r->color, names[i]) == 0) {
            tc_color_set((enum tc_color_mode)i);
            return true;
        }
    }
    if (r->color)
        tc_usage(r->command, "--color is auto, always or never");
    return !r->color;
}

static bool read_words(struct reader *r, enum tc_options_mode mode, struct tc_words *words)
{
    while (r->at < r->argc) {
        const char *word = r->argv[r->at++];
        if (strcmp(word, "--") == 0)
            break;
        if (word[0] == '-' && word[1]) {
            if (!read_option(r, word))
                return false;
            continue;
        }
        tc_words_add(words, word);
        if (mode == TC_OPTIONS_FIRST)
            break;
    }
    while (r->at < r->argc)
        tc_words_add(words, r->argv[r->at++]);
    return true;
}

void tc_command_help(const struct tc_command *command)
{
    printf("usage: cachectl %s\n\n%s.\n\n%s", command->usage, command->summary, command->help);
    printf("  -c, --config FILE          %s\n",
           command->config ? command->config : "the config; its cache is meant");
    if (command->storage)
        puts("      --storage NAME         not the cache, but this storage of the config");
    if (!command->no_json)
        puts("      --json                 for programs: plain ns and bytes");
    fputs("      --color WHEN           auto, always or never\n"
          "  -h, --help                 this text\n",
          stdout);
}

bool tc_options_parse(const struct tc_command *command, const struct tc_option *options,
                      enum tc_options_mode mode, int argc, char **argv, struct tc_parsed *ret,
                      int *ret_status)
{
    *ret = (struct tc_parsed){0};
    struct reader r = {.command = command, .own = options, .argv = argv, .argc = argc, .at = 1};
    struct tc_option *o = r.common;
    *o++ = (struct tc_option){0, "color", TC_OPTION_VALUE, &r.color};
    *o++ = (struct tc_option){'h', "help", TC_OPTION_FLAG, &r.help};
    *o++ = (struct tc_option){'c', "config", TC_OPTION_VALUE, &ret->common.config};
    if (!command->no_json)
        *o++ = (struct tc_option){0, "json", TC_OPTION_FLAG, &ret->common.json};
    if (command->storage)
        *o++ = (struct tc_option){0, "storage", TC_OPTION_VALUE, &ret->common.storage};
    *o = (struct tc_option){0, NULL, TC_OPTION_FLAG, NULL};
    if (!read_words(&r, mode, &ret->words) || !set_color(&r)) {
        *ret_status = tc_own_failure;
        return false;
    }
    if (r.help) {
        tc_command_help(command);
        *ret_status = TC_EXIT_DONE;
        return false;
    }
    return true;
}
