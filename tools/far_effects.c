#include "tools/far_effects.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_STEPS = 2000,
};

struct answer {
    char *name;
    bool ok;
    struct tc_tree tree;
};

/* A child for each object, as imports of this task's object are looked for. */
struct tc_far_object {
    struct tc_far_object *next;
    char *path, *root, *stop;
    struct tc_source_child child;
    struct answer *answers;
    size_t count, allocated;
};

/* A function of another object. */
struct step {
    const char *object, *name;
    char *via;
};

struct walk {
    struct tc_far *far;
    const char *root; /* the task's object */
    struct step *steps;
    size_t count, allocated;
    size_t homeless; /* imports that are in no library */
    struct tc_far_report *report;
};

void tc_far_free(struct tc_far *far)
{
    for (struct tc_far_object *o = far->objects, *next; o; o = next) {
        next = o->next;
        tc_source_child_close(&o->child);
        for (size_t i = 0; i < o->count; i++) {
            tc_tree_free(&o->answers[i].tree);
            free(o->answers[i].name);
        }
        free(o->answers);
        free(o->path);
        free(o->root);
        free(o->stop);
        free(o);
    }
    far->objects = NULL;
}

static struct tc_far_object *object_of(struct tc_far *far, const char *path, const char *root,
                                       const char *stop)
{
    struct tc_far_object *o = far->objects;
    while (o &&
           (strcmp(o->path, path) != 0 || strcmp(o->root, root) != 0 || strcmp(o->stop, stop) != 0))
        o = o->next;
    if (o)
        return o;
    o = tc_alloc(sizeof *o);
    o->path = tc_copy(path);
    o->root = tc_copy(root);
    o->stop = tc_copy(stop);
    tc_source_child_open(&o->child, o->path);
    tc_source_child_libraries(&o->child, far->libraries, far->interpreter, root);
    tc_source_child_stop(&o->child, stop);
    o->next = far->objects;
    far->objects = o;
    return o;
}

static const struct answer *ask(struct tc_far_object *o, const char *name)
{
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->answers[i].name, name) == 0)
            return &o->answers[i];
    o->answers = tc_grow(o->answers, o->count, &o->allocated, sizeof *o->answers);
    struct answer *a = &o->answers[o->count++];
    *a = (struct answer){.name = tc_copy(name)};
    a->ok = tc_tree_ask_effects(&o->child, name, &a->tree);
    return a;
}

static void unseen(struct tc_far_report *r, const char *object, const char *why)
{
    for (size_t i = 0; i < r->unseen_count; i++)
        if (strcmp(r->unseen[i].why, why) == 0 && r->unseen[i].object && object &&
            strcmp(r->unseen[i].object, object) == 0)
            return;
    r->unseen = tc_grow(r->unseen, r->unseen_count, &r->unseen_allocated, sizeof *r->unseen);
    r->unseen[r->unseen_count++] =
        (struct tc_far_unseen){object ? tc_copy(object) : NULL, tc_copy(why)};
}

static struct tc_far_effect *effect_of(struct tc_far_report *r, const struct step *s,
                                       const struct tc_tree_effect *e)
{
    const char *inner = strstr(e->path, " > ");
    for (size_t i = 0; i < r->effect_count; i++)
        if (r->effects[i].reason == e->reason && strcmp(r->effects[i].object, s->object) == 0)
            return &r->effects[i];
    r->effects = tc_grow(r->effects, r->effect_count, &r->effects_allocated, sizeof *r->effects);
    r->effects[r->effect_count] = (struct tc_far_effect){
        .reason = e->reason,
        .path = tc_format("%s%s", s->via, inner ? inner : ""),
        .object = tc_copy(s->object),
    };
    return &r->effects[r->effect_count++];
}

static void add_effect(struct tc_far_report *r, const struct step *s,
                       const struct tc_tree_effect *e)
{
    struct tc_far_effect *all = effect_of(r, s, e);
    for (size_t i = 0; i < all->what.count; i++)
        if (strcmp(all->what.word[i], e->what) == 0)
            return;
    tc_words_add(&all->what, e->what);
}

/* An object's own functions were followed with who asks for them; what comes back to the task's
 * object is part of its own source, or an import's of it. */
static bool leads_on(struct walk *w, const struct tc_tree_import *import, const char *from)
{
    if (!*import->bound)
        w->homeless++;
    if (!*import->bound || import->ends || strcmp(import->bound, w->root) == 0 ||
        strcmp(import->bound, from) == 0)
        return false;
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->steps[i].name, import->name) == 0 &&
            strcmp(w->steps[i].object, import->bound) == 0)
            return false;
    return true;
}

