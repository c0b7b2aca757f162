/*
 * The constructor: finds the config, the shared page and the plans, hooks what is loaded, and
 * watches the loader for the rest. It runs before everything else of the process (linked with -z
 * initfirst): no libc function may be called, the environment comes from its own arguments.
 * Whatever is missing leaves the process as it is.
 */
#include <elf.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <string.h>

#include "preload/client.h"
#include "preload/context.h"
#include "preload/deep.h"
#include "preload/log.h"
#include "preload/lookup.h"
#include "preload/state.h"
#include "preload/storages.h"
#include "preload/threads.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

struct tc_state tc_state;
uint32_t tc_sandboxed;

/* The word that a fork wipes. */
enum {
    WIPED = 0,
    SETTLED,
    SETTLING,
};

static struct {
    const char *program_path;
    const void *vdso;
    uint64_t program_headers;
    int secure;
} kernel;

/* Of the executable, whose load bias may be 0: in the page with its program headers, as linkers
 * have it. */
uint64_t tc_program_header(void);
uint64_t tc_program_header(void)
{
    return kernel.program_headers & ~4095ull;
}

/* As it was started; absolute, as the service has a directory of its own. NULL if it can't be told.
 */
const char *tc_program_path(void);
const char *tc_program_path(void)
{
    static char absolute[TC_PATH_BYTES];
    long n;

    if (kernel.program_path == NULL || kernel.program_path[0] == '/')
        return kernel.program_path;
    n = TC_SYS(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", absolute, sizeof absolute - 1, 0, 0);
    if (n <= 0)
        return NULL;
    absolute[n] = 0;
    return absolute;
}

static void read_auxv(char *const *env)
{
    const Elf64_auxv_t *a;

    while (*env != NULL)
        env++;
    for (a = (const void *)(env + 1); a->a_type != AT_NULL; a++) {
        if (a->a_type == AT_EXECFN)
            kernel.program_path = (const char *)(uintptr_t)a->a_un.a_val;
        else if (a->a_type == AT_SYSINFO_EHDR)
            kernel.vdso = (const void *)(uintptr_t)a->a_un.a_val;
        else if (a->a_type == AT_PHDR)
            kernel.program_headers = a->a_un.a_val;
        else if (a->a_type == AT_SECURE)
            kernel.secure = a->a_un.a_val != 0;
        else if (a->a_type == AT_UID)
            tc_state.uid = (uint32_t)a->a_un.a_val;
    }
}

static const char *base_name(const char *path)
{
    const char *base = path;

    for (; path != NULL && *path != 0; path++)
        if (*path == '/')
            base = path + 1;
    return base;
}

static uint64_t number(const char *s)
{
    uint64_t n = 0;

    for (; s != NULL && *s >= '0' && *s <= '9'; s++)
        n = n * 10 + (uint64_t)(*s - '0');
    return n;
}

static int same(const char *a, const char *b)
{
    size_t n = strlen(a);

    return n == strlen(b) && memcmp(a, b, n) == 0;
}

/* `children:` of the config: TASKCACHE_ROOT_PID is the process that `cachectl run` started. */
static int left_out(void)
{
    const struct tc_config *c = tc_state.config;
    uint64_t root = number(tc_env(tc_state.env, "TASKCACHE_ROOT_PID"));
    const struct tc_str *names;

    if (c->children == TC_CHILDREN_FOLLOW || root == 0 || root == (uint64_t)tc_state.pid)
        return 0;
    if (c->children == TC_CHILDREN_NO)
        return 1;
    names =
        tc_flat_at(&tc_state.config_flat, c->child_names.off, c->child_names.count, sizeof *names);
    for (uint32_t i = 0; names != NULL && i < c->child_names.count; i++)
        if (same(tc_config_str(names[i]), tc_state.program))
            return 0;
    return 1;
}

/* What was missing then (its identity is all zero) and is missing now hasn't changed. */
static int deps_unchanged(const struct tc_flat *f, const struct tc_config *c)
{
    const struct tc_dep *deps = tc_flat_at(f, c->deps.off, c->deps.count, sizeof *deps);

    for (uint32_t i = 0; deps != NULL && i < c->deps.count; i++) {
        struct tc_file_id now;
        if (tc_sys_file_id(tc_flat_str(f, deps[i].path), &now) < 0)
            memset(&now, 0, sizeof now);
        if (memcmp(&now, &deps[i].id, sizeof now) != 0)
            return 0;
    }
    return 1;
}

static int map_config(void)
{
    char path[TC_PATH_BYTES], name[33];
    struct tc_flat flat;
    const struct tc_config *c;
    size_t bytes;
    void *map;
    int r;

    tc_config_name(tc_state.config_path, &tc_state.config_id, name);
    r = tc_config_flat_path(tc_state.runtime_dir, name, path, sizeof path);
    map = r < 0 ? NULL : tc_sys_map_file(path, 0, tc_state.uid, &bytes);
    if (map == NULL)
        return -ENOENT;
    r = tc_flat_check(map, bytes, TC_FLAT_CONFIG, &flat);
    c = r < 0 ? NULL : tc_flat_root(&flat, sizeof *c);
    if (c == NULL || tc_config_verify_frame(&flat) < 0 || !deps_unchanged(&flat, c)) {
        tc_sys_munmap(map, bytes);
        return -ESTALE;
    }
    if (tc_state.config != NULL)
        tc_sys_munmap((void *)(uintptr_t)tc_state.config_flat.base, tc_state.config_flat.bytes);
    tc_state.config_flat = flat;
    tc_state.config = c;
    tc_state.tasks = tc_flat_at(&flat, c->tasks.off, c->tasks.count, sizeof *tc_state.tasks);
    tc_state.task_count = c->tasks.count;
    return 0;
}

static int find_cache(const char *configured)
{
    struct tc_file_id id;
    int r = tc_cache_dir(tc_state.env, configured, tc_state.cache_dir, sizeof tc_state.cache_dir);

    if (r == 0)
        r = tc_sys_file_id(tc_state.cache_dir, &id);
    if (r < 0)
        return r;
    return tc_cache_id(id.dev, id.ino, tc_state.cache_id, sizeof tc_state.cache_id);
}

static void map_run_page(void)
{
    char path[TC_PATH_BYTES];
    struct tc_run_page *p;
    size_t bytes;

    if (tc_run_page_path(tc_state.runtime_dir, tc_state.run_id, path, sizeof path) < 0)
        return;
    p = tc_sys_map_file(path, 1, tc_state.uid, &bytes);
    if (p == NULL)
        return;
    if (bytes < sizeof *p || p->magic != TC_RUN_MAGIC) {
        tc_sys_munmap(p, bytes);
        return;
    }
    __atomic_fetch_add(&p->processes, 1, __ATOMIC_RELAXED);
    tc_state.run_page = p;
}

int tc_map_plans(void)
{
    char path[TC_PATH_BYTES];
    struct tc_flat flat;
    size_t bytes;
    void *map;

    if (tc_plans_path(tc_state.cache_dir, tc_state.config->resolve_digest, path, sizeof path) < 0)
        return -ENAMETOOLONG;
    map = tc_sys_map_file(path, 0, tc_state.uid, &bytes);
    if (map == NULL)
        return -ENOENT;
    if (tc_flat_check(map, bytes, TC_FLAT_PLANS, &flat) < 0 ||
        tc_plans_verify(&flat, tc_state.task_count) < 0) {
        tc_sys_munmap(map, bytes);
        return -EBADMSG;
    }
    if (tc_state.plans != NULL && !tc_state.plans_in_use)
        tc_sys_munmap((void *)(uintptr_t)tc_state.plans_flat.base, tc_state.plans_flat.bytes);
    tc_state.plans_in_use = 0; /* else the old mapping stays */
    tc_state.plans_flat = flat;
    tc_state.plans = tc_flat_root(&flat, sizeof *tc_state.plans);
    return 0;
}

static int ask_for_config(void)
{
    struct {
        struct tc_message head;
        char path[TC_PATH_BYTES];
    } msg = {.head.type = TC_MSG_CONFIG};
    size_t n = strlen(tc_state.config_path) + 1;
    struct tc_outgoing m = {.head = &msg.head, .head_bytes = sizeof msg.head + n, .fd = -1};
    struct tc_reply reply;
    int r;

    memcpy(msg.path, tc_state.config_path, n);
    r = tc_request(&m, TC_FIRST_PLAN_NS, &reply);
    return r < 0 ? r : reply.status;
}

/* Starts the service and waits until it has compiled the config and opened the store. */
static int start_and_wait(void)
{
    int64_t until = tc_monotonic_ns() + TC_FIRST_PLAN_NS;

    if (tc_start_service(NULL, 0) < 0)
        return -ENOENT;
    for (;;) {
        if (map_config() == 0 && find_cache(tc_config_str(tc_state.config->cache_path)) == 0 &&
            tc_map_page() == 0)
            return 0;
        if (tc_monotonic_ns() >= until)
            return -ETIMEDOUT;
        tc_sleep_ns(2000000);
    }
}

static int find_config_and_page(void)
{
    int r = map_config();

    if (r < 0 && find_cache(NULL) == 0 && ask_for_config() == 0)
        r = map_config();
    if (r == 0)
        r = find_cache(tc_config_str(tc_state.config->cache_path));
    if (r == 0)
        r = tc_map_page();
    if (r < 0 && tc_boolean(tc_env(tc_state.env, "TASKCACHE_AUTOSTART")) != TC_FALSE)
        start_and_wait();
    if (tc_state.config == NULL)
        return -ENOENT;
    return 0;
}

static void read_switches(void)
{
    char *const *env = tc_state.env;
    const char *verify = tc_env(env, "TASKCACHE_VERIFY");

    tc_state.switches.disable_caching =
        tc_boolean(tc_env(env, "TASKCACHE_DISABLE_CACHING")) == TC_TRUE;
    tc_state.switches.default_no_cache =
        tc_boolean(tc_env(env, "TASKCACHE_DEFAULT_NO_CACHE")) == TC_TRUE;
    tc_state.switches.default_persist_result =
        (uint8_t)tc_boolean(tc_env(env, "TASKCACHE_DEFAULT_PERSIST_RESULT"));
    tc_state.switches.verify_given =
        verify != NULL && tc_share(verify, &tc_state.switches.verify) == 0;
    tc_state.switches.refresh_cache = (uint8_t)tc_boolean(tc_env(env, "TASKCACHE_REFRESH_CACHE"));
}

/* The run's id: the one that was set, else one for this process and its forks. */
static void choose_run_id(void)
{
    const char *given = tc_env(tc_state.env, "TASKCACHE_RUN_ID");
    struct tc_hash128 random = {0, 0};
    size_t n = given != NULL ? strlen(given) : 0;

    if (n > 0 && n < sizeof tc_state.run_id) {
        memcpy(tc_state.run_id, given, n + 1);
        tc_state.run_id_bytes = (uint32_t)n;
        map_run_page();
        return;
    }
    if (TC_SYS(SYS_getrandom, &random, sizeof random, 1 /* GRND_NONBLOCK */, 0, 0, 0) !=
        sizeof random)
        random = (struct tc_hash128){(uint64_t)tc_now_ns(), (uint64_t)tc_state.pid};
    tc_hash_hex(random, tc_state.run_id);
    tc_state.run_id_bytes = 32;
}

static void add_flow_seed(uint64_t seed)
{
    if (tc_state.flow_seed_count < TC_FLOW_SEEDS && seed != tc_state.flow_seed[0] &&
        tc_flow_seed_of(seed) == 0)
        tc_state.flow_seed[tc_state.flow_seed_count++] = seed;
}

/* So that all who share a storage make its keys alike. */
static void choose_flow_seeds(void)
{
    if (tc_state.page == NULL)
        return;
    tc_state.flow_seed[tc_state.flow_seed_count++] = tc_state.page->seed;
    for (uint32_t i = 0; tc_state.flows_have_digests && i < tc_state.task_count; i++) {
        const struct tc_task *t = &tc_state.tasks[i];
        if (!(t->flags & TC_TASK_DISABLED) && t->storage != 0 && tc_seed_of(t->storage) != 0 &&
            (t->flags & TC_TASK_FLOW || t->policy & TC_POLICY_FLOW_PARAMETERS))
            add_flow_seed(tc_seed_of(t->storage));
    }
}

/* FLOW_PARAMETERS of a process run: argv[1..], each with its length. A digest under the seed: what
 * was typed is in no record. */
static void digest_arguments(int argc, char *const *argv, uint32_t at)
{
    struct tc_hash_state state;
    struct tc_hash128 digest;

    tc_hash_begin(&state, tc_state.flow_seed[at]);
    for (int i = 1; i < argc && argv[i] != NULL; i++) {
        uint64_t bytes = strlen(argv[i]);
        tc_hash_add(&state, &bytes, sizeof bytes);
        tc_hash_add(&state, argv[i], bytes);
    }
    digest = tc_hash_end128(&state);
    memcpy(tc_state.flow_parameters[at], &digest, sizeof digest);
    tc_state.has_flow_parameters = 1;
}

static void look_at_flows(void)
{
    for (uint32_t i = 0; i < tc_state.task_count; i++) {
        const struct tc_task *t = &tc_state.tasks[i];
        int on = !(t->flags & TC_TASK_DISABLED);
        if (on && (t->flags & TC_TASK_FLOW) && !(t->flags & TC_TASK_THREADS)) {
            tc_flows_start();
            tc_state.flows_persist |= t->persist == TC_TRUE;
            tc_state.flows_transact |= t->commit_mode != TC_COMMIT_NONE;
            tc_state.flows_matter |= t->commit_mode != TC_COMMIT_NONE || t->storage != 0;
            tc_state.flows_not_yet |= (t->flags & TC_TASK_NOT_YET) != 0;
        }
        if (on && (t->policy & TC_POLICY_FLOW_PARAMETERS))
            tc_state.flows_have_digests = 1;
    }
}

static int private_directory(const char *path)
{
    struct tc_file_id id;
    uint32_t mode, uid;
    int fd = tc_sys_open(path, O_PATH | O_DIRECTORY, 0);
    int r = fd < 0 ? fd : tc_sys_fd_id(fd, &id, &mode, &uid);

    if (fd >= 0)
        tc_sys_close(fd);
    return r == 0 && uid == tc_state.uid && (mode & 022) == 0;
}

static int make_memory(void)
{
    void *hooks = tc_sys_mmap(NULL, TC_MAX_HOOKS * sizeof *tc_state.hooks, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    uint32_t *word =
        tc_sys_mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

    if (hooks == NULL || word == NULL)
        return -ENOMEM;
    TC_SYS(SYS_madvise, word, 4096, MADV_WIPEONFORK, 0, 0, 0);
    *word = SETTLED;
    tc_state.hooks = hooks;
    tc_state.wiped_on_fork = word;
    return 0;
}

/* Does this process share its memory with its parent? Then the word was wiped by a fork before the
 * vfork, and what is settled here would be settled for the parent. */
static int is_vfork_child(void)
{
    return TC_SYS(SYS_kcmp, tc_sys_getpid(), TC_SYS(SYS_getppid, 0, 0, 0, 0, 0, 0), KCMP_VM, 0, 0,
                  0) == 0;
}

int tc_settle_after_fork(void)
{
    uint32_t state = __atomic_load_n(tc_state.wiped_on_fork, __ATOMIC_ACQUIRE);

    if (state != WIPED)
        return state == SETTLED;
    if (!__atomic_compare_exchange_n(tc_state.wiped_on_fork, &state, SETTLING, 0, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return 0;
    if (!tc_is_sandboxed()) {
        if (is_vfork_child()) {
            __atomic_store_n(tc_state.wiped_on_fork, WIPED, __ATOMIC_RELEASE);
            return 0;
        }
        tc_state.pid = tc_sys_getpid();
        tc_state.greeted = 0;
        for (uint32_t i = 0; i < TC_MAX_NAMED_STORAGES; i++)
            tc_state.storages[i].greeted = 0;
        tc_contexts_after_fork();
        tc_client_after_fork();
        tc_lock_memory_after_fork();
        tc_threads_after_fork();
    }
    tc_flows_after_fork();
    __atomic_store_n(tc_state.wiped_on_fork, SETTLED, __ATOMIC_RELEASE);
    return 1;
}

static void tell_config_errors(void)
{
    const struct tc_config *c = tc_state.config;
    const struct tc_problem *p =
        tc_flat_at(&tc_state.config_flat, c->problems.off, c->problems.count, sizeof *p);

    for (uint32_t i = 0; p != NULL && i < c->problems.count; i++)
        if (p[i].severity == TC_SEV_ERROR)
            tc_log_problem(TC_LOG_ERROR, p[i].reason, tc_config_str(p[i].text));
}

static void boot(int argc, char *const *argv, char *const *env)
{
    read_auxv(env);
    tc_state.env = env;
    tc_state.pid = tc_sys_getpid();
    tc_join(tc_state.program, sizeof tc_state.program, base_name(kernel.program_path), NULL, NULL,
            NULL);
    read_switches();
    if (kernel.secure || tc_state.switches.disable_caching)
        return;
    if (tc_config_path(env, tc_state.config_path, sizeof tc_state.config_path) < 0 ||
        tc_sys_file_id(tc_state.config_path, &tc_state.config_id) < 0)
        return;
    if (tc_runtime_dir(env, tc_state.uid, tc_state.runtime_dir, sizeof tc_state.runtime_dir) < 0)
        return;
    tc_clock_init(kernel.vdso, env);
    tc_log_init();
    if (find_config_and_page() < 0)
        return;
    tc_log_init(); /* once more, with the config's level */
    if (!private_directory(tc_state.runtime_dir) || left_out())
        return;
    if (tc_state.config->errors != 0) {
        tell_config_errors();
        return;
    }
    if (tc_state.task_count == 0 || make_memory() < 0)
        return;
    look_at_flows();
    tc_open_storages();
    choose_run_id();
    choose_flow_seeds();
    for (uint32_t i = 0; argc >= 2 && i < tc_state.flow_seed_count; i++)
        digest_arguments(argc, argv, i);
    tc_map_plans();
    tc_state.live = 1;
    tc_scan_objects();
    tc_watch_loader();
}

__attribute__((constructor)) static void construct(int argc, char **argv, char **envp)
{
    if (tc_state.env != NULL || envp == NULL)
        return;
    tc_state.constructing = 1;
    tc_deep_begin();
    boot(argc, argv, envp);
    tc_state.constructing = 0;
}
