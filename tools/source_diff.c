/* cachectl source --diff: which functions' sources differ in two builds, and through what. */
#include <stdlib.h>
#include <string.h>

#include "tools/chosen_config.h"
#include "tools/source_forms.h"
#include "tools/source_tree.h"

/* By what an item was first met, and from where. */
static const struct tc_tree_ref *first_ref(const struct tc_tree *t, size_t item)
{
    return t->items[item].first >= 0 ? &t->refs[t->items[item].first] : NULL;
}

static const char *name_of(const struct tc_tree *t, size_t item)
{
    const struct tc_tree_ref *r = first_ref(t, item);
    return r ? r->label : t->items[item].label;
}

/* A tree's items but the first, and the names that enter alone, in orders in which they are found.
 */
struct names {
    struct named {
        const char *kind, *name;
        size_t item;
    } * items;
    const char **alone;
    size_t item_count, alone_count;
};

static int by_kind_and_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->kind, y->kind);
    if (order == 0)
        order = strcmp(x->name, y->name);
    return order != 0 ? order : x->item < y->item ? -1 : x->item > y->item;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void names_of(const struct tc_tree *t, struct names *ret)
{
    *ret = (struct names){.items = tc_alloc((t->item_count + 1) * sizeof *ret->items),
                          .alone = tc_alloc((t->ref_count + 1) * sizeof *ret->alone)};
    for (size_t i = 1; i < t->item_count; i++)
        ret->items[ret->item_count++] = (struct named){t->items[i].kind, name_of(t, i), i};
    for (size_t i = 0; i < t->ref_count; i++)
        if (t->refs[i].to < 0)
            ret->alone[ret->alone_count++] = t->refs[i].label;
    if (ret->item_count)
        qsort(ret->items, ret->item_count, sizeof *ret->items, by_kind_and_name);
    if (ret->alone_count)
        qsort(ret->alone, ret->alone_count, sizeof *ret->alone, by_text);
}

static void names_free(struct names *n)
{
    free(n->items);
    free(n->alone);
}