/* `via` is taken over. */
static void add_step(struct walk *w, const struct tc_tree_import *import, char *via)
{
    w->steps = tc_grow(w->steps, w->count, &w->allocated, sizeof *w->steps);
    w->steps[w->count++] = (struct step){import->bound, import->name, via};
}

static void look_at(struct walk *w, size_t index, const char *stop)
{
    const struct step s = w->steps[index];
    const struct answer *a = ask(object_of(w->far, s.object, w->root, stop), s.name);
    /* Data that is imported, for one. */
    if (!a->ok)
        return;
    if (a->tree.is_ifunc)
        unseen(w->report, s.object, "code that is chosen when the program starts");
    if (a->tree.whole)
        unseen(w->report, s.object, "more functions than are followed");
    if (strcmp(a->tree.indirect, "0") != 0)
        unseen(w->report, s.object, "indirect calls");
    if (a->tree.has_unnamed)
        unseen(w->report, s.object, "variables without names, which may be written");
    for (size_t i = 0; i < a->tree.effect_count; i++)
        if (a->tree.effects[i].reason != TC_R_USES_GLOBAL)
            add_effect(w->report, &s, &a->tree.effects[i]);
    for (size_t i = 0; i < a->tree.import_count; i++)
        if (leads_on(w, &a->tree.imports[i], s.object))
            add_step(w, &a->tree.imports[i], tc_format("%s > %s", s.via, a->tree.imports[i].name));
}

static size_t parent_of(const struct tc_tree *t, size_t item)
{
    for (size_t i = 0; i < t->ref_count; i++)
        if (t->refs[i].to == (long)item && t->refs[i].from != item)
            return t->refs[i].from;
    return 0;
}

/* "f > helper > name": who of the task's closure asks for the import first. */
static char *path_to(const struct tc_tree *t, const char *name)
{
    size_t bytes = strlen(name), item = 0;
    for (size_t i = 0; i < t->ref_count; i++) {
        const struct tc_tree_ref *r = &t->refs[i];
        if (r->to < 0 && strncmp(r->label, name, bytes) == 0 &&
            (r->label[bytes] == 0 || r->label[bytes] == '@')) {
            item = r->from;
            break;
        }
    }
    char *path = tc_copy(name);
    for (size_t depth = 0; depth < 16; item = parent_of(t, item), depth++) {
        char *longer = tc_format("%s > %s", t->items[item].label, path);
        free(path);
        path = longer;
        if (item == 0)
            break;
    }
    return path;
}

static void walk(struct walk *w, const struct tc_tree *t, const char *stop)
{
    for (size_t i = 0; i < t->import_count; i++)
        if (leads_on(w, &t->imports[i], w->root))
            add_step(w, &t->imports[i], path_to(t, t->imports[i].name));
    size_t i = 0;
    for (; i < w->count && i < MAX_STEPS; i++)
        look_at(w, i, stop);
    if (i < w->count)
        unseen(w->report, NULL, "other objects' functions beyond those that were looked at");
    if (w->homeless)
        unseen(w->report, NULL, "imports that are in no library that the program starts with");
}

void tc_far_look(struct tc_far *far, const struct tc_finding *f, struct tc_far_report *ret)
{
    *ret = (struct tc_far_report){.effect_count = 0};
    if (!f->plan || f->state != TC_FINDING_HOOKABLE || !(f->task->policy & TC_POLICY_SOURCE_DEEP))
        return;
    if (f->plan->deep_whole) {
        unseen(ret, f->path, "more functions than are followed");
        return;
    }
    const char *stop = tc_flat_str(f->in, f->task->deep_stop);
    struct walk w = {.far = far, .root = f->path, .report = ret};
    struct tc_tree t;
    if (tc_tree_of_range(&object_of(far, f->path, f->path, stop)->child, f->path,
                         f->plan->entry_vaddr, f->plan->entry_bytes, true, &t))
        walk(&w, &t, stop);
    for (size_t i = 0; i < w.count; i++)
        free(w.steps[i].via);
    free(w.steps);
    tc_tree_free(&t);
}

void tc_far_report_free(struct tc_far_report *r)
{
    for (size_t i = 0; i < r->effect_count; i++) {
        tc_words_free(&r->effects[i].what);
        free(r->effects[i].path);
        free(r->effects[i].object);
    }
    for (size_t i = 0; i < r->unseen_count; i++) {
        free(r->unseen[i].object);
        free(r->unseen[i].why);
    }
    free(r->effects);
    free(r->unseen);
    *r = (struct tc_far_report){.effect_count = 0};
}
