#include "tools/source_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/client.h"
#include "tools/output.h"

enum {
    FIELDS = 6,
};

static void become_reader(const char *program, const char *path, int in, int out)
{
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
        _exit(127);
    (void)execl(program, "taskcached", "--read-source", path, (char *)NULL);
    _exit(127);
}

void tc_source_child_open(struct tc_source_child *c, const char *path)
{
    char program[TC_PATH_BYTES];
    int in[2], out[2];
    *c = (struct tc_source_child){.pid = -1, .path = path};
    if (tc_find_service(program, sizeof program) < 0 || pipe2(in, O_CLOEXEC) < 0)
        return;
    if (pipe2(out, O_CLOEXEC) < 0) {
        (void)close(in[0]);
        (void)close(in[1]);
        return;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* should it end early */
    c->pid = fork();
    if (c->pid == 0)
        become_reader(program, path, in[0], out[1]);
    (void)close(in[0]);
    (void)close(out[1]);
    c->to = fdopen(in[1], "w");
    c->from = fdopen(out[0], "r");
}

void tc_source_child_close(struct tc_source_child *c)
{
    if (c->to)
        (void)fclose(c->to);
    if (c->from)
        (void)fclose(c->from);
    while (c->pid > 0 && waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    *c = (struct tc_source_child){.pid = -1};
}

void tc_source_child_library(struct tc_source_child *c, const char *path)
{
    if (c->to && !strpbrk(path, "\t\n"))
        fprintf(c->to, "library\t%s\n", path);
}

void tc_source_child_stop(struct tc_source_child *c, const char *globs)
{
    if (c->to && !strpbrk(globs, "\t\n"))
        fprintf(c->to, "stop\t%s\n", globs);
}

/* Counts what the text's lines will give, so that the arrays needn't grow. */
static size_t count_lines(const struct tc_text *text)
{
    size_t lines = 1;
    for (const char *p = text->data; p && *p; p++)
        lines += *p == '\n';
    return lines;
}

static void take_line(struct tc_tree *t, char *line)
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
        t->items[t->item_count++] = (struct tc_tree_item){field[1], field[4], field[5], -1, false};
    } else if (n == 5 && strcmp(field[0], "ref") == 0) {
        t->refs[t->ref_count++] = (struct tc_tree_ref){
            strtoul(field[1], NULL, 10), strtol(field[2], NULL, 10), field[3], field[4], false};
    } else if (n == 5 && strcmp(field[0], "import") == 0) {
        t->imports[t->import_count++] =
            (struct tc_tree_import){field[1], field[2], field[3], field[4][0] == '1'};
    } else if (n == 5 && strcmp(field[0], "reach") == 0) {
        t->indirect = field[1];
        t->whole = field[2][0] == '1';
        t->is_ifunc = field[3][0] == '1';
        t->has_unnamed = strcmp(field[4], "0") != 0;
    } else if (n == 4 && strcmp(field[0], "effect") == 0) {
        t->effects[t->effect_count++] =
            (struct tc_tree_effect){tc_reason_by_id(field[1]), field[2], field[3]};
    } else if (n == 4 && strcmp(field[0], "function") == 0) {
        t->functions[t->function_count++] = (struct tc_tree_function){field[1], field[2], field[3]};
    } else if (n >= 3 && strcmp(field[0], "refused") == 0) {
        t->refused[0] = field[1];
        t->refused[1] = field[2];
    }
}

static void take_text(struct tc_tree *t)
{
    size_t lines = count_lines(&t->text);
    t->items = tc_alloc(lines * sizeof *t->items);
    t->refs = tc_alloc(lines * sizeof *t->refs);
    t->imports = tc_alloc(lines * sizeof *t->imports);
    t->functions = tc_alloc(lines * sizeof *t->functions);
    t->effects = tc_alloc(lines * sizeof *t->effects);
    for (char *line = t->text.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        take_line(t, line);
    }
}

static int by_meaning(const void *a, const void *b)
{
    const struct tc_tree_ref *x = *(struct tc_tree_ref *const *)a,
                             *y = *(struct tc_tree_ref *const *)b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    int order = strcmp(x->label, y->label);
    return order != 0 ? order : x < y ? -1 : x > y; /* they lie in their order */
}

