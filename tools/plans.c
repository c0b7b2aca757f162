#include "tools/plans.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/object_glob.h"
#include "cache/plan_fresh.h"

#define PATIENCE_MS 1000   /* before we say what we wait for */
#define PLAN_MS     120000 /* the service gives up on an object long before */

int tc_plan_file_open(const struct tc_session *s, struct tc_plan_file *ret)
{
    char path[TC_PATH_BYTES];
    struct tc_plan_file p = {.open = true};
    if (!s->config)
        return -ENOENT;
    int r = tc_plans_path(s->cache, s->config->resolve_digest, path, sizeof path);
    if (r == 0)
        r = tc_map_file(path, &p.map);
    if (r < 0)
        return r;
    r = tc_flat_check(p.map.base, p.map.bytes, TC_FLAT_PLANS, &p.flat);
    if (r == 0)
        r = tc_plans_verify(&p.flat, s->config->tasks.count);
    if (r < 0) {
        tc_unmap(&p.map);
        return r;
    }
    *ret = p;
    return 0;
}

void tc_plan_file_close(struct tc_plan_file *p)
{
    tc_unmap(&p->map);
    *p = (struct tc_plan_file){0};
}

/* "*" and the like name everything, hence nothing in particular. */
static bool is_narrow(const char *globs)
{
    char glob[TC_OBJECT_GLOB_BYTES];
    bool any = false;
    for (; tc_object_glob_next(&globs, glob); any = true)
        if (glob[strspn(glob, "*?")] == 0)
            return false;
    return any;
}

void tc_gather_libraries(const struct tc_session *s, const struct tc_program *program,
                         struct tc_libraries *ret)
{
    uint32_t count;
    const struct tc_task *tasks = tc_session_tasks(s, &count);
    struct tc_words globs = {0};
    if (*program->elf.interpreter)
        (void)tc_libraries_list(ret, program->elf.interpreter, program->binary);
    for (uint32_t i = 0; tasks && i < count; i++) {
        const char *glob = tc_flat_str(&s->config_flat, tasks[i].object);
        bool known = !is_narrow(glob);
        for (size_t k = 0; !known && k < globs.count; k++)
            known = strcmp(globs.word[k], glob) == 0;
        if (!known)
            tc_words_add(&globs, glob);
    }
    tc_libraries_glob(ret, globs.word, globs.count);
    free(globs.word);
}

/* What a file takes in a message. */
static size_t room_for(const struct tc_library *l)
{
    return sizeof(struct tc_object_ref) + strlen(l->path) + 1;
}

static size_t build_request(const struct tc_session *s, const struct tc_library *const *wanted,
                            size_t count, unsigned char *message)
{
    struct tc_plan_request *q = (struct tc_plan_request *)(void *)message;
    size_t refs = (sizeof *q + 7) & ~(size_t)7, at = refs + count * sizeof(struct tc_object_ref);
    memset(message, 0, at);
    q->config_id = s->config_id;
    q->objects = (uint32_t)refs;
    q->object_count = (uint32_t)count;
    q->config_path = (uint32_t)at;
    memcpy(message + at, s->config_path, strlen(s->config_path) + 1);
    at += strlen(s->config_path) + 1;
    for (size_t i = 0; i < count; i++) {
        struct tc_object_ref ref = {.id = wanted[i]->id, .path = (uint32_t)at};
        memcpy(message + refs + i * sizeof ref, &ref, sizeof ref);
        memcpy(message + at, wanted[i]->path, strlen(wanted[i]->path) + 1);
        at += strlen(wanted[i]->path) + 1;
    }
    return at;
}

static void say_what_we_wait_for(const struct tc_library *const *wanted, size_t count)
{
    fprintf(stderr, "cachectl: resolving %zu %s:", count, count == 1 ? "file" : "files");
    for (size_t i = 0; i < count && i < 4; i++)
        fprintf(stderr, " %s", tc_basename(wanted[i]->path));
    fputs(count > 4 ? " ...\n" : "\n", stderr);
}

static int request_plans(struct tc_session *s, const struct tc_library *const *wanted, size_t count,
                         unsigned char *message)
{
    size_t bytes = build_request(s, wanted, count, message);
    struct tc_reply reply = {0};
    struct tc_message *head = (struct tc_message *)(void *)message;
    int r = tc_client_request(&s->client, head, TC_MSG_PLAN, bytes, PATIENCE_MS, &reply);
    if (r != -ETIMEDOUT || reply.status)
        return r;
    say_what_we_wait_for(wanted, count);
    r = tc_client_wait(&s->client, PLAN_MS, &reply);
    return r < 0 ? r : reply.status < 0 ? reply.status : 0;
}

/* As many as fit into a message, again and again. */
static int request_all(struct tc_session *s, const struct tc_library *const *wanted, size_t count)
{
    size_t fixed = sizeof(struct tc_plan_request) + 16 + strlen(s->config_path);
    unsigned char *message = tc_alloc(TC_WIRE_MAX_BYTES);
    int r = 0;
    for (size_t from = 0, to; r == 0 && from < count; from = to) {
        size_t bytes = fixed;
        for (to = from; to < count && bytes + room_for(wanted[to]) <= TC_WIRE_MAX_BYTES; to++)
            bytes += room_for(wanted[to]);
        r = to > from ? request_plans(s, wanted + from, to - from, message) : -EMSGSIZE;
    }
    free(message);
    return r;
}

int tc_plan_ahead(struct tc_session *s, const struct tc_libraries *l, struct tc_cause *ret_cause)
{
    struct tc_plan_file plans = {0};
    const struct tc_library **wanted = tc_alloc(l->count * sizeof *wanted);
    size_t count = 0;
    bool have = tc_plan_file_open(s, &plans) == 0;
    for (size_t i = 0; i < l->count; i++)
        if (!have || !tc_plans_fresh(&plans.flat, &l->library[i].id))
            wanted[count++] = &l->library[i];
    tc_plan_file_close(&plans);
    int r = count ? request_all(s, wanted, count) : 0;
    free(wanted);
    if (r < 0)
        return tc_cause_set(ret_cause, -r, TC_R_RESOLVER_FAILED, s->config_path,
                            "the service didn't resolve the program ahead: %s", strerror(-r));
    return 0;
}