/* The first of those that are called so. */
static const struct tc_tree_item *find_item(const struct tc_tree *t, const struct names *n,
                                            const char *kind, const char *name)
{
    const struct named wanted = {kind, name, 0};
    size_t low = 0;
    for (size_t high = n->item_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (by_kind_and_name(&n->items[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < n->item_count && strcmp(n->items[low].kind, kind) == 0 &&
                 strcmp(n->items[low].name, name) == 0;
    return found ? &t->items[n->items[low].item] : NULL;
}

static bool has_name(const struct names *n, const char *name)
{
    return n->alone_count && bsearch(&name, n->alone, n->alone_count, sizeof name, by_text);
}

struct difference {
    struct tc_json *json; /* NULL: text */
    const char *symbol;
    struct tc_source_child was, is;
    size_t same, differ, failed;
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

static void tell_parts(const struct difference *d, const struct tc_tree *was,
                       const struct names *then, const struct tc_tree *is, const char *change,
                       bool compare)
{
    for (size_t i = 1; i < is->item_count; i++) {
        const char *name = name_of(is, i);
        const struct tc_tree_item *other = find_item(was, then, is->items[i].kind, name);
        const struct tc_tree_ref *r = first_ref(is, i);
        const char *from = !r ? "" : r->from == 0 ? d->symbol : name_of(is, r->from);
        if (!other)
            tell(d, change, name, from);
        else if (compare && strcmp(other->digest, is->items[i].digest) != 0)
            tell(d, "changed", name, from);
    }
}

/* Names that enter alone: of imports, callees and variables. */
static void tell_names(const struct difference *d, const struct names *then,
                       const struct tc_tree *is, const char *change)
{
    for (size_t i = 0; i < is->ref_count; i++) {
        const struct tc_tree_ref *r = &is->refs[i];
        if (r->to < 0 && !r->repeated && !has_name(then, r->label))
            tell(d, change, r->label, r->from == 0 ? d->symbol : name_of(is, r->from));
    }
}

static void begin(const struct difference *d, bool same)
{
    if (!d->json) {
        printf("%s: %s\n", d->symbol, same ? "the same" : "differs");
        return;
    }
    tc_json_object(d->json, NULL);
    tc_json_text(d->json, "symbol", d->symbol);
    tc_json_bool(d->json, "same", same);
    tc_json_array(d->json, "differences");
}

static void end(const struct difference *d)
{
    if (!d->json)
        return;
    tc_json_close_array(d->json);
    tc_json_close_object(d->json);
}

static void tell_difference(const struct difference *d, const struct tc_tree *was,
                            const struct tc_tree *is)
{
    struct names then, now;
    names_of(was, &then);
    names_of(is, &now);
    if (strcmp(was->items[0].digest, is->items[0].digest) != 0)
        tell(d, "changed", "its own code, or what it refers to by name", "");
    tell_parts(d, was, &then, is, "new", true);
    tell_parts(d, is, &now, was, "gone", false);
    tell_names(d, &then, is, "new");
    tell_names(d, &now, was, "gone");
    names_free(&then);
    names_free(&now);
}

static void diff_function(struct difference *d, const char *name, bool deep)
{
    struct tc_tree was, is = {0};
    d->symbol = name;
    bool ok =
        tc_tree_of_name(&d->was, name, deep, &was) && tc_tree_of_name(&d->is, name, deep, &is);
    bool same = ok && strcmp(was.digest, is.digest) == 0;
    if (ok) {
        begin(d, same);
        if (!same)
            tell_difference(d, &was, &is);
        end(d);
    }
    d->failed += !ok;
    d->same += same;
    d->differ += ok && !same;
    tc_tree_free(&was);
    tc_tree_free(&is);
}

/* Both lists are in the order of names. NULL: it isn't there. */
static const struct tc_tree_function *find_function(const struct tc_tree *t, const char *name)
{
    for (size_t low = 0, high = t->function_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(t->functions[middle].name, name);
        if (order == 0)
            return &t->functions[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tc_tree_function *)a)->name,
                  ((const struct tc_tree_function *)b)->name);
}

/* The rest of a section, or the file, is another: nobody knows which part of it the function
 * means. */
static void diff_coarse(struct difference *d)
{
    d->differ++;
    begin(d, false);
    tell(d, "changed", "only what is coarse: keep .symtab or install the debug file", "");
    end(d);
}

static bool list(struct tc_source_child *c, bool deep, struct tc_tree *ret)
{
    bool ok = tc_tree_of_all(c, deep, ret);
    if (ok && ret->function_count)
        qsort(ret->functions, ret->function_count, sizeof *ret->functions, by_name);
    return ok;
}

/* Those that differ are told; the others are counted, and in JSON named. */
static void diff_all(struct difference *d, bool deep)
{
    struct tc_tree was, is = {0};
    size_t both = 0;
    bool ok = list(&d->was, deep, &was) && list(&d->is, deep, &is);
    for (size_t i = 0; ok && i < is.function_count; i++) {
        const struct tc_tree_function *now = &is.functions[i],
                                      *then = find_function(&was, now->name);
        both += then != NULL;
        d->symbol = now->name;
        if (then && strcmp(then->digest, now->digest) != 0 && *now->narrow &&
            strcmp(then->narrow, now->narrow) == 0) {
            diff_coarse(d);
        } else if (then && strcmp(then->digest, now->digest) != 0) {
            diff_function(d, now->name, deep);
        } else if (then) {
            d->same++;
            if (d->json) {
                begin(d, true);
                end(d);
            }
        }
    }
    d->failed += !ok;
    if (ok && !d->json)
        printf("%zu functions differ, %zu are the same, %zu are gone, %zu are new\n", d->differ,
               d->same, was.function_count - both, is.function_count - both);
    tc_tree_free(&was);
    tc_tree_free(&is);
}

/* Each once. A function under `depends:` counts by itself. */
static void diff_once(struct difference *d, struct tc_words *told, const struct tc_tree lists[2],
                      const char *name, bool deep)
{
    const struct tc_tree_function *now = find_function(&lists[1], name);
    for (size_t k = 0; k < told->count; k++)
        if (strcmp(told->word[k], name) == 0)
            return;
    if (!find_function(&lists[0], name) || !now)
        return;
    diff_function(d, name, deep);
    tc_words_add(told, now->name);
}

static char *function_name(const struct tc_flat *config, struct tc_str file, struct tc_str name)
{
    const char *in = tc_flat_str(config, file);
    return tc_format("%s%s%s", in, *in ? ":" : "", tc_flat_str(config, name));
}

/* Those of the config's tasks that both files have, each in the ways that its policies ask for, and
 * what they depend on. */
static void diff_tasks(struct difference *d, const struct tc_source_wish *w)
{
    struct tc_session s = {.client.fd = -1};
    struct tc_cause cause = {.reason = 0};
    struct tc_tree lists[2] = {{.digest = NULL}};
    struct tc_words told = {0}, helped = {0};
    uint32_t count = 0;
    int e = tc_chosen_config(&s, w->config, &w->tasks, &w->plugins,
                             TC_WANT_CONFIG | TC_WANT_SERVICE | TC_WANT_LOCAL, &cause);
    bool ok = tc_session_print_problems(&s) == 0 && e == 0;
    if (e < 0 && cause.reason)
        tc_problem(&cause);
    ok = ok && list(&d->was, false, &lists[0]) && list(&d->is, false, &lists[1]);
    const struct tc_task *tasks = ok ? tc_session_tasks(&s, &count) : NULL;
    for (uint32_t i = 0; tasks && i < count; i++) {
        const struct tc_flat *config = &s.config_flat;
        const struct tc_span span = tasks[i].depends;
        const struct tc_depend *depends = tc_flat_at(config, span.off, span.count, sizeof *depends);
        TC_CLEANUP(tc_free_text) char *name = function_name(config, tasks[i].file, tasks[i].symbol);
        diff_once(d, &told, lists, name, w->deep || tasks[i].policy & TC_POLICY_SOURCE_DEEP);
        for (uint32_t k = 0; depends && k < span.count; k++) {
            TC_CLEANUP(tc_free_text)
            char *helper = function_name(config, depends[k].file, depends[k].name);
            diff_once(d, &helped, lists, helper, false);
        }
    }
    d->failed += !ok;
    tc_words_free(&told);
    tc_words_free(&helped);
    tc_tree_free(&lists[0]);
    tc_tree_free(&lists[1]);
    tc_session_close(&s);
}

int tc_source_diff(const struct tc_source_wish *w)
{
    struct tc_json j;
    struct difference d = {.json = w->json ? &j : NULL};
    if (w->json) {
        tc_json_begin(&j, stdout);
        tc_json_array(&j, NULL);
    }
    tc_source_child_open(&d.was, w->words->word[0]);
    tc_source_child_open(&d.is, w->words->word[1]);
    for (size_t i = 2; i < w->words->count; i++)
        diff_function(&d, w->words->word[i], w->deep);
    if (w->words->count == 2 && tc_source_has_config(w))
        diff_tasks(&d, w);
    else if (w->words->count == 2)
        diff_all(&d, w->deep);
    tc_source_child_close(&d.was);
    tc_source_child_close(&d.is);
    if (w->json) {
        tc_json_close_array(&j);
        tc_json_end(&j);
    }
    return d.failed ? TC_EXIT_USAGE : d.differ ? TC_EXIT_FOUND : TC_EXIT_DONE;
}