static void mark_repeated(struct tc_tree *t)
{
    struct tc_tree_ref **sorted = tc_alloc((t->ref_count + 1) * sizeof *sorted);
    for (size_t i = 0; i < t->ref_count; i++)
        sorted[i] = &t->refs[i];
    if (t->ref_count)
        qsort(sorted, t->ref_count, sizeof *sorted, by_meaning);
    for (size_t i = 1; i < t->ref_count; i++)
        sorted[i]->repeated = sorted[i]->from == sorted[i - 1]->from &&
                              sorted[i]->to == sorted[i - 1]->to &&
                              strcmp(sorted[i]->label, sorted[i - 1]->label) == 0;
    free(sorted);
}

static void find_first(struct tc_tree *t)
{
    for (size_t i = t->ref_count; i > 0; i--)
        if (t->refs[i - 1].to >= 0)
            t->items[t->refs[i - 1].to].first = (long)i - 1;
}

/* False: it ended before its answer did. */
static bool read_answer(struct tc_source_child *c, struct tc_tree *ret)
{
    char *line = NULL;
    size_t allocated = 0;
    ssize_t n = -1;
    while (c->from && (n = getline(&line, &allocated, c->from)) > 0 && strcmp(line, "end\n") != 0)
        tc_text_addn(&ret->text, line, (size_t)n);
    free(line);
    take_text(ret);
    for (size_t i = 0; i < ret->ref_count; i++)
        if (ret->refs[i].from >= ret->item_count || ret->refs[i].to >= (long)ret->item_count)
            return false;
    mark_repeated(ret);
    find_first(ret);
    return n > 0;
}

static void problem(const struct tc_source_child *c, const struct tc_tree *t, const char *name)
{
    struct tc_cause cause;
    enum tc_reason reason = t->refused[0] ? tc_reason_by_id(t->refused[0]) : TC_R_NONE;
    if (access(c->path, R_OK) < 0)
        (void)tc_cause_set(&cause, errno, TC_R_NO_PROGRAM, c->path, "it can't be read: %s",
                           strerror(errno));
    else if (reason)
        (void)tc_cause_set(&cause, EINVAL, reason, *name ? name : c->path, "%s%s%s",
                           tc_reason_info(reason)->sentence, *t->refused[1] ? ": " : "",
                           t->refused[1]);
    else
        (void)tc_cause_set(&cause, EPROTO, TC_R_SERVICE_FAILED, c->path,
                           "taskcached, which reads objects, didn't finish");
    tc_problem(&cause);
}

static bool finish(struct tc_source_child *c, const char *name, struct tc_tree *ret)
{
    if (c->to)
        (void)fflush(c->to);
    bool ok =
        read_answer(c, ret) && !ret->refused[0] && (!*name || (ret->digest && ret->item_count > 0));
    if (!ok)
        problem(c, ret, name);
    return ok;
}

bool tc_tree_of_name(struct tc_source_child *c, const char *name, bool deep, struct tc_tree *ret)
{
    *ret = (struct tc_tree){0};
    if (c->to && !strpbrk(name, "\t\n"))
        fprintf(c->to, "tree\t%s\t%s\n", deep ? "deep" : "own", name);
    return finish(c, name, ret);
}

bool tc_tree_of_range(struct tc_source_child *c, const char *name, uint64_t vaddr, uint64_t bytes,
                      bool deep, struct tc_tree *ret)
{
    *ret = (struct tc_tree){0};
    if (c->to)
        fprintf(c->to, "at\t%s\t%" PRIu64 "\t%" PRIu64 "\n", deep ? "deep" : "own", vaddr, bytes);
    return finish(c, name, ret);
}

bool tc_tree_of_all(struct tc_source_child *c, bool deep, struct tc_tree *ret)
{
    *ret = (struct tc_tree){0};
    if (c->to)
        fprintf(c->to, "list\t%s\n", deep ? "deep" : "own");
    return finish(c, "", ret);
}

bool tc_tree_ask_name(struct tc_source_child *c, const char *name, struct tc_tree *ret)
{
    *ret = (struct tc_tree){0};
    if (!c->to || strpbrk(name, "\t\n"))
        return false;
    fprintf(c->to, "tree\town\t%s\n", name);
    (void)fflush(c->to);
    return read_answer(c, ret) && ret->digest && ret->item_count > 0;
}

bool tc_tree_ask_effects(struct tc_source_child *c, const char *name, struct tc_tree *ret)
{
    *ret = (struct tc_tree){0};
    if (!c->to || strpbrk(name, "\t\n"))
        return false;
    fprintf(c->to, "effects\t%s\n", name);
    (void)fflush(c->to);
    return read_answer(c, ret) && ret->indirect;
}

void tc_tree_free(struct tc_tree *t)
{
    free(t->items);
    free(t->refs);
    free(t->imports);
    free(t->functions);
    free(t->effects);
    tc_text_free(&t->text);
}
