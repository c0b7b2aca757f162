/* cachectl source: what enters a function's source digest, and what of it differs in two builds. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/client.h"
#include "tools/json.h"
#include "tools/options.h"

enum {
    FIELDS = 6,
};

struct item {
    const char *kind, *digest, *label;
    bool printed;
};
struct ref {
    size_t from;
    long to; /* -1: the name is all that enters */
    const char *why, *label;
};
/* The strings are the text's. */
struct tree {
    struct tc_text text;
    const char *digest, *indirect;
    bool whole;
    struct item *items;
    struct ref *refs;
    size_t item_count, ref_count;
    char *refused[2];
};

static void free_tree(struct tree *t)
{
    free(t->items);
    free(t->refs);
    tc_text_free(&t->text);
}

/* The object may be anything: it is read by another process. */
static int ask(const char *path, const char *symbol, bool deep, struct tc_text *ret)
{
    char program[TC_PATH_BYTES], chunk[4096];
    int ends[2], status = 0;
    ssize_t n;
    if (tc_find_service(program, sizeof program) < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child == 0) {
        if (dup2(ends[1], 1) < 0)
            _exit(127);
        (void)execl(program, "taskcached", "--read-source", path, "--symbol", symbol,
                    deep ? "--deep" : (char *)NULL, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    while ((n = read(ends[0], chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            tc_text_addn(ret, chunk, (size_t)n);
    (void)close(ends[0]);
    if (child < 0)
        return -EAGAIN;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) <= 1 ? 0 : -EPROTO;
}

static void take_line(struct tree *t, char *line)
{
    char *field[FIELDS] = {NULL};
    size_t n = 0;
    while (line && n < FIELDS) {
        field[n++] = line;
        line = n < FIELDS ? strchr(line, '\t') : NULL;
        if (line)
            *line++ = 0;
    }
    if (n == 4 && strcmp(field[0], "digest") == 0) {
        t->digest = field[1];
        t->indirect = field[2];
        t->whole = field[3][0] == '1';
    } else if (n == 6 && strcmp(field[0], "item") == 0) {
        t->items[t->item_count++] = (struct item){field[1], field[4], field[5], false};
    } else if (n == 5 && strcmp(field[0], "ref") == 0) {
        t->refs[t->ref_count++] = (struct ref){strtoul(field[1], NULL, 10),
                                               strtol(field[2], NULL, 10), field[3], field[4]};
    } else if (n >= 3 && strcmp(field[0], "refused") == 0) {
        t->refused[0] = field[1];
        t->refused[1] = field[2];
    }
}

static bool read_tree(const char *path, const char *symbol, bool deep, struct tree *t)
{
    struct tc_cause cause;
    size_t lines = 1;
    int r;
    memset(t, 0, sizeof *t);
    r = ask(path, symbol, deep, &t->text);
    for (const char *p = t->text.data; p && *p; p++)
        lines += *p == '\n';
    t->items = calloc(lines, sizeof *t->items);
    t->refs = calloc(lines, sizeof *t->refs);
    for (char *line = t->items && t->refs ? t->text.data : NULL, *end;
         line && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        take_line(t, line);
    }
    for (size_t i = 0; i < t->ref_count; i++)
        if (t->refs[i].from >= t->item_count || t->refs[i].to >= (long)t->item_count)
            r = -EPROTO;
    if (r == 0 && t->digest && t->item_count > 0)
        return true;
    if (t->refused[0])
        (void)tc_cause_set(&cause, EINVAL, tc_reason_by_id(t->refused[0]), symbol, "%s%s%s",
                           tc_reason_info(tc_reason_by_id(t->refused[0]))->sentence,
                           *t->refused[1] ? ": " : "", t->refused[1]);
    else
        (void)tc_cause_set(&cause, EPROTO, TC_R_SERVICE_FAILED, path,
                           "taskcached, which reads objects, didn't finish");
    tc_problem(&cause);
    return false;
}

static bool is_repeated(const struct tree *t, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (t->refs[k].from == t->refs[i].from && t->refs[k].to == t->refs[i].to &&
            strcmp(t->refs[k].label, t->refs[i].label) == 0)
            return true;
    return false;
}

/* Each item once, where it is first met. */
static void print_item(struct tree *t, size_t index, int depth)
{
    t->items[index].printed = true;
    for (size_t i = 0; i < t->ref_count; i++) {
        const struct ref *ref = &t->refs[i];
        if (ref->from != index || is_repeated(t, i))
            continue;
        printf("%*s%s", 2 * depth, "", ref->label);
        if (*ref->why)
            printf("  %scoarse%s: %s", tc_style(stdout, TC_WARN), tc_style(stdout, TC_PLAIN),
                   ref->why);
        putchar('\n');
        if (ref->to >= 0 && !t->items[ref->to].printed && depth < 40)
            print_item(t, (size_t)ref->to, depth + 1);
    }
}

static void print_tree(struct tree *t, const char *symbol, const char *path)
{
    printf("%s%s%s in %s: %s\n", tc_style(stdout, TC_BOLD), symbol, tc_style(stdout, TC_PLAIN),
           path, t->digest);
    if (t->whole)
        puts("  it reaches too many functions: the whole file enters");
    print_item(t, 0, 1);
    if (strcmp(t->indirect, "0") != 0)
        printf("  not followed: %s calls by pointers\n", t->indirect);
}

static void json_tree(struct tree *t, const char *symbol, const char *path)
{
    struct tc_json j;
    tc_json_begin(&j, stdout);
    tc_json_object(&j, NULL);
    tc_json_text(&j, "symbol", symbol);
    tc_json_text(&j, "object", path);
    tc_json_text(&j, "digest", t->digest);
    tc_json_bool(&j, "whole_file", t->whole);
    tc_json_u64(&j, "indirect_calls", strtoull(t->indirect, NULL, 10));
    tc_json_array(&j, "items");
    for (size_t i = 0; i < t->item_count; i++) {
        tc_json_object(&j, NULL);
        tc_json_text(&j, "kind", t->items[i].kind);
        tc_json_text(&j, "label", t->items[i].label);
        tc_json_text(&j, "digest", t->items[i].digest);
        tc_json_close_object(&j);
    }
    tc_json_close_array(&j);
    tc_json_array(&j, "references");
    for (size_t i = 0; i < t->ref_count; i++) {
        tc_json_object(&j, NULL);
        tc_json_u64(&j, "from", t->refs[i].from);
        tc_json_i64(&j, "to", t->refs[i].to);
        tc_json_text(&j, "label", t->refs[i].label);
        tc_json_text(&j, "coarse", *t->refs[i].why ? t->refs[i].why : NULL);
        tc_json_close_object(&j);
    }
    tc_json_close_array(&j);
    tc_json_close_object(&j);
    tc_json_end(&j);
}

/* By what an item was first met, and from where. */
static const struct ref *first_ref(const struct tree *t, size_t item)
{
    for (size_t i = 0; i < t->ref_count; i++)
        if (t->refs[i].to == (long)item)
            return &t->refs[i];
    return NULL;
}

static const char *name_of(const struct tree *t, size_t item)
{
    const struct ref *r = first_ref(t, item);
    return r ? r->label : t->items[item].label;
}

static const struct item *find_item(const struct tree *t, const char *kind, const char *name)
{
    for (size_t i = 1; i < t->item_count; i++)
        if (strcmp(t->items[i].kind, kind) == 0 && strcmp(name_of(t, i), name) == 0)
            return &t->items[i];
    return NULL;
}

struct difference {
    struct tc_json *json; /* NULL: text */
    const char *symbol;
};

static void tell(const struct difference *d, const char *change, const char *what, const char *from)
{
    if (!d->json) {
        printf("  %s: %s%s%s\n", change, what, *from ? ", referred to by " : "", from);
        return;
    }
    tc_json_object(d->json, NULL);
    tc_json_text(d->json, "change", change);
    tc_json_text(d->json, "what", what);
    tc_json_text(d->json, "from", *from ? from : NULL);
    tc_json_close_object(d->json);
}

static void tell_parts(const struct difference *d, const struct tree *was, const struct tree *is,
                       const char *change, bool compare)
{
    for (size_t i = 1; i < is->item_count; i++) {
        const char *name = name_of(is, i);
        const struct item *other = find_item(was, is->items[i].kind, name);
        const struct ref *r = first_ref(is, i);
        const char *from = !r ? "" : r->from == 0 ? d->symbol : name_of(is, r->from);
        if (!other)
            tell(d, change, name, from);
        else if (compare && strcmp(other->digest, is->items[i].digest) != 0)
            tell(d, "changed", name, from);
    }
}

/* Names that enter alone: of imports, callees and variables. */
static void tell_names(const struct difference *d, const struct tree *was, const struct tree *is,
                       const char *change)
{
    for (size_t i = 0; i < is->ref_count; i++) {
        bool had = is_repeated(is, i);
        for (size_t k = 0; k < was->ref_count && !had; k++)
            had = was->refs[k].to < 0 && strcmp(was->refs[k].label, is->refs[i].label) == 0;
        if (is->refs[i].to < 0 && !had)
            tell(d, change, is->refs[i].label,
                 is->refs[i].from == 0 ? d->symbol : name_of(is, is->refs[i].from));
    }
}

static bool differ(const struct difference *d, const struct tree *was, const struct tree *is)
{
    bool same = strcmp(was->digest, is->digest) == 0;
    if (d->json) {
        tc_json_object(d->json, NULL);
        tc_json_text(d->json, "symbol", d->symbol);
        tc_json_bool(d->json, "same", same);
        tc_json_array(d->json, "differences");
    } else {
        printf("%s: %s\n", d->symbol, same ? "the same" : "differs");
    }
    if (!same) {
        if (strcmp(was->items[0].digest, is->items[0].digest) != 0)
            tell(d, "changed", "its own code, or what it refers to by name", "");
        tell_parts(d, was, is, "new", true);
        tell_parts(d, is, was, "gone", false);
        tell_names(d, was, is, "new");
        tell_names(d, is, was, "gone");
    }
    if (d->json) {
        tc_json_close_array(d->json);
        tc_json_close_object(d->json);
    }
    return !same;
}

/* OLD NEW FUNCTION... */
static int run_diff(const struct tc_words *words, bool deep, bool json)
{
    struct tc_json j;
    struct difference d = {.json = json ? &j : NULL};
    int status = TC_EXIT_DONE;
    if (json) {
        tc_json_begin(&j, stdout);
        tc_json_array(&j, NULL);
    }
    for (size_t i = 2; i < words->count && status != TC_EXIT_USAGE; i++) {
        struct tree was, is = {0};
        d.symbol = words->word[i];
        bool ok = read_tree(words->word[0], d.symbol, deep, &was) &&
                  read_tree(words->word[1], d.symbol, deep, &is);
        if (!ok)
            status = TC_EXIT_USAGE;
        else if (differ(&d, &was, &is))
            status = TC_EXIT_FOUND;
        free_tree(&was);
        free_tree(&is);
    }
    if (json) {
        tc_json_close_array(&j);
        tc_json_end(&j);
    }
    return status;
}

static int run_source(const struct tc_command *self, int argc, char **argv)
{
    bool deep = false, diff = false;
    const struct tc_option options[] = {{0, "deep", TC_OPTION_FLAG, &deep},
                                        {0, "diff", TC_OPTION_FLAG, &diff},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    TC_CLEANUP(tc_parsed_free) struct tc_parsed parsed;
    struct tree t;
    int status;
    if (!tc_options_parse(self, options, TC_OPTIONS_ANYWHERE, argc, argv, &parsed, &status))
        return status;
    if (diff && parsed.words.count > 2)
        return run_diff(&parsed.words, deep, parsed.common.json);
    if (diff)
        return tc_usage(self, "give two files and a function");
    if (parsed.words.count != 2)
        return tc_usage(self, "give an object's file and a function");
    const char *path = parsed.words.word[0], *symbol = parsed.words.word[1];
    bool ok = read_tree(path, symbol, deep, &t);
    if (ok && parsed.common.json)
        json_tree(&t, symbol, path);
    else if (ok)
        print_tree(&t, symbol, path);
    free_tree(&t);
    return ok ? TC_EXIT_DONE : TC_EXIT_USAGE;
}

const struct tc_command tc_command_source = {
    .name = "source",
    .summary = "what enters a function's source digest",
    .usage = "source [--deep] [--json] FILE FUNCTION\n"
             "       cachectl source --diff [--deep] [--json] OLD NEW FUNCTION...",
    .help = "  --deep               as TASK_SOURCE_DEEP follows it, inside of the file\n"
            "  --diff               say what of it differs in two builds\n",
    .run = run_source,
};
